"""The jobs that design, and the record that each writes."""

from asvit.design.family import DesignResult, GrowResult
from asvit.design.search import SearchResult

RESULTS = {"search": SearchResult, "grow": GrowResult, "design": DesignResult}
