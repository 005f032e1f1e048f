"""Scaling rules to compare Algorithm 2 with, in the plane of depth and width (Fig. 3).

Every rule scales the same topology, and widths are fitted to the same budgets, so that networks of equal size are
compared (in the paper's Table 7 those of random scaling are 8 to 19 % smaller).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.design.family import SMALLEST_WIDTH, fit_width, growth_limits, last_within, within_any
from asvit.design.grow import GrowthSettings, scaling_choices
from asvit.errors import UserError
from asvit.networks.architecture import Architecture, Task, plane
from asvit.networks.space import Topology


@dataclass(frozen=True)
class RandomScaling:
    """Growth that takes any of the scaling choices of Algorithm 2, each as likely, instead of the best measured."""

    seed: int
    settings: GrowthSettings = field(default_factory=GrowthSettings)

    @property
    def name(self) -> str:
        """Name of the rule, the same for every seed."""
        return "random"

    def trajectory(self, start: Architecture, admits: Callable[[Architecture], bool]) -> list[Architecture]:
        """The start and all networks grown from it, until no choice is admitted.

        >>> small = RandomScaling(seed=0).trajectory(Architecture.parse("seed"), lambda a: a.params() <= 4 * 10**6)
        >>> all(sum(network.depths) == 4 + step for step, network in enumerate(small))
        True
        """
        rng = np.random.default_rng(self.seed)
        trajectory = [start]
        while choices := [choice for choice in scaling_choices(trajectory[-1], self.settings) if admits(choice)]:
            trajectory.append(choices[rng.integers(len(choices))])
        return trajectory

    def depths(self, topology: Topology, budgets: Sequence[Budget], task: Task) -> list[tuple[int, int, int, int]]:
        """Depths of the last network within every budget in one growth up to the largest, as for Algorithm 2."""
        trajectory = self.trajectory(Architecture(topology), within_any(growth_limits(budgets), Costs(task)))
        return [last_within(trajectory, budget, Costs(task)).depths for budget in budgets]


@runtime_checkable
class ScalingRule(Protocol):
    """What decides the blocks of the four stages for every budget; the width is fitted afterwards.

    >>> from asvit.study.published_rules import RULES
    >>> isinstance(RULES["swin"], ScalingRule), isinstance(RandomScaling(seed=0), ScalingRule)
    (True, True)
    """

    @property
    def name(self) -> str:
        """Name of the rule, in tables and messages."""
        ...

    def depths(self, topology: Topology, budgets: Sequence[Budget], task: Task) -> list[tuple[int, int, int, int]]:
        """Blocks of the four stages of a topology for every budget, in their order."""
        ...


@dataclass(frozen=True)
class Scaled:
    """The network that a rule gives for one budget."""

    rule: str
    budget: Budget
    architecture: str
    params: int
    macs: int
    share: float
    """Share of the budget that is used, 0 to 1; less than 1 since widths are multiples of 4."""
    plane: tuple[int, int]
    """Total depth and total width, its place in Fig. 3."""


def scaled_by(rule: ScalingRule, topology: Topology, budgets: Sequence[Budget], task: Task = Task()) -> list[Scaled]:
    """One network for each budget: the topology at the rule's depths and the largest width that the budget admits.

    Args:
        rule: one of :data:`~asvit.study.published_rules.RULES`, a :class:`RandomScaling`, or one's own.
        topology: topology to scale.
        budgets: budgets in parameters; for random scaling also in MACs.
        task: image size and classes that sizes are counted for.

    Raises:
        UserError: the rule's network is over a budget even at the smallest width.

    >>> from asvit.study.published_rules import RULES
    >>> seed = Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32")
    >>> (swin,) = scaled_by(RULES["swin"], seed, [Budget.parse("params", "30M")])
    >>> swin.architecture, round(swin.share, 2), swin.plane
    ('8,2,3,2|4,1,2,2|4,1,4,6|4,1,6,2|32,84', 0.98, (12, 3864))
    """
    all_depths = rule.depths(topology, budgets, task)
    return [
        _fitted(rule.name, Architecture(topology, depths, SMALLEST_WIDTH), budget, Costs(task))
        for budget, depths in zip(budgets, all_depths, strict=True)
    ]


def _fitted(rule: str, narrowest: Architecture, budget: Budget, costs: Costs) -> Scaled:
    if not budget.admits(narrowest, costs):
        least = budget.just_for(narrowest, costs)
        raise UserError(f"the {rule} rule has no network within {budget}: expected a budget of at least {least}")
    architecture = fit_width(narrowest, budget, costs)
    return Scaled(
        rule=rule,
        budget=budget,
        architecture=str(architecture),
        params=architecture.params(costs.task),
        macs=architecture.macs(costs.task),
        share=budget.share(architecture, costs),
        plane=plane(architecture),
    )


@dataclass(frozen=True)
class Band:
    """Total widths of several random growths at one total depth (Fig. 3, grey)."""

    depth: int
    width: float
    """Mean of the total width over seeds."""
    std: float
    """Standard deviation of the total width over seeds."""


def random_band(trajectories: Sequence[Sequence[Architecture]]) -> list[Band]:
    """Mean and standard deviation of the total width, up to the depth that all growths reach.

    Every step adds one block, so growths from one start have equal depths step by step; beyond the first that ends,
    only narrow ones would be left.

    >>> admits = within_any([Budget.parse("params", "4M")], Costs())
    >>> grown = [RandomScaling(seed).trajectory(Architecture.parse("seed"), admits) for seed in range(3)]
    >>> random_band(grown)[0]
    Band(depth=4, width=480.0, std=0.0)
    """
    bands = []
    for networks in zip(*trajectories, strict=False):
        widths = np.array([plane(network)[1] for network in networks], float)
        bands.append(Band(plane(networks[0])[0], float(widths.mean()), float(widths.std())))
    return bands
