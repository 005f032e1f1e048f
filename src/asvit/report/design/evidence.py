"""What is known of how well a score ranks networks, for the verdict of a design.

From the one study so far: 30 random topologies, two epochs each of CIFAR-10 at 64x64 (docs/results.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from asvit.design.ranking import Objective
from asvit.measure.settings import Settings


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval.

    >>> str(Interval(0.55, 0.35, 0.69))
    '0.55 [0.35, 0.69]'
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Evidence:
    """How well a score orders networks as their accuracies do."""

    tau: Interval
    """Kendall τ: 1 for the same order, 0 for unrelated ones."""
    over_params: Interval
    """This τ less the τ of the number of parameters."""

    @property
    def picked(self) -> bool:
        """Whether it is one of the few that came out ahead, of all scores and ways of measuring that were tried."""
        return self.over_params.low > 0

    @property
    def verdict(self) -> str:
        """The comparison with counting parameters, in a word."""
        if self.picked:
            return "better than"
        return "worse than" if self.over_params.high < 0 else "no better than"


STUDY = "30 random topologies, two epochs each of CIFAR-10"
OF_PARAMS = Interval(0.49, 0.30, 0.65)
"""Kendall τ of the number of parameters."""

_FOUND: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "length+ntk": ((0.55, 0.35, 0.69), (0.06, -0.22, 0.32)),
    "length": ((0.42, 0.19, 0.62), (-0.06, -0.38, 0.23)),
    "ntk": ((0.40, 0.22, 0.56), (-0.09, -0.31, 0.16)),
    "curvature": ((0.41, 0.17, 0.62), (-0.07, -0.40, 0.22)),
    "length_of_curvature": ((0.31, 0.04, 0.55), (-0.18, -0.50, 0.13)),
    "params": ((0.49, 0.30, 0.65), (0.0, 0.0, 0.0)),
    "macs": ((0.31, 0.05, 0.54), (-0.17, -0.44, 0.09)),
    "kernel": ((0.39, 0.13, 0.62), (-0.10, -0.40, 0.23)),
    "expansion": ((0.02, -0.28, 0.31), (-0.47, -0.76, -0.20)),
    "gradient_norm": ((-0.81, -0.91, -0.67), (-1.29, -1.49, -1.07)),
    "snip": ((-0.18, -0.46, 0.14), (-0.67, -0.91, -0.42)),
    "synflow": ((0.28, 0.01, 0.53), (-0.21, -0.51, 0.13)),
    "naswot": ((0.07, -0.23, 0.34), (-0.42, -0.75, -0.11)),
    "zico": ((0.06, -0.22, 0.32), (-0.42, -0.71, -0.12)),
    "dss": ((-0.72, -0.86, -0.55), (-1.21, -1.41, -1.00)),
    "attention_entropy": ((0.06, -0.15, 0.27), (-0.43, -0.67, -0.17)),
    "token_entropy": ((0.76, 0.60, 0.87), (0.27, 0.06, 0.49)),
}
"""τ, and its difference to that of parameters, of scores whose measures have equal weights."""
_FOUND_WITH_NORMS = {"length": ((0.72, 0.59, 0.82), (0.23, 0.04, 0.42))}
"""The same with the networks' norms kept (``--norm layer``)."""


def evidence_of(score: Sequence[Objective], settings: Settings) -> Evidence | None:
    """What the study found of a score; None where it did not ask: other weights, or another way of measuring.

    >>> from asvit.design.ranking import parse_score
    >>> str(evidence_of(parse_score("ntk,length"), Settings()).tau)
    '0.55 [0.35, 0.69]'
    >>> evidence_of(parse_score("length:2,ntk"), Settings()) is None
    True
    """
    name = "+".join(sorted(objective.name for objective in score))
    found = (_FOUND_WITH_NORMS if settings.norm == "layer" else _FOUND).get(name)
    asked = replace(Settings(), norm=settings.norm)
    as_asked = replace(settings, repeats=asked.repeats, angles=asked.angles, kernel_images=asked.kernel_images)
    if found is None or as_asked != asked or any(objective.weight != score[0].weight for objective in score):
        return None
    tau, over_params = found
    return Evidence(Interval(*tau), Interval(*over_params))
