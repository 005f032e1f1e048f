"""How much of what is seen is chance: variance between topologies against variance between repeats of one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
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
    low: float
    high: float
    """95 % interval of the ratio, if both are normal."""

    @property
    def ratio(self) -> float:
        """``σ²_between / σ²_within``."""
        return self.between / self.within if self.within else math.inf

    def reliability(self, trainings: int | float) -> float:
        """Share of the true variance in that of means over some trainings of each topology.

        ``σ²_between / (σ²_between + σ²_within / n)``
        """
        between = max(0.0, self.between)
        return between / (between + self.within / trainings) if between else 0.0


def variance_of(accuracies: Mapping[str, Sequence[float]]) -> Variance:
    """Variance between and within topologies, and the interval of their ratio by the F distribution.

    With ``k`` groups of ``n`` values: ``MS_within``, ``MS_between = n var(means)``, ``σ²_between = (MS_between -
    MS_within) / n``; groups of different sizes count with their usual mean size (Searle et al., Variance Components,
    1992, Section 3.6).

    Args:
        accuracies: of the topologies that were trained at least twice.

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
    f = ms_between / ms_within if ms_within else math.inf
    low, high = (float((f / stats.f.ppf(p, k - 1, total - k) - 1) / usual) for p in (0.975, 0.025))
    return Variance(k, float(sizes.mean()), (ms_between - ms_within) / float(usual), ms_within, low, high)


def measurement_reliability(values: np.ndarray) -> float | None:
    """Share of true variance in the mean over repeats of a measure, by ranks; None with a single repeat.

    Every repeat ranks all topologies. Repeats share weights' seed, circle and images, so what a repeat adds to all
    topologies alike is no noise, and ranks leave it out: two-way analysis of variance of the ranks,
    ``1 - MS_residual / MS_topologies``.

    Args:
        values: topologies x repeats.

    >>> measurement_reliability(np.array([[1.0, 11.0], [2.0, 12.0], [3.0, 13.0]]))
    1.0
    """
    n, repeats = values.shape
    if repeats < 2:
        return None
    ranks = stats.rankdata(values, axis=0)
    means = ranks.mean(1)
    ms_topologies = repeats * ((means - ranks.mean()) ** 2).sum() / (n - 1)
    residual = ranks - means[:, None] - ranks.mean(0) + ranks.mean()
    ms_residual = (residual**2).sum() / ((n - 1) * (repeats - 1))
    return max(0.0, 1 - float(ms_residual / ms_topologies)) if ms_topologies else None


def ceiling(*reliabilities: float) -> float:
    """Kendall τ between two noisy views of the same normal quantity, ``2/π arcsin √(r₁ r₂ ..)``.

    >>> ceiling(1.0), round(ceiling(0.5, 0.5), 3)
    (1.0, 0.333)
    """
    return 2 / math.pi * math.asin(math.sqrt(math.prod(reliabilities)))
