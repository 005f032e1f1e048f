"""What a page shows of a design and of the networks beside it, read from their files."""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from asvit.measure.compared import SIDE_BY_SIDE, Row, SideBySide
from asvit.measure.metrics import METRICS
from asvit.runs.read import Environment, RunFile, damaged, read_run
from asvit.runs.records import read_record


@dataclass(frozen=True)
class SideBySideReport:
    """All that is drawn."""

    run: RunFile
    """The design, with the command and the environment in which the networks were measured."""
    result: SideBySide

    @property
    def by_size(self) -> list[Row]:
        """Networks by parameters, where they were counted."""

        def params(row: Row) -> float:
            cell = row.cells.get("params")
            return 0.0 if cell is None or cell.estimate is None else cell.estimate.mean

        return sorted(self.result.rows, key=params)

    @property
    def missing(self) -> list[tuple[Row, str, str]]:
        """Network, measure and reason of every cell that is empty, in the order of the table."""
        return [
            (row, name, cell.missing)
            for row in self.by_size
            for name, cell in row.cells.items()
            if cell.missing is not None
        ]


def read_side_by_side(directory: Path) -> SideBySideReport:
    """Read ``run.json`` and ``side-by-side.json``.

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
    return SideBySideReport(
        replace(read_run(directory, RunFile), environment=environment, command=result.command), result
    )
