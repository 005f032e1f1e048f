"""Networks side by side, as records: what was measured of each, and what was not and why. Needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asvit.measure.estimates import Estimate
from asvit.measure.ledger import Entry
from asvit.measure.settings import Settings, Use
from asvit.networks.architecture import Task

SIDE_BY_SIDE = "side-by-side.json"
"""File of the measurements in the run directory of a family."""


@dataclass(frozen=True)
class Cell:
    """One measure of one network: an estimate, or the reason why there is none."""

    estimate: Estimate | None
    missing: str | None = None
    """Reason why there is no estimate: the network does not admit the measure, or is invalid by it."""


@dataclass(frozen=True)
class Row:
    """One network by all measures."""

    name: str
    """Name by which the network was asked for."""
    subject: str
    """Name of what was measured: text form, ``timm:NAME`` or ``package.module:callable``."""
    designed_for: str | None
    """Budget that a member of the family was designed for; None for the networks that it is compared with."""
    cells: Mapping[str, Cell]
    """Cell of every measure, by the measure's name."""


@dataclass(frozen=True)
class SideBySide:
    """A family beside other networks, and how they were measured."""

    task: Task
    settings: Settings
    use: Use
    seed: int
    photographs: str
    """Digest of the photographs that the kernel saw."""
    environment: Mapping[str, str | int | None]
    """Versions, device and threads."""
    command: str
    rows: tuple[Row, ...]

    @property
    def metrics(self) -> list[str]:
        """Names of the measures."""
        return list(self.rows[0].cells)


def cell_of(name: str, repeats: Sequence[Mapping[str, Entry]], refused: Mapping[str, str]) -> Cell:
    """The cell of one measure of a network, from all of its repeats.

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
