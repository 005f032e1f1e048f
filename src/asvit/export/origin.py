"""How an architecture was found: by a search, by growth, in the paper."""

from pathlib import Path

from asvit.design.family import GrowResult, Member
from asvit.design.results import RESULTS, DesignResult
from asvit.design.search import SearchResult
from asvit.errors import UserError
from asvit.measure.estimates import Measurement
from asvit.measure.metrics import METRICS
from asvit.measure.words import format_measure
from asvit.networks.architecture import ARCHITECTURES
from asvit.networks.named import Network, TimmModel
from asvit.runs.json_files import converted
from asvit.runs.read import Config, fitting_records
from asvit.runs.records import RESULT, RUN, read_record, recorded


def origin(network: Network, design: Path | None) -> str:
    """One sentence on how an architecture was found.

    Args:
        network: architecture, or model of timm.
        design: run directory of the job that found it; None: nobody said.

    >>> from asvit.networks.architecture import Architecture
    >>> origin(Architecture.parse("8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,88"), None)
    'published as small (As-ViT, Table 4)'
    """
    if design is not None:
        return found(str(network), design)
    if isinstance(network, TimmModel):
        return "in timm"
    published = {architecture: name for name, architecture in ARCHITECTURES.items()}
    return f"published as {published[network]} (As-ViT, Table 4)" if network in published else "not recorded"


def found(name: str, run: Path) -> str:
    """How the job of a run directory found an architecture.

    Raises:
        UserError: it is no such job's, or found others.
    """
    record = recorded(run)
    if record is None or record["job"] not in RESULTS:
        raise UserError(f"{run} is not the run directory of asvit design, grow or search: expected one")
    result = read_record(run / RESULT, RESULTS[record["job"]])
    config = converted(record["config"], Config, str(run / RUN))
    with fitting_records(run):
        return _found(name, run, record["job"], result, config)


def _found(name: str, run: Path, job: str, result: DesignResult | GrowResult | SearchResult, config: Config) -> str:
    how = f"by `asvit {job}` without training ({searched(result, config)})"
    if isinstance(result, SearchResult):
        others = [result.architecture]
        if name in others:
            return how
    else:
        others = [member.architecture for member in result.family]
        for member in result.family:
            if member.architecture == name:
                return f"{how}; {grown(member, result)}"
    raise UserError(f"{run} found {', '.join(others)}, not {name}: expected the run that found it")


def run_around(path: Path) -> Path | None:
    """Run directory that a file of an architecture lies in, ``family/`` or not; None where it was moved away."""
    return next((folder for folder in (path.parent, path.parent.parent) if (folder / RUN).exists()), None)


def searched(result: DesignResult | GrowResult | SearchResult, config: Config) -> str:
    """Recipe, length of the search and seed."""
    words = [f"recipe {config.recipe}"]
    if isinstance(result, SearchResult):
        words.append(f"{len(result.runs[0].steps)} steps of search")
    elif isinstance(result, DesignResult) and result.search is not None:
        words.append(f"{len(result.search.steps)} steps of search")
    return ", ".join([*words, f"seed {config.seed}"])


def grown(member: Member, result: DesignResult | GrowResult) -> str:
    """Network that a member was grown from, its budget, and what was measured."""
    start = result.growth.steps[0].architecture
    width = f" at 1/{member.measured_at} of its width" if member.measured_at > 1 else ""
    return (
        f"grown from `{start}` and fitted to {member.budget}, of which it uses {member.share:.1%}; "
        f"untrained{width}: {measured(member.measurement)}"
    )


def measured(measurement: Measurement) -> str:
    """Measures with their standard errors."""
    if measurement.invalid is not None:
        return f"invalid, {measurement.invalid}"
    estimates = measurement.estimates.items()
    return ", ".join(f"{METRICS[name].title} {format_measure(name, estimate)}" for name, estimate in estimates)
