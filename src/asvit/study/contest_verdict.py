"""What a contest says in words: whether networks chosen in some way do better than those chosen at random."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from asvit.measure.estimates import Estimate
from asvit.study.contest import ScalingContest, SearchContest, Standing
from asvit.study.correlation import LEVEL, Interval

RANDOM = "random"
"""What all ways are compared with."""


@dataclass(frozen=True)
class Compared:
    """The ways of choosing networks of one size, against random choice."""

    size: str
    differences: Mapping[str, Interval]
    """Mean of a way less that of random choice, with intervals that hold together at 95 %."""
    left_out: tuple[str, ...]
    """Ways of which nothing can be said: a single run tells nothing from chance, nor do runs that never differ."""

    @property
    def better(self) -> list[str]:
        """Ways whose interval lies above 0."""
        return [way for way, interval in self.differences.items() if interval.low > 0]

    @property
    def worse(self) -> list[str]:
        """Ways whose interval lies below 0."""
        return [way for way, interval in self.differences.items() if interval.high < 0]


def against_random(size: str, found: Mapping[str, Estimate]) -> Compared:
    """Each way's mean less that of random choice: Welch's t intervals, widened for their number as Bonferroni does.

    Args:
        size: what the networks were chosen for.
        found: how good they are, by way; values are those of the runs.

    >>> found = {"random": Estimate.of([0.0, 0.2]), "tpe": Estimate.of([0.9, 1.1]), "swin": Estimate.of([1.0])}
    >>> compared = against_random("", found)
    >>> print(compared.differences["tpe"])
    0.90 [0.29, 1.51]
    >>> compared.better, compared.worse, compared.left_out
    (['tpe'], [], ('swin',))
    """
    others = {way: estimate for way, estimate in found.items() if way != RANDOM}
    random = found.get(RANDOM)
    asked = {way: estimate for way, estimate in others.items() if random is not None and _vary(estimate, random)}
    level = 1 - (1 - LEVEL) / max(1, len(asked))
    differences: dict[str, Interval] = {}
    for way, estimate in asked.items():
        assert random is not None
        differences[way] = welch(estimate, random, level)
    return Compared(size, differences, tuple(way for way in others if way not in asked))


def welch(one: Estimate, other: Estimate, level: float) -> Interval:
    """Difference of two means with its interval by Welch's t: ``m₁ - m₂ ± t √(e₁² + e₂²)``, ``e`` standard errors.

    The quantile ``t`` is that of ``(e₁² + e₂²)² / (e₁⁴ / (n₁ - 1) + e₂⁴ / (n₂ - 1))`` degrees of freedom.

    Args:
        one: a mean of several values.
        other: another; the values of one of them differ.
        level: confidence level.

    >>> print(welch(Estimate.of([1.0, 3.0]), Estimate.of([0.0, 2.0]), 0.95))
    1.00 [-5.08, 7.08]
    """
    assert one.standard_error is not None
    assert other.standard_error is not None
    a, b = one.standard_error**2, other.standard_error**2
    degrees = (a + b) ** 2 / (a**2 / (len(one.values) - 1) + b**2 / (len(other.values) - 1))
    half = float(stats.t.ppf((1 + level) / 2, degrees)) * math.sqrt(a + b)
    middle = one.mean - other.mean
    return Interval(middle, middle - half, middle + half)


def _vary(*estimates: Estimate) -> bool:
    """Whether each has several runs, and some of them differ."""
    return all(one.standard_error is not None for one in estimates) and any(one.standard_error for one in estimates)


def trained_against_random(standings: Sequence[Standing]) -> list[Compared]:
    """Accuracies of all ways against those of random choice, for each size."""
    sizes = dict.fromkeys(standing.size for standing in standings)
    own = {size: [one for one in standings if one.size == size and one.top1 is not None] for size in sizes}
    return [against_random(size, {one.way: one.top1 for one in rows if one.top1}) for size, rows in own.items() if rows]


def sentences_of_searches(result: SearchContest) -> list[str]:
    """Whether a search finds more accurate networks than random search does; by the score alone where none is trained.

    Args:
        result: searches of several methods.
    """
    if result.trained:
        return _by_accuracy(trained_against_random(result.standings), "search")
    by_score = against_random("", {method.method: method.result for method in result.methods})
    said = "Which search finds the more accurate networks is not known: nothing was trained."
    return [
        said,
        f"By the score alone: {_of(by_score)}",
        *_explained([by_score], "share of all measured topologies that are no better, in points"),
    ]


def sentences_of_rules(result: ScalingContest) -> list[str]:
    """Whether a rule scales to more accurate networks than chance does.

    Args:
        result: networks of several rules.
    """
    if not result.trained:
        return ["Which rule gives the more accurate networks is not known: nothing was trained."]
    return _by_accuracy(trained_against_random(result.standings), "rule")


def _by_accuracy(compared: Sequence[Compared], noun: str) -> list[str]:
    if not any(one.differences for one in compared):
        return [f"Nothing can be said of any {noun}: that takes several runs of it and of {RANDOM}; give --runs 3."]
    shown = any(one.better for one in compared)
    head = f"A {noun} is shown to beat chance." if shown else f"No {noun} is shown to beat chance."
    said = [f"{f'Within {one.size}: ' * bool(one.size)}{_of(one)}" for one in compared]
    return [head, *said, *_explained(compared, "top-1 in points")]


def _of(compared: Compared) -> str:
    """What is known of each way."""
    same = [way for way in compared.differences if way not in (*compared.better, *compared.worse)]
    known = (("better than", compared.better), ("worse than", compared.worse), ("no better than", same))
    clauses = [
        f"{_listed([f'{way} {_points(compared.differences[way])}' for way in ways])} did {word} {RANDOM}"
        for word, ways in known
        if ways
    ]
    if compared.left_out:
        few = _listed(compared.left_out)
        clauses.append(f"of {few} nothing can be said, which takes several runs, of {RANDOM} too")
    return f"{'; '.join(clauses) or f'there is nothing beside {RANDOM}'}."


def _points(interval: Interval) -> str:
    """A difference of shares in points, with its sign.

    >>> _points(Interval(0.0036, -0.018, 0.025))
    '+0.4 [-1.8, +2.5]'
    """
    value, low, high = (f"{100 * number:+.1f}" for number in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def _explained(compared: Sequence[Compared], what: str) -> list[str]:
    """What the numbers are; nothing where there are none."""
    number = max(len(one.differences) for one in compared)
    if not number:
        return []
    together = f", which hold for all {number} together" if number > 1 else ""
    return [f"The numbers: {what}, less that of {RANDOM}, with 95 % intervals{together}."]


def _listed(words: Sequence[str]) -> str:
    """Words with commas and an and.

    >>> _listed(["a"]), _listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last
