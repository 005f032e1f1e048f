"""The verdict of a study: how well every score ranks topologies by accuracy, beside counting parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from jaxtyping import Bool, Float

from asvit.measure.estimates import Estimate
from asvit.measure.metrics import METRICS, Metric
from asvit.study.correlation import Interval, kendall, mean_of_top, partial, rank_sum, resamples, same_band
from asvit.study.noise import Variance, ceiling, measurement_reliability
from asvit.study.plan import LEAST_RATIO
from asvit.study.results import Scored, Trained

BASELINE = METRICS["params"]
BANDS = 3
"""Number of bands of parameters, with equally many topologies each."""
FEWEST = 10
"""Topologies below which no score is judged: intervals over so few are no intervals, and bands hold a pair or two."""


@dataclass(frozen=True)
class Score:
    """Something that ranks topologies: a metric as it was measured, or several together."""

    name: str
    symbol: str
    title: str
    better: str
    source: str
    values: Float[np.ndarray, " n"]
    """Values by topology, the higher the better; nan where the measurement is invalid."""
    repeats: Float[np.ndarray, "n repeats"] | None
    """Values by topology and repeat; None where the score is a count."""
    seconds: float


def score_of(metric: Metric, estimates: Sequence[Estimate | None], seconds: float) -> Score:
    """A metric of all topologies, None where it is invalid, its sign turned so that higher is better."""
    values = np.array([np.nan if estimate is None else metric.sign * estimate.mean for estimate in estimates])
    repeats = None
    if not metric.counted:
        width = max((len(estimate.values) for estimate in estimates if estimate is not None), default=1)
        blank = np.full(width, np.nan)
        repeats = np.array([blank if e is None else metric.sign * np.array(e.values) for e in estimates])
    return Score(metric.name, metric.symbol, metric.title, metric.better, metric.source, values, repeats, seconds)


def together(scores: Sequence[Score]) -> Score:
    """The sum of ranks by several scores, which Algorithm 2 goes by; invalid where one of them is."""
    values = np.array([score.values for score in scores])
    valid = np.isfinite(values).all(0)
    summed = np.full(values.shape[1], np.nan)
    summed[valid] = rank_sum([row[valid] for row in values])
    repeats = [score.repeats for score in scores if score.repeats is not None]
    return Score(
        name="+".join(score.name for score in scores),
        symbol=" + ".join(score.symbol for score in scores),
        title="sum of ranks",
        better="higher",
        source="Algorithm 2, lines 6 to 9",
        values=summed,
        repeats=np.array([rank_sum(columns) for columns in zip(*(r.T for r in repeats), strict=True)]).T,
        seconds=sum(score.seconds for score in scores),
    )


def mean_accuracies(trained: Sequence[Trained], topologies: Sequence[str]) -> Float[np.ndarray, " n"]:
    """Mean top-1 accuracy over the trainings of each topology."""
    return np.array(
        [fmean(training.top1 for training in trained if training.network == topology) for topology in topologies]
    )


def judge(
    score: Score, accuracy: Float[np.ndarray, " n"], params: Float[np.ndarray, " n"], accuracy_reliability: float
) -> Scored:
    """All that the table says of a score, on the topologies for which it is valid; nothing where these are too few."""
    valid = np.isfinite(score.values)
    if valid.sum() < FEWEST:
        return _of(score, int(valid.sum()))
    x, y, z = score.values[valid], accuracy[valid], params[valid]
    counts = resamples(len(x))
    xy, xz, yz = kendall(x, y, counts), kendall(x, z, counts), kendall(z, y, counts)
    baseline = score.name == BASELINE.name
    return replace(
        _of(score, int(valid.sum())),
        tau=Interval.of(xy),
        beyond_params=None if baseline else Interval.of(partial(xy, xz, yz)),
        within_bands=Interval.of(kendall(x, y, counts, same_band(z, BANDS))),
        over_params=None if baseline else Interval.of(xy - yz),
        regret=float(accuracy.max()) - mean_of_top(x, y, 1),
        regret_of_five=float(accuracy.max()) - mean_of_top(x, y, 5),
        ceiling=_ceiling(score, valid, accuracy_reliability),
    )


def _of(score: Score, topologies: int) -> Scored:
    """A score of which nothing can be said yet."""
    return Scored(
        name=score.name,
        symbol=score.symbol,
        title=score.title,
        better=score.better,
        source=score.source,
        topologies=topologies,
        tau=None,
        beyond_params=None,
        within_bands=None,
        over_params=None,
        regret=None,
        regret_of_five=None,
        ceiling=None,
        seconds=score.seconds,
    )


def _ceiling(score: Score, valid: Bool[np.ndarray, " n"], accuracy_reliability: float) -> float | None:
    if score.repeats is None:
        return ceiling(accuracy_reliability)
    reliability = measurement_reliability(score.repeats[valid])
    return None if reliability is None else ceiling(accuracy_reliability, reliability)


def sentence(scores: Mapping[str, Scored], pilot: Variance) -> str:
    """Whether the paper's measure ranks better than counting parameters, and whether there was anything to rank."""
    length, params = scores["length"], scores[BASELINE.name]
    if params.topologies < FEWEST:
        return f"No score is judged: this study trained {params.topologies} topologies, and it takes {FEWEST} at least."
    return f"{_comparison(length, params)} {_gate(pilot)}"


def _comparison(length: Scored, params: Scored) -> str:
    if length.topologies < FEWEST:
        valid = f"it is valid for {length.topologies} of {params.topologies} topologies"
        return f"On this data nothing can be said of length distortion: {valid}, and it takes {FEWEST} at least."
    difference = length.over_params
    if length.tau is None or params.tau is None or difference is None:
        return "On this data nothing can be said: all topologies have the same length distortion or as many parameters."
    word = "better than" if difference.low > 0 else "worse than" if difference.high < 0 else "no better than"
    return (
        f"On this data, length distortion ranks {word} counting parameters: "
        f"τ {length.tau} against {params.tau}, difference {difference}, {length.topologies} topologies."
    )


def _gate(pilot: Variance) -> str:
    words = f"In the pilot, accuracies varied {pilot} times as much between topologies as between seeds"
    return f"{words}." if pilot.reaches(LEAST_RATIO) else f"{words}, less than {LEAST_RATIO:g}: they decide little."
