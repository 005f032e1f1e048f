"""What networks cost: counts in closed form, latency and memory by measuring them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from asvit.complexity.usage import Usage
from asvit.errors import UserError
from asvit.networks.architecture import Architecture, Task
from asvit.units import Kind

SHORT, LONG = 10, 50
"""Passes that a latency is the median of: while networks are compared, and for a network that is chosen."""

Meter = Callable[[Architecture, int], Usage]
"""Function from an architecture and a number of passes to its usage: all that growth and families know of a device."""


def no_meter(architecture: Architecture, runs: int) -> Usage:
    """Meter that refuses, where there is no device to measure on."""
    raise UserError("latency and memory are not known here: expected budgets in parameters or multiply-adds")


@dataclass(frozen=True)
class Costs:
    """What networks cost for a task, by kind; a :data:`~asvit.design.budget.CostFunction`.

    >>> Costs()("macs", Architecture.parse("small"))
    5132134656
    """

    task: Task = field(default_factory=Task)
    meter: Meter = no_meter
    runs: int = SHORT
    """Passes that a latency is the median of."""

    @property
    def careful(self) -> "Costs":
        """These costs from longer measurements."""
        return replace(self, runs=LONG)

    def usage(self, architecture: Architecture) -> Usage:
        """Latency and memory on the device at hand."""
        return self.meter(architecture, self.runs)

    def __call__(self, kind: Kind, architecture: Architecture) -> int | float:
        """Parameters, multiply-adds for one image, bytes or seconds."""
        match kind:
            case "params":
                return architecture.params(self.task)
            case "macs":
                return architecture.macs(self.task)
            case "memory":
                return self.usage(architecture).memory
            case "latency":
                return self.usage(architecture).latency
