"""From budgets to a family: the last grown network within each budget, fitted to it; and the whole design."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from asvit.architecture import SEED_WIDTH, Architecture, Task
from asvit.budget import Budget
from asvit.design.grow import Growth, GrowthSettings, grow
from asvit.design.recipes import Recipe
from asvit.design.search import SearchRun
from asvit.errors import UserError
from asvit.measure import Measure, Measurement
from asvit.space import TABLE_1, Space

WIDTH_STEP = 4
"""Fitted widths are multiples of this."""
SMALLEST_WIDTH = 8
"""No network is narrowed below; here every number of heads of Table 1 has a channel."""


@dataclass(frozen=True)
class Member:
    """The network of a family for one budget."""

    budget: Budget
    architecture: str
    params: int
    macs: int
    share: float
    """Of the budget that is used, 0 to 1."""
    grown: str
    """The network of the trajectory that it was fitted from; itself where the width was not changed."""
    measured_at: int
    """The measurement is of a proxy of the width over this; 1 for the network itself."""
    measurement: Measurement


def growth_limits(budgets: Sequence[Budget], least: Sequence[Budget] = ()) -> list[Budget]:
    """The largest budget of each kind: growth goes on while a network is within one of them.

    >>> [str(limit) for limit in growth_limits([Budget("params", 3), Budget("params", 5), Budget("macs", 7)])]
    ['5 parameters', '7 MACs']
    """
    largest: dict[str, Budget] = {}
    for budget in (*budgets, *least):
        if budget.kind not in largest or budget.limit > largest[budget.kind].limit:
            largest[budget.kind] = budget
    return list(largest.values())


def within_any(limits: Sequence[Budget], task: Task) -> Callable[[Architecture], bool]:
    """Whether a network is within one of several limits.

    >>> within_any([Budget.parse("params", "30M")], Task())(Architecture.parse("base"))
    False
    """
    return lambda architecture: any(limit.admits(architecture, task) for limit in limits)


def check_budgets(budgets: Sequence[Budget], task: Task, *, fit: bool, space: Space = TABLE_1) -> None:
    """Refuse a budget that some topology of a space could not meet, before anything is measured.

    >>> check_budgets([Budget.parse("params", "200k")], Task(image_size=(32, 32), num_classes=10), fit=True)
    """
    largest = space.topology(
        {name: min(values) if name.startswith("S") else max(values) for name, values in space.values.items()}
    )
    smallest = Architecture(largest, width=SMALLEST_WIDTH if fit else SEED_WIDTH)
    for budget in budgets:
        if not budget.admits(smallest, task):
            least = Budget(budget.kind, budget.cost(smallest, task))
            raise UserError(
                f"the budget of {budget} is below the smallest network that every topology has: expected at least "
                f"{least} for these images and classes" + ("" if fit else ", or leave out --no-fit")
            )


def fit_width(architecture: Architecture, budget: Budget, task: Task) -> Architecture:
    """The same depths at the largest width, a multiple of 4, that the budget admits; narrower where it must be.

    >>> str(fit_width(Architecture.parse("small"), Budget.parse("params", "35M"), Task()))
    '8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,96'
    """

    def wider() -> Iterator[Architecture]:
        width = WIDTH_STEP * -(-SMALLEST_WIDTH // WIDTH_STEP)
        while budget.admits(candidate := replace(architecture, width=width), task):
            yield candidate
            width += WIDTH_STEP

    *_, widest = wider()
    return widest


def last_within(trajectory: Sequence[Architecture], budget: Budget, task: Task) -> Architecture:
    """The last network of a trajectory that the budget admits; its start where even that is over the budget.

    >>> family = [Architecture.parse(name) for name in ("seed", "small", "base")]
    >>> last_within(family, Budget.parse("params", "35M"), Task()) == Architecture.parse("small")
    True
    """
    return [trajectory[0], *(grown for grown in trajectory if budget.admits(grown, task))][-1]


def member_for(
    budget: Budget,
    growth: Growth,
    task: Task,
    *,
    fit: bool,
    width_divisor: int,
    measure: Measure,
    measure_proxy: Measure,
) -> Member:
    """The last network of the trajectory within a budget, its width raised to the largest that fits.

    Where even the start is over the budget, the start is narrowed instead, and measured itself as in the search: a
    proxy of it may have fewer channels than heads.
    """
    trajectory = [Architecture.parse(step.architecture) for step in growth.steps]
    grown = last_within(trajectory, budget, task)
    if not fit and not budget.admits(grown, task):
        raise UserError(
            f"no grown network is within {budget}: the start {trajectory[0]} costs {budget.cost(trajectory[0], task)}; "
            "raise the budget, or leave out --no-fit to narrow it"
        )
    architecture = fit_width(grown, budget, task) if fit else grown
    proxied = architecture.width >= grown.width
    return Member(
        budget=budget,
        architecture=str(architecture),
        params=architecture.params(task),
        macs=architecture.macs(task),
        share=budget.cost(architecture, task) / budget.limit,
        grown=str(grown),
        measured_at=width_divisor if proxied else 1,
        measurement=(measure_proxy if proxied else measure)(architecture),
    )


@dataclass(frozen=True, kw_only=True)
class FamilySettings:
    """What a family is for: the budgets, and how its members meet them."""

    task: Task
    budgets: tuple[Budget, ...]
    limits: tuple[Budget, ...]
    """Growth goes on while a network is within one of them (Algorithm 2: 100M parameters)."""
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
        fit: bool = True,
        growth: GrowthSettings = GrowthSettings(),
    ) -> "FamilySettings":
        """A family for some budgets, or for the recipe's where none are given; grown as far as the recipe at least.

        Raises:
            UserError: a budget is below the smallest network that every topology of the space has.

        >>> from asvit.design.recipes import RECIPES
        >>> [str(limit) for limit in FamilySettings.of(RECIPES["paper"]).limits]
        ['100M parameters']
        """
        budgets = tuple(budgets) or recipe.budgets
        check_budgets(budgets, task, fit=fit, space=space)
        least = [] if recipe.grow_to is None else [Budget.parse("params", recipe.grow_to)]
        return cls(task=task, budgets=budgets, limits=tuple(growth_limits(budgets, least)), fit=fit, growth=growth)


@dataclass(frozen=True)
class GrowResult:
    """What `asvit grow` hands over."""

    task: Task
    growth: Growth
    family: tuple[Member, ...]


@dataclass(frozen=True)
class DesignResult:
    """What `asvit design` hands over: a search, the growth of its result, and the family."""

    task: Task
    search: SearchRun
    growth: Growth
    family: tuple[Member, ...]


def grow_family(
    start: Architecture,
    settings: FamilySettings,
    *,
    measure: Measure,
    measure_proxy: Measure,
    on_measured: Callable[[int, Architecture, int, int], None] = lambda step, current, done, of: None,
) -> GrowResult:
    """Grow ``start`` up to the limits (Algorithm 2) and pick a member for every budget.

    Args:
        start: one block a stage, ``C = 32``.
        settings: budgets and choices.
        measure: of a network itself.
        measure_proxy: of a network at the width over ``settings.growth.width_divisor``.
        on_measured: as in :func:`~asvit.design.grow.grow`.

    >>> from asvit.measure import Estimate
    >>> def measure(architecture):
    ...     values = {"length": float(architecture.params()), "ntk": 1.0}
    ...     return Measurement(str(architecture), {name: Estimate.of([value]) for name, value in values.items()})
    >>> budgets = [Budget.parse("params", "4M")]
    >>> settings = FamilySettings(task=Task(), budgets=tuple(budgets), limits=tuple(budgets))
    >>> result = grow_family(Architecture.parse("seed"), settings, measure=measure, measure_proxy=measure)
    >>> result.growth.steps[-1].architecture, result.family[0].architecture
    ('8,2,3,2|4,1,2,1|4,1,4,2|4,1,6,1|32,40', '8,2,3,2|4,1,2,1|4,1,4,2|4,1,6,1|32,40')
    """
    growth = grow(
        start,
        measure_proxy,
        within_any(settings.limits, settings.task),
        settings.growth,
        on_measured=on_measured,
    )
    members = [
        member_for(
            budget,
            growth,
            settings.task,
            fit=settings.fit,
            width_divisor=settings.growth.width_divisor,
            measure=measure,
            measure_proxy=measure_proxy,
        )
        for budget in settings.budgets
    ]
    return GrowResult(settings.task, growth, tuple(members))
