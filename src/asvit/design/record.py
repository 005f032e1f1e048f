"""Record of a search, growth or design: read from its files, checked, and put together for a report."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from asvit.design.family import GrowResult, Member
from asvit.design.grow import Growth, GrowthSettings
from asvit.design.ranking import OBJECTIVES, Objective
from asvit.design.results import RESULTS, DesignResult
from asvit.design.search import SearchResult, SearchRun, SearchSettings
from asvit.measure.estimates import Measurement
from asvit.measure.settings import Settings
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import SPACE
from asvit.runs.read import Config, RunFile, damaged, read_result, read_run
from asvit.runs.records import RESULT, RUN


@dataclass(frozen=True)
class DesignConfig(Config):
    """Configuration of search, grow and design."""

    measure: Settings
    search: SearchSettings | None = None
    growth: GrowthSettings | None = None


@dataclass(frozen=True)
class DesignRun(RunFile):
    """The record ``run.json`` of search, grow and design."""

    config: DesignConfig


@dataclass(frozen=True)
class Grown:
    """A growth with the family picked from it, and how both were measured."""

    growth: Growth
    family: tuple[Member, ...]
    settings: GrowthSettings

    @property
    def width_divisor(self) -> int:
        """Divisor of the width at which networks were measured."""
        return self.settings.width_divisor

    @property
    def measures(self) -> list[str]:
        """Names of the measures that choices were ranked by."""
        return [objective.name for objective in self.settings.score]

    @property
    def measured(self) -> list[tuple[str, Measurement]]:
        """Every network of the trajectory and every candidate, with its measurement."""
        return list(self.growth.measurements.items())

    @property
    def proxied(self) -> list[Member]:
        """Members whose measurement compares with the trajectory's: not those that were narrowed below the start."""
        return [member for member in self.family if member.measured_at == self.width_divisor]


@dataclass(frozen=True)
class DesignReport:
    """All that a report shows of a search, growth or design."""

    run: DesignRun
    task: Task
    result: SearchResult | GrowResult | DesignResult
    searches: tuple[SearchRun, ...]
    grown: Grown | None

    @property
    def score(self) -> tuple[Objective, ...]:
        """Objectives that networks were chosen by, the same in search and growth."""
        settings = self.run.config.growth or self.run.config.search
        return OBJECTIVES if settings is None else settings.score

    @property
    def measures(self) -> list[str]:
        """Names of the score's measures."""
        return [objective.name for objective in self.score]

    @property
    def topologies_measured(self) -> list[tuple[str, Measurement]]:
        """Topologies that the searches measured; one that two of them have measured is there twice."""
        return [pair for search in self.searches for pair in search.measurements.items()]


def read_design(directory: Path) -> DesignReport:
    """Read ``run.json`` and ``result.json``.

    Args:
        directory: run directory of search, grow or design.

    Raises:
        UserError: a file is missing or damaged.
    """
    run = read_run(directory, DesignRun)
    result = read_result(directory, run, RESULTS[run.job])
    path = directory / RESULT
    searches = _searches(result)
    if isinstance(result, SearchResult) and not searches:
        raise damaged(path, "it has no search")
    for search in searches:
        _check_search(path, search)
    grown = None
    if not isinstance(result, SearchResult):
        if run.config.growth is None:
            raise damaged(directory / RUN, "it has no settings of growth")
        if not result.growth.steps or not result.family:
            raise damaged(path, "it has no steps of growth, or no family")
        _check_growth(path, result.growth)
        grown = Grown(result.growth, result.family, run.config.growth)
    report = DesignReport(run, result.task, result, searches, grown)
    _check_estimates(path, report)
    return report


def _searches(result: SearchResult | GrowResult | DesignResult) -> tuple[SearchRun, ...]:
    match result:
        case SearchResult():
            return result.runs
        case DesignResult():
            return () if result.search is None else (result.search,)
        case GrowResult():
            return ()


def _check_search(path: Path, search: SearchRun) -> None:
    if not search.steps:
        raise damaged(path, "a search has no steps")
    topologies = [step.topology for step in search.steps] + [search.most_probable]
    topologies += [search.best_ranked] if search.best_ranked is not None else []
    _check_measured(path, topologies, search.measurements)
    if list(search.probabilities) != list(SPACE) or not all(search.probabilities.values()):
        raise damaged(path, "its probabilities are not those of Table 1's choices")


def _check_growth(path: Path, growth: Growth) -> None:
    architectures = [text for step in growth.steps for text in (step.architecture, *step.candidates)]
    _check_measured(path, architectures, growth.measurements)
    for text in architectures:
        Architecture.parse(text)


def _check_estimates(path: Path, report: DesignReport) -> None:
    measured = report.topologies_measured + ([] if report.grown is None else report.grown.measured)
    for name, measurement in measured:
        missing = set(report.measures) - set(measurement.estimates)
        if measurement.valid and missing:
            raise damaged(path, f"no {min(missing)} of {name}")


def _check_measured(path: Path, names: Iterable[str], measurements: Iterable[str]) -> None:
    missing = set(names) - set(measurements)
    if missing:
        raise damaged(path, f"no measurement of {min(missing)}")
