"""From the files of a run directory to what a report shows of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from asvit.architecture import Architecture, Task
from asvit.design.family import DesignResult, GrowResult, Member
from asvit.design.grow import Growth, GrowthSettings
from asvit.design.search import SearchResult, SearchRun
from asvit.errors import UserError
from asvit.measure import Measurement
from asvit.records import RESULT, RUN, read_record
from asvit.settings import Settings
from asvit.space import SPACE

RESULTS = {"search": SearchResult, "grow": GrowResult, "design": DesignResult}
"""Jobs that have a report, and the record that each wrote."""


@dataclass(frozen=True)
class Config:
    """What every job was asked, as far as a report speaks of it."""

    recipe: str
    seed: int
    measure: Settings
    growth: GrowthSettings | None = None


@dataclass(frozen=True)
class Environment:
    """Versions and hardware."""

    asvit: str
    torch: str
    python: str
    device: str
    threads: int | None = None


@dataclass(frozen=True)
class RunFile:
    """``run.json``."""

    job: str
    config: Config
    environment: Environment
    command: str


@dataclass(frozen=True)
class Grown:
    """A growth with the family picked from it, and the width at which both were measured."""

    growth: Growth
    family: tuple[Member, ...]
    width_divisor: int

    @property
    def measured(self) -> list[tuple[str, Measurement]]:
        """Every network of the trajectory and every candidate."""
        return list(self.growth.measurements.items())

    @property
    def proxied(self) -> list[Member]:
        """Members whose measurement compares with the trajectory's: not those that were narrowed below the start."""
        return [member for member in self.family if member.measured_at == self.width_divisor]


@dataclass(frozen=True)
class Report:
    """All that is drawn."""

    run: RunFile
    task: Task
    result: SearchResult | GrowResult | DesignResult
    searches: tuple[SearchRun, ...]
    grown: Grown | None

    @property
    def topologies_measured(self) -> list[tuple[str, Measurement]]:
        """By all searches; one that two have measured is there twice."""
        return [pair for search in self.searches for pair in search.measurements.items()]


def read_report(directory: Path) -> Report:
    """Read ``run.json`` and ``result.json``.

    Args:
        directory: run directory of search, grow or design.

    Raises:
        UserError: a file is missing or damaged, or the job has no report.
    """
    run = read_record(directory / RUN, RunFile)
    if run.job not in RESULTS:
        raise UserError(f"{directory} is of the job {run.job!r}, which has no report: expected {', '.join(RESULTS)}")
    path = directory / RESULT
    if not path.exists():
        raise UserError(f"{directory} holds no {RESULT}: the job has not ended, repeat `{run.command}` to finish it")
    result = read_record(path, RESULTS[run.job])
    searches = _searches(result)
    for search in searches:
        _check_search(path, search)
    grown = None
    if not isinstance(result, SearchResult):
        if run.config.growth is None:
            raise UserError(f"{directory / RUN} is damaged: it has no settings of growth; repeat the job that wrote it")
        _check_growth(path, result.growth)
        grown = Grown(result.growth, result.family, run.config.growth.width_divisor)
    return Report(run, result.task, result, searches, grown)


def _searches(result: SearchResult | GrowResult | DesignResult) -> tuple[SearchRun, ...]:
    match result:
        case SearchResult():
            return result.runs
        case DesignResult():
            return (result.search,)
        case GrowResult():
            return ()


def _check_search(path: Path, search: SearchRun) -> None:
    topologies = [step.topology for step in search.steps] + [search.most_probable]
    topologies += [search.best_ranked] if search.best_ranked is not None else []
    _check_measured(path, topologies, search.measurements)
    values = {name: [str(value) for value in values] for name, values in SPACE.items()}
    if {name: list(p) for name, p in search.probabilities.items()} != values:
        raise UserError(f"{path} is damaged: its probabilities are not those of Table 1; repeat the job that wrote it")


def _check_growth(path: Path, growth: Growth) -> None:
    architectures = [text for step in growth.steps for text in (step.architecture, *step.candidates)]
    _check_measured(path, architectures, growth.measurements)
    for text in architectures:
        Architecture.parse(text)


def _check_measured(path: Path, names: Iterable[str], measurements: Iterable[str]) -> None:
    missing = set(names) - set(measurements)
    if missing:
        raise UserError(f"{path} is damaged: no measurement of {min(missing)}; repeat the job that wrote it")
