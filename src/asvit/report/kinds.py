"""Kinds of job that have a report: for each its page and the panels of its picture.

Imports the room of the kind alone: the report of a design needs no package for training or detection.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asvit.design.results import RESULTS
from asvit.errors import UserError, from_extra
from asvit.report.charts import Panel
from asvit.report.parts import Page
from asvit.runs.read import RunFile, read_run


@dataclass(frozen=True)
class Kind:
    """How a run directory is shown; both functions raise a UserError where its files are missing or damaged."""

    page: Callable[[Path], Page]
    panels: Callable[[Path], Sequence[Panel]]


def _design() -> Kind:
    from asvit.report.design.page import design_page
    from asvit.report.design.panels import design_panels

    return Kind(design_page, design_panels)


def _training() -> Kind:
    with from_extra("train"):
        from asvit.report.training.page import training_page
        from asvit.report.training.panels import training_panels

    return Kind(training_page, training_panels)


def _detection() -> Kind:
    with from_extra("detect"):
        from asvit.report.detection.page import detection_page
        from asvit.report.detection.panels import detection_panels

    return Kind(detection_page, detection_panels)


def _study() -> Kind:
    with from_extra("study"):
        from asvit.report.study.page import study_page
        from asvit.report.study.panels import study_panels

    return Kind(study_page, study_panels)


def _race() -> Kind:
    with from_extra("study"):
        from asvit.report.race.page import race_page, race_panels

    return Kind(race_page, race_panels)


def _table() -> Kind:
    with from_extra("study"):
        from asvit.report.study.table import table_page, table_panels

    return Kind(table_page, table_panels)


def _search_contest() -> Kind:
    with from_extra("study"):
        from asvit.report.study.contests import search_contest_page, search_contest_panels

    return Kind(search_contest_page, search_contest_panels)


def _scaling_contest() -> Kind:
    with from_extra("study"):
        from asvit.report.study.contests import scaling_contest_page, scaling_contest_panels

    return Kind(scaling_contest_page, scaling_contest_panels)


KINDS: Mapping[str, Callable[[], Kind]] = {
    **dict.fromkeys(RESULTS, _design),
    "train": _training,
    "detect": _detection,
    "study": _study,
    "race": _race,
    "study-table": _table,
    "study-search": _search_contest,
    "study-scaling": _scaling_contest,
}
"""Kind of every job that has a report, by the job's name in ``run.json``."""


def kind_of(directory: Path) -> Kind:
    """Kind of the job that a run directory is of.

    Raises:
        UserError: ``run.json`` is missing or damaged, the job has no report, or a package for it is missing.
    """
    job = read_run(directory, RunFile).job
    if job not in KINDS:
        raise UserError(f"{directory} is of the job {job!r}, which has no report: expected {', '.join(KINDS)}")
    return KINDS[job]()
