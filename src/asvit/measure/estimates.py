"""What measuring yields, without torch: estimates with error bars, measurements of a network, and a measure's type."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asvit.networks.architecture import Architecture

Z = 1.959964
"""Standard deviations of a normal distribution on either side of its mean that hold 95 % of it."""


@dataclass(frozen=True)
class Estimate:
    """A measure over repeats."""

    mean: float
    standard_error: float | None
    """Standard error of the mean; None with a single repeat."""
    values: tuple[float, ...]
    """Value of each repeat."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Estimate from the values of all repeats: their mean and its standard error ``s / √n``.

        >>> Estimate.of([1.0, 3.0])
        Estimate(mean=2.0, standard_error=1.0, values=(1.0, 3.0))
        """
        error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
        return cls(statistics.fmean(values), error, tuple(values))


def wilson(right: int | float, images: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share that was seen in some images.

    >>> [round(end, 3) for end in wilson(92, 100)], [round(end, 3) for end in wilson(5, 5)]
    ([0.85, 0.959], [0.566, 1.0])
    """
    share, spread = right / images, Z**2 / images
    middle = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / images + spread / (4 * images)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Measurement:
    """What was measured of one network: an estimate for every metric, or the reason why it is invalid.

    >>> Measurement("seed", {}, invalid="ntk, repeat 0: the kernel is singular").valid
    False
    """

    subject: str
    estimates: Mapping[str, Estimate]
    """Estimates by metric; empty where the measurement is invalid."""
    invalid: str | None = None
    """Reason why the network cannot be ranked, a singular kernel or an output that is not finite; None where it can."""

    @property
    def valid(self) -> bool:
        """Whether the network may be ranked."""
        return self.invalid is None


Measure = Callable[[Architecture], Measurement]
"""Function from an architecture to its measurement: all that search and growth know of measuring."""


Ahead = Callable[[Sequence[Architecture]], None]
"""Function that is told which architectures are measured next, and may begin with them side by side."""


def one_by_one(architectures: Sequence[Architecture]) -> None:
    """Begin with none of the architectures that are measured next."""


def measured_by(values: Callable[[Architecture], Mapping[str, float]]) -> Measure:
    """A measure in closed form, from a function that gives an architecture's values by metric; for examples and tests.

    >>> measured_by(lambda architecture: {"params": architecture.params()})(Architecture.parse("small")).subject
    '8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,88'
    """

    def measure(architecture: Architecture) -> Measurement:
        estimates = {name: Estimate.of([float(value)]) for name, value in values(architecture).items()}
        return Measurement(str(architecture), estimates)

    return measure
