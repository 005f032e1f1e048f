"""Kinds of job that have a report: for each its page and the panels of its picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from asvit.errors import UserError
from asvit.report.charts import Panel
from asvit.report.design.page import design_page
from asvit.report.design.panels import design_panels
from asvit.report.design.record import RESULTS
from asvit.report.detection.page import detection_page
from asvit.report.detection.panels import detection_panels
from asvit.report.parts import Page
from asvit.report.read import RunFile, read_run
from asvit.report.study.contests import (
    scaling_contest_page,
    scaling_contest_panels,
    search_contest_page,
    search_contest_panels,
)
from asvit.report.study.page import study_page
from asvit.report.study.panels import study_panels
from asvit.report.training.page import training_page
from asvit.report.training.panels import training_panels


@dataclass(frozen=True)
class Kind:
    """How a run directory is shown; both functions raise a UserError where its files are missing or damaged."""

    page: Callable[[Path], Page]
    panels: Callable[[Path], Sequence[Panel]]


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(RESULTS, Kind(design_page, design_panels)),
        "train": Kind(training_page, training_panels),
        "detect": Kind(detection_page, detection_panels),
        "study": Kind(study_page, study_panels),
        "study-search": Kind(search_contest_page, search_contest_panels),
        "study-scaling": Kind(scaling_contest_page, scaling_contest_panels),
    }
)
"""By the name of the job in ``run.json``."""


def kind_of(directory: Path) -> Kind:
    """Kind of the job that a run directory is of.

    Raises:
        UserError: ``run.json`` is missing or damaged, or the job has no report.
    """
    job = read_run(directory, RunFile).job
    if job not in KINDS:
        raise UserError(f"{directory} is of the job {job!r}, which has no report: expected {', '.join(KINDS)}")
    return KINDS[job]
