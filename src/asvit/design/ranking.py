"""Order networks by the sum of their ranks over several measures (Algorithm 2, lines 6 to 9)."""

from collections.abc import Sequence

from asvit.measure import Measurement
from asvit.metrics import Metric


def rank_sum_order(measurements: Sequence[Measurement], objectives: Sequence[Metric]) -> list[int]:
    """Indices of the valid measurements, best first.

    A network's rank by one measure is the number of valid ones that are strictly better; ranks are added up. Ties go
    to the better one by the measure whose relative range is larger, then to the next measure, then to the earlier one.

    >>> from asvit.measure import Estimate
    >>> from asvit.metrics import parse_metrics
    >>> def measured(length, ntk):
    ...     return Measurement("", {"length": Estimate.of([length]), "ntk": Estimate.of([ntk])})
    >>> found = [measured(1.0, 9.0), measured(3.0, 8.0), Measurement("", {}, "singular"), measured(2.0, 7.0)]
    >>> rank_sum_order(found, parse_metrics(["length", "ntk"]))
    [1, 3, 0]
    """
    valid = [i for i, measurement in enumerate(measurements) if measurement.valid]
    scores = {
        metric: {i: metric.sign * measurements[i].estimates[metric.name].mean for i in valid} for metric in objectives
    }
    widest_first = sorted(objectives, key=lambda metric: -relative_range(list(scores[metric].values())))

    def key(i: int) -> tuple[float, ...]:
        rank_sum = sum(sum(other > of[i] for other in of.values()) for of in scores.values())
        return float(rank_sum), *(-scores[metric][i] for metric in widest_first)

    return sorted(valid, key=key)


def relative_range(values: Sequence[float]) -> float:
    """``(max - min) / max |value|``, 0 where all are equal.

    >>> relative_range([1.0, 4.0]), relative_range([0.0, 0.0])
    (0.75, 0.0)
    """
    largest = max((abs(value) for value in values), default=0.0)
    return (max(values) - min(values)) / largest if largest else 0.0
