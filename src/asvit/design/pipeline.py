"""The whole design in one call: search a topology, or take one, grow it, fit a member to every budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from asvit.budget import Budget
from asvit.design.costs import Costs, Meter, no_meter
from asvit.design.family import DesignResult, FamilySettings, grow_family, within_reach
from asvit.design.recipes import Recipe, StartFrom
from asvit.design.search import SearchSettings, SearchStep, search
from asvit.errors import UserError
from asvit.measure.measurer import Measurement, Measurer
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import TABLE_1, Space


@dataclass(frozen=True, kw_only=True)
class DesignSettings:
    """How a family is designed.

    >>> from asvit.design.recipes import RECIPES
    >>> settings = DesignSettings.of(RECIPES["quick"], Task(image_size=(96, 96)), [Budget.parse("params", "3M")])
    >>> settings.search.steps, settings.start_from, [str(limit) for limit in settings.family.limits]
    (50, 'best-ranked', ['3M parameters'])
    """

    family: FamilySettings
    space: Space = TABLE_1
    """What is searched."""
    search: SearchSettings = field(default_factory=SearchSettings)
    start_from: StartFrom = "most-probable"
    """Topology of the search that growth starts from."""
    start: Architecture | None = None
    """Network of one's own that growth starts from instead, as it is; nothing is searched."""

    @classmethod
    def of(
        cls, recipe: Recipe, task: Task = Task(), budgets: Sequence[Budget] = (), *, space: Space = TABLE_1
    ) -> "DesignSettings":
        """A recipe's settings for a task and a space; the recipe's budgets where none are given.

        Raises:
            UserError: a budget is below the smallest network that every topology of the space has.
        """
        return cls(
            family=FamilySettings.of(recipe, task, budgets, space=space),
            space=space,
            search=SearchSettings(steps=recipe.steps),
            start_from=recipe.start_from,
        )


def design(
    settings: DesignSettings,
    measurer: Measurer,
    *,
    meter: Meter = no_meter,
    on_step: Callable[[SearchStep, Measurement], None] = lambda step, measurement: None,
    on_measured: Callable[[int, Architecture, int, int], None] = lambda step, current, done, of: None,
) -> DesignResult:
    """Algorithm 1, Algorithm 2 from its result, and a member for every budget. Nothing is written.

    What ``asvit design`` runs. In the search a topology that cannot meet a latency or memory, however narrow, is
    invalid: it is neither rewarded nor grown. Measurements are kept in the measurer's ledger: with one in a file
    (:meth:`~asvit.measure.measurer.Measurer.remember_in`) the same call goes on where an earlier one ended.

    Args:
        settings: recipe, task and budgets; :meth:`DesignSettings.of`.
        measurer: measures networks for the same task, with what is searched and grown by among its metrics; its seed is
            the search's too.
        meter: of latency and memory, where a budget bounds them: a :class:`~asvit.measure.meter.UsageMeter`. That no
            network can meet one is seen at the end; :func:`~asvit.design.family.check_budgets` sees it before.
        on_step: told of every step of the search.
        on_measured: told of every measurement of growth, as in :func:`~asvit.design.grow.grow`.

    Raises:
        UserError: the measurer is for another task or lacks a metric, no grown network is within a budget, or no
            measured topology is valid.

    >>> from asvit.design.recipes import RECIPES
    >>> recipe, task = RECIPES["smoke"], Task(image_size=(32, 32), num_classes=10)
    >>> settings = DesignSettings.of(recipe, task, [Budget.parse("params", "600k")])
    >>> result = design(settings, Measurer(recipe.settings(), task, metrics=["length", "ntk"], seed=0))
    >>> [member.params <= 600_000 for member in result.family], result.search is not None
    ([True], True)
    """
    _check(settings, measurer)
    family, start, found = settings.family, settings.start, None
    measure = measurer.architectures()
    if start is None:
        reach = within_reach(measure, family, Costs(family.task, meter))
        found = search(reach, settings.search, space=settings.space, seed=measurer.seed, on_step=on_step)
        start = found.start(settings.start_from)
    grown = grow_family(
        start,
        family,
        measure=measure,
        measure_proxy=measurer.architectures(width_divisor=family.growth.width_divisor),
        meter=meter,
        on_measured=on_measured,
    )
    return DesignResult(family.task, found, grown.growth, grown.family)


def _check(settings: DesignSettings, measurer: Measurer) -> None:
    if measurer.task != settings.family.task:
        raise UserError(
            f"networks are designed for {settings.family.task} but measured for {measurer.task}: expected one task, "
            "give both the same"
        )
    needed = {objective.name for score in (settings.search.score, settings.family.growth.score) for objective in score}
    if missing := sorted(needed - {metric.name for metric in measurer.metrics}):
        raise UserError(f"the score needs {', '.join(missing)}, which the measurer leaves out: add it to its metrics")
