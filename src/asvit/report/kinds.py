"""Kinds of job that have a report: for each its page and the panels of its picture.

Imports the room of the kind alone: the report of a design needs no package for training or detection.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asvit.errors import UserError
from asvit.extras import from_extra
from asvit.report.charts import Panel
from asvit.report.parts import Page
from asvit.report.read import RunFile, read_run

JOBS = ("search", "grow", "design", "train", "detect", "study", "study-search", "study-scaling")
"""That have a report, by their names in ``run.json``."""


@dataclass(frozen=True)
class Kind:
    """How a run directory is shown; both functions raise a UserError where its files are missing or damaged."""

    page: Callable[[Path], Page]
    panels: Callable[[Path], Sequence[Panel]]


def kind_of(directory: Path) -> Kind:
    """Kind of the job that a run directory is of.

    Raises:
        UserError: ``run.json`` is missing or damaged, the job has no report, or a package for it is missing.
    """
    job = read_run(directory, RunFile).job
    match job:
        case "search" | "grow" | "design":
            from asvit.report.design.page import design_page
            from asvit.report.design.panels import design_panels

            return Kind(design_page, design_panels)
        case "train":
            with from_extra("train"):
                from asvit.report.training.page import training_page
                from asvit.report.training.panels import training_panels

            return Kind(training_page, training_panels)
        case "detect":
            with from_extra("detect"):
                from asvit.report.detection.page import detection_page
                from asvit.report.detection.panels import detection_panels

            return Kind(detection_page, detection_panels)
        case "study":
            with from_extra("study"):
                from asvit.report.study.page import study_page
                from asvit.report.study.panels import study_panels

            return Kind(study_page, study_panels)
        case "study-search":
            with from_extra("study"):
                from asvit.report.study.contests import search_contest_page, search_contest_panels

            return Kind(search_contest_page, search_contest_panels)
        case "study-scaling":
            with from_extra("study"):
                from asvit.report.study.contests import scaling_contest_page, scaling_contest_panels

            return Kind(scaling_contest_page, scaling_contest_panels)
    raise UserError(f"{directory} is of the job {job!r}, which has no report: expected {', '.join(JOBS)}")
