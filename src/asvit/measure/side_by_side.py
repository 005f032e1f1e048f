"""Networks side by side: every measure that each of them admits, by the same draws, on the same device."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asvit.measure.ledger import Entry
from asvit.measure.measurer import Estimate, Measurer
from asvit.measure.settings import Settings, Use
from asvit.measure.subject import Subject
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


@dataclass(frozen=True)
class Entrant:
    """A network that is to be measured, and what is said of it."""

    name: str
    subject: Subject
    designed_for: str | None = None


def measure_side_by_side(
    measurer: Measurer, entrants: Sequence[Entrant], on_measured: Callable[[int, str], None] = lambda done, name: None
) -> tuple[Row, ...]:
    """Measure all networks, repeat by repeat: what slows the machine for a while slows all of them.

    Args:
        measurer: settings, task and metrics.
        entrants: one or more networks.
        on_measured: called with the number of networks' repeats that are done, and with the last network.
    """
    refused: list[dict[str, str]] = [{} for _ in entrants]
    repeats: list[list[dict[str, Entry]]] = [[] for _ in entrants]
    for repeat in range(measurer.settings.repeats):
        for i, entrant in enumerate(entrants):
            repeats[i].append(measurer.repeat(entrant.subject, repeat, refused=refused[i]))
            on_measured(repeat * len(entrants) + i + 1, entrant.name)
    names = [metric.name for metric in measurer.metrics]
    return tuple(
        Row(
            entrant.name,
            entrant.subject.name,
            entrant.designed_for,
            {name: cell_of(name, repeats[i], refused[i]) for name in names},
        )
        for i, entrant in enumerate(entrants)
    )


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
