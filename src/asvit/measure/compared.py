"""Networks side by side, as records: what was measured of each, and what was not and why. Needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asvit.measure.estimates import Estimate
from asvit.measure.ledger import Entry
from asvit.measure.settings import Settings, Use
from asvit.networks.architecture import Task

SIDE_BY_SIDE = "side-by-side.json"
"""What was measured, in the run directory of a family."""


@dataclass(frozen=True)
class Cell:
    """One measure of one network: an estimate, or the reason why there is none."""

    estimate: Estimate | None
    missing: str | None = None
    """Why there is none: the network does not admit the measure, or is invalid by it."""


@dataclass(frozen=True)
class Row:
    """One network by all measures."""

    name: str
    """As it was asked for."""
    subject: str
    """Text form, ``timm:NAME`` or ``package.module:callable``."""
    designed_for: str | None
    """What a member of the family was designed for; None for networks that it stands beside."""
    cells: Mapping[str, Cell]
    """By name of the measure."""


@dataclass(frozen=True)
class SideBySide:
    """A family beside other networks, and how they were measured."""

    task: Task
    settings: Settings
    use: Use
    seed: int
    photographs: str
    """Digest of what the kernel saw."""
    environment: Mapping[str, str | int | None]
    """Versions, device and threads."""
    command: str
    rows: tuple[Row, ...]

    @property
    def metrics(self) -> list[str]:
        """Names of the measures."""
        return list(self.rows[0].cells)


def cell_of(name: str, repeats: Sequence[Mapping[str, Entry]], refused: Mapping[str, str]) -> Cell:
    """A measure over repeats.

    >>> cell_of("ntk", [{"ntk": Entry(2.0, None, 0.1, "")}, {"ntk": Entry(None, "singular", 0.1, "")}], {})
    Cell(estimate=None, missing='invalid: repeat 1: singular')
    """
    if name in refused:
        return Cell(None, refused[name])
    values = []
    for repeat, entries in enumerate(repeats):
        value = entries[name].value
        if value is None:
            return Cell(None, f"invalid: repeat {repeat}: {entries[name].invalid}")
        values.append(value)
    return Cell(Estimate.of(values))
