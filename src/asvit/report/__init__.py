"""Report: a run directory as a page that opens offline, and as a picture. Draws records, never measures."""

from asvit.report.page import write_report, write_side_by_side
from asvit.report.picture import write_picture

__all__ = ["write_picture", "write_report", "write_side_by_side"]
