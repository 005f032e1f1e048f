"""How long a search and a growth still take: the measurements ahead, at the speed of those behind."""

from collections.abc import Sequence
from functools import cache
from statistics import geometric_mean

from asvit.design.budget import MEASURED, CostFunction
from asvit.design.family import FamilySettings, within_any
from asvit.design.grow import scaling_choices
from asvit.networks.architecture import Architecture, Task
from asvit.units import Kind

BESIDE = 100_000_000
"""Multiply-adds that take as long as what a measurement does beside its own: drawing weights, starting operations.

From measurements on one thread at 64 and 96 pixels: 84 million took 1.4 s, 14 million 1.0 s."""


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
    """Work of a measurement, in multiply-adds of one image.

    >>> seed = Architecture.parse("seed")
    >>> work_of(seed, Task(64)) - seed.macs(Task(64)) == BESIDE
    True
    """
    return BESIDE + architecture.proxy(width_divisor).macs(task)


def work_of_choices(choices: Sequence[Architecture], family: FamilySettings) -> int:
    """Work of measuring some choices of a step of growth.

    >>> from asvit.design.recipes import RECIPES
    >>> choices = [Architecture.parse(name) for name in ("small", "base")]
    >>> work_of_choices(choices, FamilySettings.of(RECIPES["paper"])) < work_of(choices[0], Task())
    True
    """
    return sum(work_of(choice, family.task, width_divisor=family.growth.width_divisor) for choice in choices)


def growth_ahead(current: Architecture, family: FamilySettings, cost: CostFunction) -> int:
    """Work of the steps of Algorithm 2 that follow a network, were the middle choice taken in each.

    Nothing is measured for that: latency and memory are taken to grow from the network's own as multiply-adds do.

    Args:
        current: network that is grown.
        family: budgets and choices.
        cost: what networks cost; of a measured kind, asked only of the network itself.

    >>> from asvit.design.budget import Budget
    >>> from asvit.design.costs import Costs
    >>> from asvit.design.recipes import RECIPES
    >>> family = FamilySettings.of(RECIPES["quick"], Task(64), [Budget.parse("params", "3M")])
    >>> seed, costs = Architecture.parse("seed"), Costs(Task(64))
    >>> growth_ahead(seed, family, costs) > work_of_choices(scaling_choices(seed, family.growth), family)
    True
    """
    admits = within_any(family.limits, scaled_by_macs(cost, current))
    work = 0
    while choices := [choice for choice in scaling_choices(current, family.growth) if admits(choice)]:
        work += work_of_choices(choices, family)
        current = choices[len(choices) // 2]
    return work


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
