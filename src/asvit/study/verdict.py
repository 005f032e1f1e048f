"""The verdict of a study: how well every score ranks topologies by accuracy, beside counting parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from asvit.measure import Estimate
from asvit.metrics import METRICS, Metric
from asvit.study.correlation import Interval, kendall, partial, rank_sum, regret, resamples, same_band
from asvit.study.noise import Variance, ceiling, measurement_reliability
from asvit.study.results import Scored, Trained

BASELINE = METRICS["params"]
BANDS = 3
"""Of parameters, with equally many topologies each."""


@dataclass(frozen=True)
class Score:
    """Something that ranks topologies: a metric as it was measured, or several together."""

    name: str
    symbol: str
    title: str
    better: str
    source: str
    values: np.ndarray
    """The higher the better, by topology; nan where the measurement is invalid."""
    repeats: np.ndarray | None
    """The same by topology and repeat; None where it is a count."""
    seconds: float


def score_of(metric: Metric, estimates: Sequence[Estimate | None], seconds: float) -> Score:
    """A metric of all topologies, None where it is invalid, its sign turned so that higher is better."""
    values = np.array([np.nan if one is None else metric.sign * one.mean for one in estimates])
    repeats = None
    if not metric.counted:
        width = max((len(one.values) for one in estimates if one is not None), default=1)
        blank = np.full(width, np.nan)
        repeats = np.array([blank if one is None else metric.sign * np.array(one.values) for one in estimates])
    return Score(metric.name, metric.symbol, metric.title, metric.better, metric.source, values, repeats, seconds)


def together(scores: Sequence[Score]) -> Score:
    """The sum of ranks by several scores, which Algorithm 2 goes by; invalid where one of them is."""
    values = np.array([score.values for score in scores])
    valid = np.isfinite(values).all(0)
    summed = np.full(values.shape[1], np.nan)
    summed[valid] = rank_sum([row[valid] for row in values])
    symbol = " + ".join(score.symbol for score in scores)
    return Score(
        "+".join(score.name for score in scores),
        symbol,
        "sum of ranks",
        "higher",
        "Algorithm 2, lines 6 to 9",
        summed,
        None,
        sum(score.seconds for score in scores),
    )


def mean_accuracies(trained: Sequence[Trained], topologies: Sequence[str]) -> np.ndarray:
    """Mean top-1 accuracy over the trainings of each topology."""
    return np.array([fmean(one.top1 for one in trained if one.network == topology) for topology in topologies])


def judge(score: Score, accuracy: np.ndarray, params: np.ndarray, accuracy_reliability: float) -> Scored:
    """All that the table says of a score, on the topologies for which it is valid."""
    valid = np.isfinite(score.values)
    x, y, z = score.values[valid], accuracy[valid], params[valid]
    counts = resamples(len(x))
    xy, xz, yz = kendall(x, y, counts), kendall(x, z, counts), kendall(z, y, counts)
    baseline = score.name == BASELINE.name
    return Scored(
        name=score.name,
        symbol=score.symbol,
        title=score.title,
        better=score.better,
        source=score.source,
        topologies=int(valid.sum()),
        tau=Interval.of(xy),
        beyond_params=None if baseline else Interval.of(partial(xy, xz, yz)),
        within_bands=Interval.of(kendall(x, y, counts, same_band(z, BANDS))),
        over_params=None if baseline else Interval.of(xy - yz),
        regret=regret(x, y, 1),
        regret_of_five=regret(x, y, 5),
        ceiling=_ceiling(score, valid, accuracy_reliability),
        seconds=score.seconds,
    )


def _ceiling(score: Score, valid: np.ndarray, accuracy_reliability: float) -> float | None:
    if score.repeats is None:
        return ceiling(accuracy_reliability)
    reliability = measurement_reliability(score.repeats[valid])
    return None if reliability is None else ceiling(accuracy_reliability, reliability)


def sentence(scores: Mapping[str, Scored], pilot: Variance, least_ratio: float) -> str:
    """Whether the paper's measure ranks better than counting parameters, in one sentence."""
    length, params = scores["length"], scores[BASELINE.name]
    if length.tau is None or params.tau is None or length.over_params is None:
        return "On this data nothing can be said: a score is the same for all topologies."
    difference = length.over_params
    word = "better than" if difference.low > 0 else "worse than" if difference.high < 0 else "no better than"
    told = (
        f"On this data, L^E ranks {word} #params: τ {length.tau.value:.2f} [{length.tau.low:.2f}, "
        f"{length.tau.high:.2f}] against {params.tau.value:.2f} [{params.tau.low:.2f}, {params.tau.high:.2f}], "
        f"difference {difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}], "
        f"{length.topologies} topologies."
    )
    if pilot.ratio < least_ratio:
        told += (
            f" The accuracies hardly differ: their variance between topologies is {pilot.ratio:.1f} times that "
            f"between seeds, less than {least_ratio:g}."
        )
    return told
