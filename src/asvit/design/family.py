"""From budgets to a family: the last grown network within each budget, fitted to it; and the whole design."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from asvit.complexity.usage import Usage
from asvit.design.budget import Budget, CostFunction, bounds_of
from asvit.design.costs import Costs, Meter, no_meter
from asvit.design.grow import Growth, GrowthSettings, OnMeasured, grow, told_nothing
from asvit.design.recipes import Recipe
from asvit.errors import UserError
from asvit.measure.estimates import Ahead, Measure, Measurement, one_by_one
from asvit.networks.architecture import SEED_WIDTH, Architecture, Task
from asvit.networks.space import TABLE_1, Space, Topology

WIDTH_STEP = 4
"""Fitted widths are multiples of this."""
SMALLEST_WIDTH = 8
"""Least width that a network is narrowed to; at it every number of heads of Table 1 has a channel."""


@dataclass(frozen=True)
class Member:
    """The network of a family for one budget."""

    budget: Budget
    architecture: str
    params: int
    macs: int
    share: float
    """Share of the budget that is used, 0 to 1; of several bounds, that of the one it comes closest to."""
    grown: str
    """Network of the trajectory that it was fitted from; itself where the width was not changed."""
    measured_at: int
    """Divisor of the width at which it was measured: that of the proxy, or 1 for the network itself."""
    measurement: Measurement
    usage: Usage | None = None
    """Latency and memory, measured at length; None where no budget of the family asks for them."""


def growth_limits(budgets: Sequence[Budget], least: Sequence[Budget] = ()) -> list[Budget]:
    """The largest budget of each kind: growth goes on while a network is within one of them.

    A budget of several bounds is left out where another allows all that it allows.

    >>> [str(limit) for limit in growth_limits([Budget("params", 3), Budget("params", 5), Budget("macs", 7)])]
    ['5 parameters', '7 MACs']
    """
    distinct = list(dict.fromkeys((*budgets, *least)))
    return [limit for limit in distinct if not any(other != limit and other.contains(limit) for other in distinct)]


def within_any(limits: Sequence[Budget], cost: CostFunction) -> Callable[[Architecture], bool]:
    """Function that says whether a network is within one of several limits.

    >>> within_any([Budget.parse("params", "30M")], Costs())(Architecture.parse("base"))
    False
    """
    return lambda architecture: any(limit.admits(architecture, cost) for limit in limits)


BUSY = "; a latency is that of the moment: on a busy machine try again when it is quiet, or with fewer --threads"


def check_budgets(
    budgets: Sequence[Budget], costs: Costs, *, fit: bool, space: Space = TABLE_1, start: Architecture | None = None
) -> None:
    """Refuse a budget that the smallest network exceeds, before anything is searched or grown.

    The smallest network is the narrowest form of the start. Without a start it is that of the space's largest topology
    for budgets in counts, which all topologies can then meet, and that of its smallest for latency and memory, since
    the search skips topologies that miss these (:func:`within_reach`).

    >>> check_budgets([Budget.parse("params", "200k")], Costs(Task(image_size=(32, 32), num_classes=10)), fit=True)
    """
    for bound in bounds_of(budgets):
        which = "smallest" if bound.measured else "largest"
        smallest = narrowest(start or Architecture(_extreme_topology(space, which), width=SEED_WIDTH), fit=fit)
        if not bound.admits(smallest, costs.careful):
            whose = f"the {which} topology of the space has" if start is None else f"can be made of {start}"
            raise UserError(
                f"the budget of {bound} is below the smallest network that {whose}: expected at least "
                f"{bound.just_for(smallest, costs.careful)} for these images and classes"
                + ("" if fit else ", or leave out --no-fit")
                + (BUSY if bound.kind == "latency" else "")
            )


def narrowest(architecture: Architecture, *, fit: bool) -> Architecture:
    """The least that a family can make of a network: itself, or its smallest width where widths are fitted.

    >>> str(narrowest(Architecture.parse("seed"), fit=True))
    '8,2,3,1|4,1,2,1|4,1,4,1|4,1,6,1|32,8'
    """
    return replace(architecture, width=min(architecture.width, SMALLEST_WIDTH)) if fit else architecture


def _extreme_topology(space: Space, which: Literal["smallest", "largest"]) -> Topology:
    """One end of a space: more attention splits make a topology smaller, more of anything else makes it larger."""
    small = which == "smallest"
    return space.topology(
        {name: max(values) if name.startswith("S") == small else min(values) for name, values in space.values.items()}
    )


def fit_width(architecture: Architecture, budget: Budget, costs: Costs) -> Architecture:
    """The architecture at the largest width, a multiple of 4, that the budget admits; its depths stay.

    A bisection from the width there is; then the network is measured at length, and narrowed until it holds. Beyond
    the cap on the channels of a stage, a network grows no wider.

    Raises:
        UserError: not even the smallest width is within the budget.

    >>> str(fit_width(Architecture.parse("small"), Budget.parse("params", "35M"), Costs()))
    '8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,96'
    """

    def wide(units: int) -> Architecture:
        return replace(architecture, width=WIDTH_STEP * units)

    least = -(-SMALLEST_WIDTH // WIDTH_STEP)
    most = architecture.max_stage_width // WIDTH_STEP
    begin = min(max(least, architecture.width // WIDTH_STEP), most)
    units = last_admitted(lambda units: budget.admits(wide(units), costs), begin, least, most)
    while units >= least and not budget.admits(wide(units), costs.careful):
        units -= 1
    if units < least:
        needed = budget.just_for(wide(least), costs.careful)
        raise UserError(f"no width of {architecture} is within {budget}: expected at least {needed}")
    return wide(units)


def last_admitted(admits: Callable[[int], bool], start: int, least: int, most: int) -> int:
    """The largest number up to ``most`` that is admitted where all below it are; ``least`` is taken for admitted.

    Goes up or down from ``start`` in growing steps, up by a quarter and down by half: what costs more than it may is
    never tried at much more.

    >>> last_admitted(lambda number: number <= 37, start=8, least=2, most=100)
    37
    """
    low, high = start, start
    while high <= most and admits(high):
        low, high = high, high + max(1, high // 4)
    high = min(high, most + 1)
    while low > least and not admits(low):
        low, high = max(least, low // 2), low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if admits(middle) else (low, middle)
    return low


def last_within(trajectory: Sequence[Architecture], budget: Budget, costs: Costs) -> Architecture:
    """The last network of a trajectory that the budget admits; its start where even that is over the budget.

    What a short measurement admits is measured at length too.

    >>> family = [Architecture.parse(name) for name in ("seed", "small", "base")]
    >>> last_within(family, Budget.parse("params", "35M"), Costs()) == Architecture.parse("small")
    True
    """
    within = (a for a in reversed(trajectory) if budget.admits(a, costs) and budget.admits(a, costs.careful))
    return next(within, trajectory[0])


def member_for(
    budget: Budget,
    growth: Growth,
    costs: Costs,
    *,
    fit: bool,
    in_use: bool,
    width_divisor: int,
    measure: Measure,
    measure_proxy: Measure,
) -> Member:
    """The last network of the trajectory within a budget, its width raised to the largest that fits.

    Where even the start is over the budget, the start is narrowed instead, and measured itself as in the search: a
    proxy of it may have fewer channels than heads. Whether it is within a latency is decided by the long measurement
    that the member's record shows.
    """
    trajectory = [Architecture.parse(step.architecture) for step in growth.steps]
    grown = last_within(trajectory, budget, costs)
    if not fit and not budget.admits(grown, costs.careful):
        raise UserError(
            f"no grown network is within {budget}: the start {grown} takes {budget.just_for(grown, costs.careful)}; "
            "raise the budget, or leave out --no-fit to narrow it"
        )
    architecture = fit_width(grown, budget, costs) if fit else grown
    proxied = architecture.width >= grown.width
    return Member(
        budget=budget,
        architecture=str(architecture),
        params=architecture.params(costs.task),
        macs=architecture.macs(costs.task),
        share=budget.share(architecture, costs.careful),
        grown=str(grown),
        measured_at=width_divisor if proxied else 1,
        measurement=(measure_proxy if proxied else measure)(architecture),
        usage=costs.careful.usage(architecture) if in_use else None,
    )


@dataclass(frozen=True, kw_only=True)
class FamilySettings:
    """Settings of a family: its task, the budgets, and how members meet them."""

    task: Task
    budgets: tuple[Budget, ...]
    limits: tuple[Budget, ...]
    """Limits of growth, which goes on while a network is within one of them (Algorithm 2: 100M parameters)."""
    fit: bool = True
    """Whether a member's width is raised to the largest that its budget admits."""
    growth: GrowthSettings = field(default_factory=GrowthSettings)

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        task: Task = Task(),
        budgets: Sequence[Budget] = (),
        *,
        space: Space = TABLE_1,
        start: Architecture | None = None,
        fit: bool = True,
        growth: GrowthSettings = GrowthSettings(),
    ) -> "FamilySettings":
        """A family for some budgets, or for the recipe's where none are given; grown as far as the recipe at least.

        Args:
            recipe: recipe that has budgets where none are given, and says how far to grow at least.
            task: images and classes.
            budgets: budgets of the members.
            space: space that is searched for a start.
            start: network that is grown instead.
            fit: whether members are widened to their budgets.
            growth: settings of growth.

        Raises:
            UserError: a budget that is counted, not measured, is below the smallest network.

        >>> from asvit.design.recipes import RECIPES
        >>> [str(limit) for limit in FamilySettings.of(RECIPES["paper"]).limits]
        ['100M parameters']
        """
        budgets = tuple(budgets) or recipe.budgets
        alike = {name for name, count in Counter(budget.file_name for budget in budgets).items() if count > 1}
        if alike:
            raise UserError(f"there are several budgets of {min(alike)}: expected budgets that are written differently")
        if start is not None:
            start.proxy(growth.width_divisor)  # refuses a width that is no multiple
        counted = [bound for bound in bounds_of(budgets) if not bound.measured]
        check_budgets(counted, Costs(task), fit=fit, space=space, start=start)
        least = [] if recipe.grow_to is None else [Budget.parse("params", recipe.grow_to)]
        return cls(task=task, budgets=budgets, limits=tuple(growth_limits(budgets, least)), fit=fit, growth=growth)

    @property
    def measured(self) -> bool:
        """Whether networks have to run on a device to be compared with the budgets."""
        return any(budget.measured for budget in self.budgets)


