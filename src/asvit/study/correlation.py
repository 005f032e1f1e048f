"""Kendall's rank correlation τ_b, partial and within bands, for a sample and for all its bootstrap resamples at once.

A resample counts topology ``i`` ``w_i`` times, and τ_b of it is a ratio of sums over pairs, ``Σ w_i w_j a_ij b_ij /
√(Σ w_i w_j a_ij² · Σ w_i w_j b_ij²)`` with signs ``a_ij = sign(x_i - x_j)``: a matrix product for all resamples.

Shapes: ``n`` topologies, ``R`` resamples, ``rows`` a sample with its resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Num

RESAMPLES = 2000
LEVEL = 0.95
"""Confidence level of all intervals."""


def resamples(n: int, *, seed: int = 0, count: int = RESAMPLES) -> Int[np.ndarray, "rows n"]:
    """How often each topology counts: the sample itself, once each, then bootstrap resamples."""
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), count)
    return np.vstack([np.ones((1, n), int), drawn])


def kendall(
    x: Num[np.ndarray, " n"],
    y: Num[np.ndarray, " n"],
    counts: Num[np.ndarray, "rows n"],
    pairs: Bool[np.ndarray, "n n"] | None = None,
) -> Float[np.ndarray, " rows"]:
    """τ_b of the sample and of its resamples; nan where one of both is constant.

    Args:
        x: a score of ``n`` topologies.
        y: their accuracies.
        counts: how often each topology counts, from :func:`resamples`.
        pairs: True for pairs that count; None: all.

    >>> x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    >>> round(float(kendall(x, y, np.ones((1, 3)))[0]), 3)
    0.333
    """
    a, b = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    if pairs is not None:
        a, b = a * pairs, b * pairs

    def total(matrix: Num[np.ndarray, "n n"]) -> Num[np.ndarray, " rows"]:
        return ((counts @ matrix) * counts).sum(1)

    with np.errstate(invalid="ignore"):
        return total(a * b) / np.sqrt(total(a * a) * total(b * b))


def partial(
    xy: Float[np.ndarray, " rows"], xz: Float[np.ndarray, " rows"], yz: Float[np.ndarray, " rows"]
) -> Float[np.ndarray, " rows"]:
    """Kendall's partial τ of ``x`` and ``y`` given ``z``: ``(τ_xy - τ_xz τ_yz) / √((1 - τ_xz²)(1 - τ_yz²))``.

    >>> partial(np.array([0.5]), np.array([0.0]), np.array([0.0])).tolist()
    [0.5]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))


def same_band(z: Num[np.ndarray, " n"], bands: int) -> Bool[np.ndarray, "n n"]:
    """Whether two topologies are in the same of some bands of ``z`` with equally many each.

    >>> same_band(np.array([1.0, 2.0, 8.0, 9.0]), 2).astype(int).tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    """
    band = np.empty(len(z), int)
    band[np.argsort(z, kind="stable")] = np.arange(len(z)) * bands // len(z)
    return band[:, None] == band


@dataclass(frozen=True)
class Interval:
    """A statistic with its bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    @classmethod
    def of(cls, values: Float[np.ndarray, " rows"]) -> "Interval | None":
        """Interval of a statistic of the sample, first, and of its resamples; None where it is undefined (constants).

        >>> interval = Interval.of(np.array([8.0, *range(41)]))
        >>> interval.value, round(interval.low), round(interval.high)
        (8.0, 1, 39)
        """
        if not np.isfinite(values[0]):
            return None
        tail = 100 * (1 - LEVEL) / 2
        low, high = np.nanpercentile(values[1:], [tail, 100 - tail])
        return cls(float(values[0]), float(low), float(high))


def mean_of_top(score: Num[np.ndarray, " n"], accuracy: Float[np.ndarray, " n"], top: int) -> float:
    """Mean accuracy of the topologies with the highest scores; among equal ones, of those drawn by lot.

    >>> mean_of_top(np.array([3.0, 2.0, 1.0]), np.array([0.5, 0.75, 1.0]), top=2)
    0.625
    """
    top = min(top, len(score))
    least = np.sort(score)[-top]
    above, equal = accuracy[score > least], accuracy[score == least]
    return float((above.sum() + (top - len(above)) * equal.mean()) / top)


def rank_sum(scores: Sequence[Num[np.ndarray, " n"]]) -> Float[np.ndarray, " n"]:
    """Minus the sum of ranks by several scores, each the higher the better (Algorithm 2, lines 6 to 9).

    >>> rank_sum([np.array([1.0, 2.0]), np.array([5.0, 9.0])]).tolist()
    [-2.0, -0.0]
    """
    return -np.sum([(score[None, :] > score[:, None]).sum(1) for score in scores], axis=0, dtype=float)
