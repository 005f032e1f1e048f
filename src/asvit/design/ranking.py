"""Order networks by the sum of their ranks over several measures (Algorithm 2, lines 6 to 9)."""

from bisect import bisect_right
from collections.abc import Sequence

from asvit.measure import Measurement
from asvit.metrics import Metric


def rank_sum_order(measurements: Sequence[Measurement], objectives: Sequence[Metric]) -> list[int]:
    """Indices of the valid measurements, best first.

    Sums are those of :func:`rank_sums`. Ties go to the better one by the measure whose relative range is larger, then
    to the next measure, then to the earlier one.

    >>> from asvit.measure import Estimate
    >>> from asvit.metrics import parse_metrics
    >>> def measured(length, ntk):
    ...     return Measurement("", {"length": Estimate.of([length]), "ntk": Estimate.of([ntk])})
    >>> found = [measured(1.0, 9.0), measured(3.0, 8.0), Measurement("", {}, "singular"), measured(2.0, 7.0)]
    >>> rank_sum_order(found, parse_metrics(["length", "ntk"]))
    [1, 3, 0]
    """
    scores = {metric: _scores(measurements, metric) for metric in objectives}
    widest_first = sorted(objectives, key=lambda metric: -relative_range(list(scores[metric].values())))
    sums = rank_sums(measurements, objectives)
    return sorted(sums, key=lambda i: (float(sums[i]), *(-scores[metric][i] for metric in widest_first)))


def rank_sums(measurements: Sequence[Measurement], objectives: Sequence[Metric]) -> dict[int, int]:
    """Sum of ranks by the index of every valid measurement, 0 for one that is best by all measures.

    A network's rank by one measure is the number of valid ones that are strictly better; ranks are added up.

    >>> from asvit.measure import Estimate
    >>> from asvit.metrics import parse_metrics
    >>> found = [Measurement("", {"length": Estimate.of([length])}) for length in (1.0, 3.0, 2.0)]
    >>> rank_sums(found, parse_metrics(["length"]))
    {0: 2, 1: 0, 2: 1}
    """
    sums = {i: 0 for i, measurement in enumerate(measurements) if measurement.valid}
    for metric in objectives:
        scores = _scores(measurements, metric)
        ascending = sorted(scores.values())
        for i, score in scores.items():
            sums[i] += len(ascending) - bisect_right(ascending, score)
    return sums


def _scores(measurements: Sequence[Measurement], metric: Metric) -> dict[int, float]:
    """Mean of every valid measurement by its index, the higher the better."""
    return {
        i: metric.sign * measurement.estimates[metric.name].mean
        for i, measurement in enumerate(measurements)
        if measurement.valid
    }


def relative_range(values: Sequence[float]) -> float:
    """``(max - min) / max |value|``, 0 where all are equal.

    >>> relative_range([1.0, 4.0]), relative_range([0.0, 0.0])
    (0.75, 0.0)
    """
    largest = max((abs(value) for value in values), default=0.0)
    return (max(values) - min(values)) / largest if largest else 0.0
