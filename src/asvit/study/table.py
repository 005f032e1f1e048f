"""Scores judged by accuracies that somebody else made: what `asvit study table` runs."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from asvit.errors import UserError, shortened
from asvit.measure.compared import Row
from asvit.measure.estimates import Estimate
from asvit.measure.job import measure_config, prepare, working
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Measuring
from asvit.measure.side_by_side import Entrant, measure_side_by_side
from asvit.measure.subject import subject_of
from asvit.networks.architecture import Task
from asvit.networks.named import TIMM, parse_network
from asvit.runs.job import Finished, Job
from asvit.runs.progress import ProgressDisplay, tell
from asvit.runs.tables import column_s, read_table
from asvit.study.job import metric_names
from asvit.study.noise import Variance, variance_of
from asvit.study.results import Point, TableResult
from asvit.study.setup import measuring_config
from asvit.study.verdict import FEWEST, comparison, judge_all, scores_of

NETWORK, TIMM_MODEL = "network", "model"
"""Columns of names: as asvit takes them, or timm's own."""
ACCURACY = ("top1", "accuracy")
EXPECTED = "a table with a column network (names as asvit measure takes them) or model (timm's), and a column top1"

Accuracies = Mapping[str, Sequence[float]]
"""Accuracies as shares by network, one or, with several seeds, more."""


def read_accuracies(path: Path) -> Accuracies:
    """Accuracies of networks out of a CSV file; a network in several rows has several, such as those of its seeds.

    Raises:
        UserError: the file cannot be read, lacks a column, or holds what is no accuracy.
    """
    rows = read_table(path, [], EXPECTED)
    if not rows:
        raise UserError(f"{path} has no rows: expected {EXPECTED}")
    columns = [*rows[0][1]]
    named = next((name for name in (NETWORK, TIMM_MODEL) if name in columns), None)
    measured = next((name for name in ACCURACY if name in columns), None)
    if named is None or measured is None:
        raise UserError(f"{path} has {column_s(columns)}: expected {EXPECTED}")
    read = [(line, row[named].strip(), _number(path, line, measured, row[measured])) for line, row in rows]
    unit = 100 if max(value for *_, value in read) > 1 else 1  # per cent, or shares
    accuracies: dict[str, list[float]] = {}
    for line, name, value in read:
        if not 0 <= value <= unit:
            raise UserError(
                f"{path}, line {line}: {measured} is {value:g}: expected accuracies from 0 to {unit}, as the others are"
            )
        accuracies.setdefault(TIMM * (named == TIMM_MODEL) + name, []).append(value / unit)
    return accuracies


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{path}, line {line}: {column} is {shortened(text)!r}: expected a number") from None


def run_table(
    path: Path,
    metrics: Sequence[str] = (),
    *,
    recipe: str,
    task: Task,
    measuring: Measuring,
    job: Job = Job(),
) -> Finished[TableResult]:
    """Measure the networks of a table, and judge every measure by the accuracies there.

    A network that is not known or cannot be measured does not keep the others from it: the result says why.

    Args:
        path: CSV file.
        metrics: metrics to judge; none: all of the untrained network.
        recipe: name of the recipe, for the records.
        task: images and classes that networks are measured for.
        measuring: settings of the measures, images for the kernel, and memory.
        job: device, run directory and random seed.

    Raises:
        UserError: the table cannot be read, or none of its networks is known.
    """
    names = tuple(dict.fromkeys([*metric_names(metrics), "macs"]))
    accuracies = read_accuracies(path)
    entrants, missing = entrants_of([*accuracies], task)
    if not entrants:
        name, reason = next(iter(missing.items()))
        raise UserError(f"no network of {path} can be measured; the first, {shortened(name)}: {reason}")
    measurer = prepare(measuring, task, job, metrics=names)
    config = measure_config(recipe, measurer) | {"metrics": list(names), "accuracies": accuracies}
    with working("study-table", config, job, [measurer]) as directory, ProgressDisplay() as display:
        total = len(entrants) * measurer.settings.repeats

        def show(done: int, name: str) -> None:
            display.update("measure", done, total, count=f"{done} of {total}", facts=name)

        rows = measure_side_by_side(measurer, entrants, show)
        measured = [(entrant, row) for entrant, row in zip(entrants, rows, strict=True) if row.cells["params"].estimate]
        missing |= {row.name: row.cells["params"].missing or "" for row in rows if row.cells["params"].estimate is None}
        for name, reason in missing.items():
            tell(f"left out: {shortened(name)}: {reason}")
        result = judge_table(path.name, measured, accuracies, missing, measurer)
        directory.write_result(result)
    return Finished(directory, result)


def entrants_of(names: Sequence[str], task: Task) -> tuple[list[Entrant], dict[str, str]]:
    """Networks by their names, and the reason for each name that is no network's."""
    entrants, unknown = [], {}
    for name in names:
        try:
            entrants.append(Entrant(name, subject_of(parse_network(name), task)))
        except UserError as error:
            unknown[name] = str(error)
    return entrants, unknown


def judge_table(
    table: str,
    measured: Sequence[tuple[Entrant, Row]],
    accuracies: Accuracies,
    missing: Mapping[str, str],
    measurer: Measurer,
) -> TableResult:
    """The verdict on all that was measured; the baseline is counting parameters."""
    own = {row.name: accuracies[row.name] for _, row in measured}
    accuracy = np.array([statistics.fmean(values) for values in own.values()])
    found = [estimates_of(row) for _, row in measured]
    costs = [measurer.costs(entrant.subject) for entrant, _ in measured]
    scores = scores_of([metric.name for metric in measurer.metrics], found, costs)
    variance = noise_of(own)
    reliability = None if variance is None else variance.reliability(own)
    judged = judge_all(scores, accuracy, scores["params"], reliability)
    few = f"No score is judged: {len(measured)} networks of the table were measured, and it takes {FEWEST} at least."
    enough = len(measured) >= FEWEST
    return TableResult(
        task=measurer.task,
        measuring=measuring_config(measurer),
        baseline="params",
        sentence=comparison(judged["length"], judged["params"]) if enough else few,
        scores=tuple(judged.values()),
        points=tuple(point_of(row, own[row.name]) for _, row in measured),
        table=table,
        variance=variance,
        missing=missing,
    )


def noise_of(accuracies: Accuracies) -> Variance | None:
    """Variance between and within networks; None where fewer than two have several accuracies."""
    return variance_of(accuracies) if sum(len(values) > 1 for values in accuracies.values()) > 1 else None


def estimates_of(row: Row) -> dict[str, Estimate]:
    """What could be measured of a network."""
    return {name: cell.estimate for name, cell in row.cells.items() if cell.estimate is not None}


def point_of(row: Row, accuracies: Sequence[float]) -> Point:
    """What is known of a network."""
    found = estimates_of(row)
    macs = round(found["macs"].mean) if "macs" in found else None
    return Point.of(row.name, accuracies, found, params=round(found["params"].mean), macs=macs)
