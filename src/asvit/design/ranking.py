"""Order networks by the weighted sum of their ranks over several measures (Algorithm 2, lines 6 to 9)."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from asvit.errors import UserError, check_number
from asvit.measure.estimates import Measurement
from asvit.measure.metrics import Metric, parse_metrics


@dataclass(frozen=True)
class Objective:
    """A measure by name, with the weight of its ranks and rewards.

    >>> str(Objective("length", weight=2.0)), Objective("ntk").metric.better
    ('length:2', 'lower')
    """

    name: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        parse_metrics([self.name])
        check_number(f"the weight of {self.name}", self.weight, 0, 1_000_000, above=True)

    @property
    def metric(self) -> Metric:
        """The measure."""
        return parse_metrics([self.name])[0]

    def __str__(self) -> str:
        return self.name if self.weight == 1 else f"{self.name}:{self.weight:g}"


def parse_score(text: str) -> tuple[Objective, ...]:
    """Objectives from their text form: ``NAME`` or ``NAME:WEIGHT``, several with commas.

    >>> parse_score("length:2,ntk")
    (Objective(name='length', weight=2.0), Objective(name='ntk', weight=1.0))
    """
    objectives = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)\s*(?::\s*(\d+\.?\d*|\.\d+)\s*)?", part)
        if match is None:
            raise UserError(
                f"cannot read the score {text!r}: expected a measure, or several with weights such as length:2,ntk"
            )
        objectives.append(Objective(match[1], float(match[2] or 1)))
    names = [objective.name for objective in objectives]
    if len(set(names)) < len(names):
        raise UserError(f"the score {text!r} names a measure twice: expected each once, with a weight if need be")
    return tuple(objectives)


OBJECTIVES = parse_score("length,ntk")
"""The paper's objectives: ``L^E``, the higher the better, and ``κ_Θ``, the lower the better, with equal weight."""


def rank_sum_order(measurements: Sequence[Measurement], objectives: Sequence[Objective]) -> list[int]:
    """Indices of the valid measurements, best first.

    Sums are those of :func:`rank_sums`. Ties go to the better one by the measure whose relative range is larger, then
    to the next measure, then to the earlier one.

    >>> from asvit.measure.estimates import Estimate
    >>> def measured(length, ntk):
    ...     return Measurement("", {"length": Estimate.of([length]), "ntk": Estimate.of([ntk])})
    >>> measurements = [measured(1.0, 9.0), measured(3.0, 8.0), Measurement("", {}, "singular"), measured(2.0, 7.0)]
    >>> rank_sum_order(measurements, OBJECTIVES)
    [1, 3, 0]
    """
    scores = {objective: _scores(measurements, objective.metric) for objective in objectives}
    widest_first = sorted(objectives, key=lambda objective: -relative_range(list(scores[objective].values())))
    sums = rank_sums(measurements, objectives)
    return sorted(sums, key=lambda i: (sums[i], *(-scores[objective][i] for objective in widest_first)))


def rank_sums(measurements: Sequence[Measurement], objectives: Sequence[Objective]) -> dict[int, float]:
    """Weighted sum of ranks by the index of every valid measurement, 0 for one that is best by all measures.

    A network's rank by one measure is the number of valid ones that are strictly better; ranks times weights are added
    up.

    >>> from asvit.measure.estimates import Estimate
    >>> measurements = [Measurement("", {"length": Estimate.of([length])}) for length in (1.0, 3.0, 2.0)]
    >>> rank_sums(measurements, parse_score("length"))
    {0: 2.0, 1: 0.0, 2: 1.0}
    """
    sums = {i: 0.0 for i, measurement in enumerate(measurements) if measurement.valid}
    for objective in objectives:
        scores = _scores(measurements, objective.metric)
        ascending = sorted(scores.values())
        for i, score in scores.items():
            sums[i] += objective.weight * (len(ascending) - bisect_right(ascending, score))
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
