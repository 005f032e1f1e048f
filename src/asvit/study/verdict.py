"""The verdict of a study: how well every score ranks topologies by accuracy, beside counting parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np
from jaxtyping import Bool, Float

from asvit.measure.estimates import Estimate
from asvit.measure.ledger import Cost
from asvit.measure.metrics import METRICS, Metric
from asvit.study.correlation import Interval, kendall, mean_of_top, partial, rank_sum, resamples, same_band
from asvit.study.noise import Variance, ceiling, measurement_reliability
from asvit.study.plan import LEAST_RATIO
from asvit.study.results import Scored, Trained

SEARCHED_BY = ("length", "ntk")
"""Metrics whose ranks the paper's growth adds up."""
BANDS = 3
"""Number of bands of the baseline, with equally many topologies each."""
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


def scores_of(
    names: Sequence[str], measured: Sequence[Mapping[str, Estimate]], costs: Sequence[Mapping[str, Cost]]
) -> dict[str, Score]:
    """Metrics of all topologies by name, each with the median of the seconds that it took.

    Args:
        names: names of the metrics.
        measured: what was measured of each topology, without what is invalid.
        costs: time that it took.
    """

    def seconds(name: str) -> float:
        return median([cost[name].seconds for cost in costs if name in cost] or [0.0])

    return {name: score_of(METRICS[name], [row.get(name) for row in measured], seconds(name)) for name in names}


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


def best_plain(scores: Sequence[Score], accuracy: Float[np.ndarray, " n"]) -> Score:
    """The plain number that ranks best, of those that are known of all networks: what a measure has to beat.

    It was picked by the same accuracies, which flatter it: a measure that is better is so in spite of that.
    """
    known = [score for score in scores if METRICS[score.name].plain and np.isfinite(score.values).all()]
    whole = np.ones((1, len(accuracy)), int)
    return max(known, key=lambda score: np.nan_to_num(kendall(score.values, accuracy, whole)[0], nan=-1.0))


def judge(
    score: Score, accuracy: Float[np.ndarray, " n"], baseline: Score, accuracy_reliability: float | None
) -> Scored:
    """All that the table says of a score, on the topologies for which it is valid; nothing where these are too few.

    Args:
        score: what ranks the topologies.
        accuracy: accuracies by topology.
        baseline: what the score is compared with.
        accuracy_reliability: share of true variance in that of the accuracies; None where nobody knows.
    """
    valid = np.isfinite(score.values)
    if valid.sum() < FEWEST:
        return _of(score, int(valid.sum()))
    x, y, z = score.values[valid], accuracy[valid], baseline.values[valid]
    counts = resamples(len(x))
    xy, xz, yz = kendall(x, y, counts), kendall(x, z, counts), kendall(z, y, counts)
    itself = score.name == baseline.name
    return replace(
        _of(score, int(valid.sum())),
        tau=Interval.of(xy),
        beyond_baseline=None if itself else Interval.of(partial(xy, xz, yz)),
        within_bands=Interval.of(kendall(x, y, counts, same_band(z, BANDS))),
        over_baseline=None if itself else Interval.of(xy - yz),
        regret=float(accuracy.max()) - mean_of_top(x, y, 1),
        regret_of_five=float(accuracy.max()) - mean_of_top(x, y, 5),
        ceiling=_ceiling(score, valid, accuracy_reliability),
    )


def judge_all(
    scores: Mapping[str, Score],
    accuracy: Float[np.ndarray, " n"],
    baseline: Score,
    accuracy_reliability: float | None,
) -> dict[str, Scored]:
    """What the table says of every score, and of the sum of ranks that the paper's growth goes by, by name."""
    every = [*scores.values(), together([scores[name] for name in SEARCHED_BY])]
    return {score.name: judge(score, accuracy, baseline, accuracy_reliability) for score in every}


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
        beyond_baseline=None,
        within_bands=None,
        over_baseline=None,
        regret=None,
        regret_of_five=None,
        ceiling=None,
        seconds=score.seconds,
    )


def _ceiling(score: Score, valid: Bool[np.ndarray, " n"], accuracy_reliability: float | None) -> float | None:
    if accuracy_reliability is None:
        return None
    if score.repeats is None:
        return ceiling(accuracy_reliability)
    reliability = measurement_reliability(score.repeats[valid])
    return None if reliability is None else ceiling(accuracy_reliability, reliability)


def sentence(scores: Mapping[str, Scored], baseline: str, pilot: Variance) -> str:
    """Whether the paper's measure ranks better than the baseline, and whether there was anything to rank."""
    length, plain = scores["length"], scores[baseline]
    if plain.topologies < FEWEST:
        return f"No score is judged: this study trained {plain.topologies} topologies, and it takes {FEWEST} at least."
    return f"{comparison(length, plain)} {_gate(pilot)}"


def comparison(length: Scored, plain: Scored) -> str:
    """Whether the paper's measure ranks better than the baseline."""
    if length.topologies < FEWEST:
        valid = f"it is valid for {length.topologies} of {plain.topologies} networks"
        return f"On this data nothing can be said of length distortion: {valid}, and it takes {FEWEST} at least."
    difference = length.over_baseline
    counted = "counting parameters" if plain.name == "params" else f"the best plain number, {plain.title}"
    if length.tau is None or plain.tau is None or difference is None:
        return f"On this data nothing can be said: length distortion or {counted} is the same for all."
    word = "better than" if difference.low > 0 else "worse than" if difference.high < 0 else "no better than"
    return (
        f"On this data, length distortion ranks {word} {counted}: "
        f"τ {length.tau} against {plain.tau}, difference {difference}, {length.topologies} networks."
    )


def _gate(pilot: Variance) -> str:
    words = f"In the pilot, accuracies varied {pilot} times as much between topologies as between seeds"
    return f"{words}." if pilot.reaches(LEAST_RATIO) else f"{words}, less than {LEAST_RATIO:g}: they decide little."
