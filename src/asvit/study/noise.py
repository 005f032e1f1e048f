"""How much of what is seen is chance: variance between topologies against variance between repeats of one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from jaxtyping import Float
from scipy import stats


@dataclass(frozen=True)
class Variance:
    """One-way analysis of variance of accuracies: topologies, each with several seeds."""

    topologies: int
    seeds: float
    """Trainings of a topology, on average over those trained repeatedly."""
    between: float
    """Between topologies: of the true accuracies, an unbiased estimate that may come out below 0."""
    within: float
    """Between the seeds of one topology."""
    low: float | None
    high: float | None
    """95 % interval of the ratio, exact for normal accuracies and equally many seeds; None where seeds never matter."""

    @property
    def ratio(self) -> float:
        """``σ²_between / σ²_within``; 0 where the first is estimated below it."""
        if self.between <= 0:
            return 0.0
        return self.between / self.within if self.within else math.inf

    def reaches(self, least_ratio: float) -> bool:
        """Whether topologies differ enough; anything is enough for 0."""
        return self.ratio >= least_ratio

    def reliability(self, accuracies: Mapping[str, Sequence[float]]) -> float:
        """Share of the true variance in that of the topologies' mean accuracies.

        ``σ²_between / (σ²_between + σ²_within mean(1 / n_i))`` with ``n_i`` trainings of topology ``i``.
        """
        between = max(0.0, self.between)
        noise = self.within * fmean(1 / len(values) for values in accuracies.values())
        return between / (between + noise) if between else 0.0

    def __str__(self) -> str:
        interval = "" if self.low is None or self.high is None else f" [{self.low:.1f}, {self.high:.1f}]"
        return f"{self.ratio:.1f}{interval}"


def variance_of(accuracies: Mapping[str, Sequence[float]]) -> Variance:
    """Variance between and within topologies, and the interval of their ratio by the F distribution.

    With ``k`` groups of ``n`` values: ``MS_within``, ``MS_between = n var(means)``, ``σ²_between = (MS_between -
    MS_within) / n``; groups of different sizes count with their usual mean size (Searle et al., Variance Components,
    1992, Section 3.6).

    Args:
        accuracies: accuracies by topology, of which those trained at least twice count.

    >>> variance_of({"a": [0.0, 2.0], "b": [4.0, 6.0]}).ratio
    3.5
    """
    groups = [np.asarray(values, float) for values in accuracies.values() if len(values) > 1]
    k, sizes = len(groups), np.array([len(group) for group in groups], float)
    total = sizes.sum()
    usual = (total - (sizes**2).sum() / total) / (k - 1)
    mean = np.concatenate(groups).mean()
    ms_between = float(sum(len(group) * (group.mean() - mean) ** 2 for group in groups) / (k - 1))
    ms_within = float(sum(((group - group.mean()) ** 2).sum() for group in groups) / (total - k))
    between = (ms_between - ms_within) / float(usual)
    if not ms_within:
        return Variance(k, float(sizes.mean()), between, ms_within, None, None)
    low, high = (float((ms_between / ms_within / stats.f.ppf(p, k - 1, total - k) - 1) / usual) for p in (0.975, 0.025))
    return Variance(k, float(sizes.mean()), between, ms_within, max(low, 0.0), max(high, 0.0))


def measurement_reliability(values: Float[np.ndarray, "topologies repeats"]) -> float | None:
    """Share of true variance in the mean over repeats of a measure; None with a single repeat.

    Repeats share weights' seed, circle and images, so what a repeat adds to all topologies alike is no noise: two-way
    analysis of variance without replication, ``1 - MS_residual / MS_topologies``.

    Args:
        values: the measure of every topology in every repeat.

    >>> measurement_reliability(np.array([[1.0, 11.0], [2.0, 12.0], [3.0, 13.0]]))
    1.0
    """
    n, repeats = values.shape
    if repeats < 2:
        return None
    means = values.mean(1)
    ms_topologies = repeats * ((means - values.mean()) ** 2).sum() / (n - 1)
    residual = values - means[:, None] - values.mean(0) + values.mean()
    ms_residual = (residual**2).sum() / ((n - 1) * (repeats - 1))
    return max(0.0, 1 - float(ms_residual / ms_topologies)) if ms_topologies else None


def ceiling(*reliabilities: float) -> float:
    """Kendall τ between two noisy views of the same normal quantity, ``2/π arcsin √(r₁ r₂ ..)``.

    >>> ceiling(1.0), round(ceiling(0.5, 0.5), 3)
    (1.0, 0.333)
    """
    return 2 / math.pi * math.asin(math.sqrt(math.prod(reliabilities)))
