"""What measuring yields, without torch: estimates with error bars, measurements of a network, and a measure's type."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asvit.networks.architecture import Architecture


@dataclass(frozen=True)
class Estimate:
    """A measure over repeats."""

    mean: float
    standard_error: float | None
    """Of the mean; None with a single repeat."""
    values: tuple[float, ...]
    """One a repeat."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Mean and standard error ``s / √n``.

        >>> Estimate.of([1.0, 3.0])
        Estimate(mean=2.0, standard_error=1.0, values=(1.0, 3.0))
        """
        error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
        return cls(statistics.fmean(values), error, tuple(values))


@dataclass(frozen=True)
class Measurement:
    """What was found for one network: an estimate for every metric, or the reason why it is invalid.

    >>> Measurement("seed", {}, invalid="ntk, repeat 0: the kernel is singular").valid
    False
    """

    subject: str
    estimates: Mapping[str, Estimate]
    """By metric; empty where the measurement is invalid."""
    invalid: str | None = None
    """Why the network has no place in a ranking: a singular kernel, or an output that is not finite."""

    @property
    def valid(self) -> bool:
        """Whether the network may be ranked."""
        return self.invalid is None


Measure = Callable[[Architecture], Measurement]
"""All that search and growth know of measuring."""


def measured_by(values: Callable[[Architecture], Mapping[str, float]]) -> Measure:
    """A measure in closed form: of an architecture, its values by metric. For examples and tests.

    >>> measured_by(lambda architecture: {"params": architecture.params()})(Architecture.parse("small")).subject
    '8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,88'
    """

    def measure(architecture: Architecture) -> Measurement:
        estimates = {name: Estimate.of([float(value)]) for name, value in values(architecture).items()}
        return Measurement(str(architecture), estimates)

    return measure
