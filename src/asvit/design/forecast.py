"""How long a search and a growth still take: the measurements ahead, at the speed of those behind."""

import math
from collections.abc import Sequence
from functools import cache
from statistics import geometric_mean

from asvit.design.budget import MEASURED, CostFunction
from asvit.design.family import FamilySettings, within_any
from asvit.design.grow import scaling_choices
from asvit.networks.architecture import Architecture, Task
from asvit.units import Kind

A_WEIGHT, A_BLOCK = 20, 10_000_000
"""Multiply-adds that take as long as one weight of attention, which is an exponential, and as what an attention block
takes whatever its size, such as starting its operations.

From 480 measurements on one thread at 64, 96 and 224 pixels: 16 to 24 for a weight, 7 to 27 million for a block. With
them seconds over work have a spread of 14 % at 224 pixels, where they have one of 39 % without."""


class Forecast:
    """Seconds that a job still takes, from the work and the seconds of its measurements so far.

    They count by the geometric mean of their speeds: one that something else on the machine has slowed weighs little.

    >>> forecast = Forecast()
    >>> for seconds in (1.0, 4.0):
    ...     forecast.add(work=10, seconds=seconds)
    >>> forecast.seconds(ahead=100)
    20.0
    """

    def __init__(self) -> None:
        self._speeds: list[float] = []

    def add(self, work: int, seconds: float) -> None:
        """Learn from a measurement; one that is repeated has to say what it took when it was made."""
        self._speeds.append(seconds / work)

    def seconds(self, ahead: int | float) -> float | None:
        """Seconds for some work; None before anything was measured."""
        return ahead * geometric_mean(self._speeds) if self._speeds else None


def work_of(architecture: Architecture, task: Task, *, width_divisor: int = 1) -> int:
    """Work of a measurement, in multiply-adds of one image: its own, and what takes as long as some.

    Weights of attention are those of every head, from every token to every token of its window:

    >>> seed, weights = Architecture.parse("seed"), 4 * 64 * 16 + 8 * 16 * 16 + 16 * 4 * 4 + 32
    >>> work_of(seed, Task(32)) == seed.macs(Task(32)) + weights * A_WEIGHT + 4 * A_BLOCK
    True
    """
    measured = architecture.proxy(width_divisor)
    weights = sum(stage.depth * stage.heads * stage.tokens * math.prod(stage.window) for stage in measured.stages(task))
    return measured.macs(task) + A_WEIGHT * weights + A_BLOCK * sum(measured.depths)


def work_of_choices(choices: Sequence[Architecture], family: FamilySettings) -> int:
    """Work of measuring some choices of a step of growth.

    >>> from asvit.design.recipes import RECIPES
    >>> choices = [Architecture.parse(name) for name in ("small", "base")]
    >>> work_of_choices(choices, FamilySettings.of(RECIPES["paper"])) < work_of(choices[0], Task())
    True
    """
    return sum(work_of(choice, family.task, width_divisor=family.growth.width_divisor) for choice in choices)


def growth_ahead(current: Architecture, family: FamilySettings, cost: CostFunction) -> int:
    """Work of the steps of Algorithm 2 that follow a network, were each to take a middle one of its choices.

    That is the middle width, and a block more in the stage that has the fewest, the last of several. All choices of a
    step count as it.

    Nothing is measured for that: latency and memory are taken to grow from the network's own as multiply-adds do.

    Args:
        current: network that is grown.
        family: budgets and choices.
        cost: what networks cost; of a measured kind, asked only of the network itself.

    >>> from asvit.design.budget import Budget
    >>> from asvit.design.costs import Costs
    >>> from asvit.design.recipes import RECIPES
    >>> family = FamilySettings.of(RECIPES["quick"], Task(64), [Budget.parse("params", "5M")])
    >>> seed, costs = Architecture.parse("seed"), Costs(Task(64))
    >>> growth_ahead(seed, family, costs) > 10 * work_of(seed, Task(64), width_divisor=family.growth.width_divisor)
    True
    """
    admits = within_any(family.limits, scaled_by_macs(cost, current))
    work = 0
    while choices := [choice for choice in scaling_choices(current, family.growth) if admits(choice)]:
        current = middle_choice(choices)
        work += len(choices) * work_of(current, family.task, width_divisor=family.growth.width_divisor)
    return work


def middle_choice(choices: Sequence[Architecture]) -> Architecture:
    """Of some choices of a step of growth the one of the middle width whose blocks are spread most evenly.

    >>> from asvit.design.recipes import RECIPES
    >>> str(middle_choice(scaling_choices(Architecture.parse("seed"), FamilySettings.of(RECIPES["quick"]).growth)))
    '8,2,3,1|4,1,2,1|4,1,4,1|4,1,6,2|32,36'
    """
    widths = sorted({choice.width for choice in choices})
    of_width = [choice for choice in choices if choice.width == widths[len(widths) // 2]]
    return min(of_width, key=lambda choice: (max(choice.depths), *choice.depths))


def scaled_by_macs(cost: CostFunction, known: Architecture) -> CostFunction:
    """Costs of networks, where what has to be measured is that of a known network in proportion to multiply-adds.

    >>> from asvit.design.costs import Costs
    >>> seed, small = Architecture.parse("seed"), Architecture.parse("small")
    >>> def cost(kind, network):
    ...     return 0.01 if kind == "latency" else Costs()(kind, network)
    >>> round(scaled_by_macs(cost, seed)("latency", small) / 0.01, 3) == round(small.macs() / seed.macs(), 3)
    True
    """

    @cache
    def for_each_mac(kind: Kind) -> float:
        return cost(kind, known) / cost("macs", known)

    def scaled(kind: Kind, architecture: Architecture) -> int | float:
        return for_each_mac(kind) * cost("macs", architecture) if kind in MEASURED else cost(kind, architecture)

    return scaled
