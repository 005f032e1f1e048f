"""Training-free scaling of depth and width (Section 3.4, Algorithm 2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from asvit.design.ranking import OBJECTIVES, Objective, rank_sum_order
from asvit.errors import UserError, check_number, check_whole
from asvit.measure.estimates import Ahead, Measure, Measurement, one_by_one
from asvit.networks.architecture import Architecture
from asvit.networks.space import STAGES

OnMeasured = Callable[[int, Architecture, Sequence[Architecture], int], None]
"""Function that is called after every measurement of growth with the step, the present network, the step's choices, and
how many of them are measured."""


def told_nothing(step: int, current: Architecture, choices: Sequence[Architecture], done: int) -> None:
    """Do nothing after a measurement, where nobody follows the growth."""


@dataclass(frozen=True, kw_only=True)
class GrowthSettings:
    """Settings of growth: the steps that it may take, and what it chooses by.

    >>> GrowthSettings(ratios=(1.1,), width_divisor=1).ratios
    (1.1,)
    """

    ratios: tuple[float, ...] = (1.05, 1.1, 1.15, 1.2)
    """Factors by which the width may grow in a step."""
    width_divisor: int = 4
    """Divisor for the width of measured networks (release: 4; 1: full width); grown widths are multiples of it."""
    score: tuple[Objective, ...] = OBJECTIVES
    """Measures that choices are ranked by (paper: length and kernel, with equal weight)."""

    def __post_init__(self) -> None:
        check_whole("width_divisor", self.width_divisor, 1, 1024)
        if not self.ratios:
            raise UserError("there are no ratios to grow the width by: expected one or more, such as 1.1")
        for ratio in self.ratios:
            check_number("a ratio of widths", ratio, 1, 100)


@dataclass(frozen=True)
class GrowthStep:
    """One network of the trajectory ``a_t`` and the choices that it was picked from."""

    architecture: str
    candidates: tuple[str, ...]
    """Scaling choices within the budget that were compared; empty at the start."""


@dataclass(frozen=True)
class Growth:
    """The trajectory ``a_0, a_1, ..`` of Algorithm 2."""

    steps: tuple[GrowthStep, ...]
    stopped: str
    """Reason why it ended."""
    measurements: dict[str, Measurement]
    """Measurement of every network of the trajectory and every candidate, at the width over ``width_divisor``."""


def scaling_choices(architecture: Architecture, settings: GrowthSettings) -> list[Architecture]:
    """``C × D``: every new width with one more block in one of four stages; equal widths once.

    Widths are rounded as the proxy's are, so that ``32`` at a divisor of 4 becomes 32, 36 or 40:

    >>> from asvit.networks.architecture import ARCHITECTURES
    >>> choices = scaling_choices(ARCHITECTURES["seed"], GrowthSettings())
    >>> len(choices), sorted({choice.width for choice in choices}), choices[1].depths
    (12, [32, 36, 40], (1, 2, 1, 1))
    """
    unit = settings.width_divisor
    widths = sorted({unit * round(architecture.width / unit * ratio) for ratio in settings.ratios})
    deeper = [tuple(depth + (i == stage) for i, depth in enumerate(architecture.depths)) for stage in range(STAGES)]
    return [replace(architecture, width=width, depths=depths) for width in widths for depths in deeper]


def grow(
    start: Architecture,
    measure: Measure,
    admits: Callable[[Architecture], bool],
    settings: GrowthSettings = GrowthSettings(),
    *,
    ahead: Ahead = one_by_one,
    on_measured: OnMeasured = told_nothing,
) -> Growth:
    """Algorithm 2: take the scaling choice with the smallest sum of ranks, again and again.

    Args:
        start: seed network ``a_0``.
        measure: measure of an architecture, at the width over ``settings.width_divisor``.
        admits: stop criterion: choices that it refuses are dropped, and growth ends when none is left.
        settings: choices of width, and the width of the proxy.
        ahead: function that is told all choices of a step before the first is measured.
        on_measured: function that is called after every measurement.

    >>> from asvit.measure.estimates import measured_by
    >>> measure = measured_by(lambda architecture: {"length": architecture.params(), "ntk": 1.0})
    >>> seed = Architecture.parse("seed")
    >>> growth = grow(seed, measure, admits=lambda architecture: architecture.params() < 3_000_000)
    >>> growth.steps[1].architecture, growth.stopped
    ('8,2,3,1|4,1,2,1|4,1,4,2|4,1,6,1|32,32', 'every further choice is over the budget')
    """
    measurements = {str(start): measure(start)}
    steps = [GrowthStep(str(start), ())]
    current = start
    while True:
        candidates = [choice for choice in scaling_choices(current, settings) if admits(choice)]
        if not candidates:
            return Growth(tuple(steps), "every further choice is over the budget", measurements)
        ahead(candidates)
        for done, candidate in enumerate(candidates, start=1):
            measurements[str(candidate)] = measure(candidate)
            on_measured(len(steps), current, candidates, done)
        order = rank_sum_order([measurements[str(candidate)] for candidate in candidates], settings.score)
        if not order:
            return Growth(tuple(steps), "every choice within the budget was invalid", measurements)
        current = candidates[order[0]]
        steps.append(GrowthStep(str(current), tuple(map(str, candidates))))
