"""Networks side by side: every measure that each of them admits, by the same draws, on the same device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asvit.errors import NotAdmitted
from asvit.measure.compared import Row, cell_of
from asvit.measure.ledger import Entry
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Settings
from asvit.measure.subject import Subject


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
        measurer: measurer with settings, task and metrics.
        entrants: one or more networks.
        on_measured: function that is called with the number of networks' repeats that are done, and the name of the
            last network.
    """
    names = [metric.name for metric in measurer.metrics]
    refused = [refusal(entrant.subject, measurer.settings, names) for entrant in entrants]
    repeats: list[list[dict[str, Entry]]] = [[] for _ in entrants]
    measurer.begin(entrant.subject for i, entrant in enumerate(entrants) if len(refused[i]) < len(names))
    for repeat in range(measurer.settings.repeats):
        for i, entrant in enumerate(entrants):
            if len(refused[i]) < len(names):
                repeats[i].append(measurer.repeat(entrant.subject, repeat, refused=refused[i]))
            on_measured(repeat * len(entrants) + i + 1, entrant.name)
    return tuple(
        Row(
            entrant.name,
            entrant.subject.name,
            entrant.designed_for,
            {name: cell_of(name, repeats[i], refused[i]) for name in names},
        )
        for i, entrant in enumerate(entrants)
    )


def refusal(subject: Subject, settings: Settings, metrics: Sequence[str]) -> dict[str, str]:
    """All metrics with the reason why a network cannot be measured; nothing where it can."""
    try:
        subject.check(settings.initialisation)
    except NotAdmitted as error:
        return dict.fromkeys(metrics, str(error))
    return {}
