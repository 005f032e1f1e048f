"""Which search finds more with the same measurements: one yardstick for all, mean and error bar over seeds."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from asvit.design.ranking import OBJECTIVES, Objective, rank_sums
from asvit.errors import UserError
from asvit.measure.estimates import Estimate, Measurement
from asvit.study.trace import Trace


class Yardstick:
    """How good a topology is among all that any of the compared searches measured, each counted once.

    The share of the valid ones that it is at least as good as, by the sum of ranks of Algorithm 2: 1 for the best,
    0 for an invalid one.

    >>> from asvit.design.ranking import parse_score
    >>> found = {str(i): Measurement("", {"length": Estimate.of([float(i)])}) for i in range(4)}
    >>> yardstick = Yardstick(found | {"x": Measurement("", {}, "singular")}, parse_score("length"))
    >>> [yardstick(name) for name in "03x"]
    [0.25, 1.0, 0.0]
    """

    def __init__(self, measurements: Mapping[str, Measurement], objectives: Sequence[Objective] = OBJECTIVES) -> None:
        """Rank all valid measurements, by topology."""
        names = list(measurements)
        sums = rank_sums(list(measurements.values()), objectives)
        ascending = sorted(sums.values())
        self._shares = dict.fromkeys(names, 0.0) | {
            names[i]: 1 - bisect_left(ascending, rank_sum) / len(ascending) for i, rank_sum in sums.items()
        }

    def __call__(self, topology: str) -> float:
        """Share of the valid topologies that this one is at least as good as."""
        return self._shares[topology]

    def best_so_far(self, trace: Trace) -> list[float]:
        """The best topology of a search after each of its measurements."""
        return list(accumulate((self(trial.topology) for trial in trace.trials), max))


@dataclass(frozen=True)
class MethodScore:
    """One method's searches: every number is a mean over seeds with its standard error."""

    method: str
    seeds: tuple[int, ...]
    result: Estimate
    """Yardstick of the topology that the method hands over."""
    best: Estimate
    """Yardstick of the best topology that it measured, in hindsight of all searches."""
    extremes: Mapping[str, Estimate]
    """Best value of each objective that it measured, wherever the other objective was."""
    distinct: Estimate
    """Number of different topologies that it measured."""
    invalid: Estimate
    """Share of its measurements that were invalid."""


def compare(traces: Sequence[Trace], objectives: Sequence[Objective] = OBJECTIVES) -> list[MethodScore]:
    """Scores of several methods' searches, in the order of their first.

    Args:
        traces: searches of equal length with the same measure, as many seeds a method as there are.
        objectives: what topologies are ranked by.

    Raises:
        UserError: lengths differ, a search is there twice or found nothing valid, or two measured a topology
            differently.

    >>> from asvit.study.rivals import random_search
    >>> from asvit.measure.estimates import measured_by
    >>> measure = measured_by(lambda architecture: {"length": architecture.params(), "ntk": 1.0})
    >>> traces = [random_search(measure, 4, seed=seed) for seed in range(2)]
    >>> [(score.method, score.seeds, score.distinct.mean) for score in compare(traces)]
    [('random', (0, 1), 4.0)]
    """
    yardstick = Yardstick(union(traces), objectives)
    by_method: dict[str, list[Trace]] = {}
    for trace in traces:
        by_method.setdefault(trace.method, []).append(trace)
    return [_score(method, own, yardstick, objectives) for method, own in by_method.items()]


def union(traces: Sequence[Trace]) -> dict[str, Measurement]:
    """All that comparable searches measured, by topology.

    >>> from asvit.study.rivals import random_search
    >>> from asvit.measure.estimates import measured_by
    >>> measure = measured_by(lambda architecture: {"length": architecture.params(), "ntk": 1.0})
    >>> traces = [random_search(measure, 4, seed=seed) for seed in range(2)]
    >>> len(union(traces))
    8
    """
    lengths = sorted({len(trace.trials) for trace in traces})
    if not traces:
        raise UserError("there is no search to compare: expected at least one")
    if len(lengths) > 1:
        raise UserError(f"searches of {lengths} measurements cannot be compared: expected all of the same length")
    searches = Counter((trace.method, trace.seed) for trace in traces)
    for (method, seed), times in searches.items():
        if times > 1:
            raise UserError(f"{method} with seed {seed} is there {times} times: expected each search once")
    measurements: dict[str, Measurement] = {}
    for trace in traces:
        if not any(trial.measurement.valid for trial in trace.trials):
            raise UserError(f"{trace.method} with seed {trace.seed} found no valid topology: search longer")
        for trial in trace.trials:
            if measurements.setdefault(trial.topology, trial.measurement) != trial.measurement:
                raise UserError(
                    f"{trial.topology} was measured differently by {trace.method} with seed {trace.seed} than before: "
                    "compare searches with the same measure, its seed included"
                )
    return measurements


def _score(method: str, own: Sequence[Trace], yardstick: Yardstick, objectives: Sequence[Objective]) -> MethodScore:
    return MethodScore(
        method=method,
        seeds=tuple(trace.seed for trace in own),
        result=Estimate.of([_of_result(trace, yardstick) for trace in own]),
        best=Estimate.of([yardstick.best_so_far(trace)[-1] for trace in own]),
        extremes={
            objective.name: Estimate.of([_extreme(trace, objective) for trace in own]) for objective in objectives
        },
        distinct=Estimate.of([float(len(trace.measurements)) for trace in own]),
        invalid=Estimate.of([_invalid_share(trace) for trace in own]),
    )


def _of_result(trace: Trace, yardstick: Yardstick) -> float:
    """Yardstick of what a search hands over: since something was valid, there is a result, though perhaps invalid."""
    assert trace.result is not None
    return yardstick(trace.result)


def _extreme(trace: Trace, objective: Objective) -> float:
    means = [trial.measurement.estimates[objective.name].mean for trial in trace.trials if trial.measurement.valid]
    return max(means, key=lambda mean: objective.metric.sign * mean)


def _invalid_share(trace: Trace) -> float:
    return sum(not trial.measurement.valid for trial in trace.trials) / len(trace.trials)
