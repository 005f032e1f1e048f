"""The jobs that design, and the record that each writes."""

from dataclasses import dataclass

from asvit.design.family import GrowResult, Member
from asvit.design.grow import Growth
from asvit.design.search import SearchResult, SearchRun
from asvit.networks.architecture import Task


@dataclass(frozen=True)
class DesignResult:
    """Result of `asvit design`: a search, the growth of its result, and the family."""

    task: Task
    search: SearchRun | None
    """The search; None where the start was given."""
    growth: Growth
    family: tuple[Member, ...]


RESULTS = {"search": SearchResult, "grow": GrowResult, "design": DesignResult}
"""Type of the result of every job that designs, by the job's name."""
