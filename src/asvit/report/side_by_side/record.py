"""What a page shows of a design and of the networks beside it, read from their files."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from asvit.design.record import read_design
from asvit.measure.compared import SIDE_BY_SIDE, Row, SideBySide
from asvit.measure.metrics import METRICS
from asvit.report.design.next import file_of
from asvit.runs.read import Environment, RunFile, damaged, read_run
from asvit.runs.records import read_record


@dataclass(frozen=True)
class SideBySideReport:
    """All that is drawn."""

    run: RunFile
    """The design, with the command and the environment in which the networks were measured."""
    result: SideBySide

    files: Mapping[str, Path]
    """Architecture file of every designed network that has one, by its text form."""
    width_divisor: int
    """Divisor of the width at which the design measured networks that grew; 1 where none did."""

    @property
    def by_size(self) -> list[Row]:
        """Networks by parameters, where they were counted."""
        return sorted(self.result.rows, key=lambda row: mean_of(row, "params") or 0.0)

    def next_in_size(self, row: Row) -> Row | None:
        """The other network, not a designed one, whose parameters are the nearest; None where they were not counted."""
        own = mean_of(row, "params")
        others = [other for other in self.result.rows if other.designed_for is None and mean_of(other, "params")]
        if not own or not others:
            return None
        return min(others, key=lambda other: abs(math.log((mean_of(other, "params") or own) / own)))

    @property
    def missing(self) -> list[tuple[Row, str, str]]:
        """Network, measure and reason of every cell that is empty, in the order of the table."""
        return [
            (row, name, cell.missing)
            for row in self.by_size
            for name, cell in row.cells.items()
            if cell.missing is not None
        ]


def mean_of(row: Row, name: str) -> float | None:
    """Mean of a measure of a network; None where there is none."""
    cell = row.cells.get(name)
    return None if cell is None or cell.estimate is None else cell.estimate.mean


def read_side_by_side(directory: Path) -> SideBySideReport:
    """Read ``side-by-side.json``, and the records of the design.

    Args:
        directory: run directory of search, grow or design.

    Raises:
        UserError: a file is missing or damaged.
    """
    path = directory / SIDE_BY_SIDE
    result = read_record(path, SideBySide)
    if not result.rows:
        raise damaged(path, "it has no networks")
    for row in result.rows:
        if list(row.cells) != result.metrics or not set(row.cells) <= set(METRICS):
            raise damaged(path, f"{row.name} has other measures")
        for name, cell in row.cells.items():
            if (cell.estimate is None) == (cell.missing is None):
                raise damaged(path, f"{name} of {row.name} is neither measured nor missing")
    try:
        environment = msgspec.convert(result.environment, Environment)
    except msgspec.ValidationError as error:
        raise damaged(path, str(error)) from error
    design = read_design(directory)
    grown = design.grown
    return SideBySideReport(
        replace(read_run(directory, RunFile), environment=environment, command=result.command),
        result,
        {} if grown is None else {member.architecture: file_of(member, directory) for member in grown.family},
        1 if grown is None else grown.width_divisor,
    )