def within_reach(measure: Measure, family: FamilySettings, costs: Costs) -> Measure:
    """A measure that finds a network invalid if even its narrowest form exceeds a latency or memory.

    >>> from asvit.design.recipes import RECIPES
    >>> family = FamilySettings.of(RECIPES["quick"])  # nothing in it has to be measured on a device
    >>> measure = within_reach(lambda architecture: Measurement(str(architecture), {}), family, Costs(family.task))
    >>> measure(Architecture.parse("seed")).valid
    True
    """
    bounds = [bound for bound in bounds_of(family.budgets) if bound.measured]

    def measured(architecture: Architecture) -> Measurement:
        least = narrowest(architecture, fit=family.fit)
        for bound in bounds:
            if not bound.admits(least, costs.careful):
                needed = bound.just_for(least, costs.careful)
                return Measurement(str(architecture), {}, invalid=f"its narrowest network takes {needed}, over {bound}")
        return measure(architecture)

    return measured


@dataclass(frozen=True)
class GrowResult:
    """Result of `asvit grow`: the growth, and the family picked from it."""

    task: Task
    growth: Growth
    family: tuple[Member, ...]


def grow_family(
    start: Architecture,
    settings: FamilySettings,
    *,
    measure: Measure,
    measure_proxy: Measure,
    ahead: Ahead = one_by_one,
    meter: Meter = no_meter,
    on_measured: OnMeasured = told_nothing,
) -> GrowResult:
    """Grow ``start`` up to the limits (Algorithm 2) and pick a member for every budget.

    Args:
        start: network with one block per stage and ``C = 32``, or any other.
        settings: budgets and choices.
        measure: measure of a network itself.
        measure_proxy: measure of a network at the width over ``settings.growth.width_divisor``.
        ahead: function that is told which of these are measured next, as in :func:`~asvit.design.grow.grow`.
        meter: meter of latency and memory, where a budget bounds them.
        on_measured: function that is called after every measurement, as in :func:`~asvit.design.grow.grow`.

    >>> from asvit.measure.estimates import measured_by
    >>> measure = measured_by(lambda architecture: {"length": architecture.params(), "ntk": 1.0})
    >>> budgets = [Budget.parse("params", "4M")]
    >>> settings = FamilySettings(task=Task(), budgets=tuple(budgets), limits=tuple(budgets))
    >>> result = grow_family(Architecture.parse("seed"), settings, measure=measure, measure_proxy=measure)
    >>> result.growth.steps[-1].architecture, result.family[0].architecture
    ('8,2,3,2|4,1,2,1|4,1,4,2|4,1,6,1|32,40', '8,2,3,2|4,1,2,1|4,1,4,2|4,1,6,1|32,40')
    """
    costs = Costs(settings.task, meter)
    growth = grow(
        start,
        measure_proxy,
        within_any(settings.limits, costs),
        settings.growth,
        ahead=ahead,
        on_measured=on_measured,
    )
    members = [
        member_for(
            budget,
            growth,
            costs,
            fit=settings.fit,
            in_use=settings.measured,
            width_divisor=settings.growth.width_divisor,
            measure=measure,
            measure_proxy=measure_proxy,
        )
        for budget in settings.budgets
    ]
    return GrowResult(settings.task, growth, tuple(members))
