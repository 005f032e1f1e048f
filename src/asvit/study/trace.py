"""What a search did, whichever its method: the topologies it measured, in order, and the one it hands over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from asvit.design.ranking import Objective
from asvit.design.search import best_ranked
from asvit.errors import check_whole
from asvit.measure.estimates import Measure, Measurement
from asvit.networks.architecture import Architecture
from asvit.networks.space import Topology


@dataclass(frozen=True)
class Trial:
    """One topology that a search measured."""

    topology: str
    measurement: Measurement


@dataclass(frozen=True)
class Trace:
    """One search by one method."""

    method: str
    """Name in :data:`~asvit.study.rivals.SEARCHERS`."""
    seed: int
    trials: tuple[Trial, ...]
    """Trials in order, those of invalid topologies and of topologies that were tried before among them."""
    result: str | None
    """The topology that the method hands over; None where nothing was valid.

    Algorithm 1 hands over the mode of its policy, which may itself be invalid.
    """

    @property
    def measurements(self) -> Mapping[str, Measurement]:
        """Measurements by topology, each once."""
        return {trial.topology: trial.measurement for trial in self.trials}


def check_measurements(number: int) -> None:
    """Refuse a number of measurements with which a search cannot compare, or does not end.

    >>> check_measurements(1)
    Traceback (most recent call last):
    asvit.errors.UserError: measurements is 1: expected at least 2 and at most 1,000,000
    """
    check_whole("measurements", number, 2, 1_000_000)


class Trials:
    """A measure of seed networks that keeps what it was asked, in order.

    >>> trials = Trials(lambda architecture: Measurement(str(architecture), {}, "singular"), of=2)
    >>> trials(Architecture.parse("seed")).valid, trials.left
    (False, 1)
    """

    def __init__(self, measure: Measure, *, of: int) -> None:
        """Prepare a search of ``of`` measurements."""
        check_measurements(of)
        self.measure = measure
        self.of = of
        self.done: list[Trial] = []

    def __call__(self, architecture: Architecture) -> Measurement:
        """Measure a seed network, one block a stage and ``C = 32``."""
        measurement = self.measure(architecture)
        self.done.append(Trial(str(architecture.topology), measurement))
        return measurement

    def topology(self, topology: Topology) -> Measurement:
        """Measure a topology's seed network."""
        return self(Architecture(topology))

    @property
    def left(self) -> int:
        """Measurements that the search may still make."""
        return self.of - len(self.done)

    @property
    def measurements(self) -> list[Measurement]:
        """Measurements so far, in order."""
        return [trial.measurement for trial in self.done]

    def trace(self, method: str, *, seed: int, objectives: Sequence[Objective]) -> Trace:
        """The search, whose result is the best ranked of its own measurements."""
        trace = Trace(method, seed, tuple(self.done), result=None)
        return replace(trace, result=best_ranked(trace.measurements, objectives))
