"""The settings of a design: the space, the search, the growth, and the budgets of the family."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from asvit.design.budget import Budget
from asvit.design.family import FamilySettings
from asvit.design.grow import GrowthSettings
from asvit.design.recipes import Recipe, StartFrom
from asvit.design.search import SearchSettings
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
    """Space that is searched."""
    search: SearchSettings = field(default_factory=SearchSettings)
    start_from: StartFrom = "most-probable"
    """Topology of the search that growth starts from."""
    start: Architecture | None = None
    """Network of one's own that growth starts from instead, as it is; nothing is searched."""

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        task: Task = Task(),
        budgets: Sequence[Budget] = (),
        *,
        space: Space = TABLE_1,
        search: SearchSettings | None = None,
        start_from: StartFrom | None = None,
        start: Architecture | None = None,
        growth: GrowthSettings = GrowthSettings(),
        fit: bool = True,
    ) -> "DesignSettings":
        """A recipe's settings, and others in their place.

        Args:
            recipe: recipe for all that is not given.
            task: images and classes.
            budgets: budgets of the family; none: the recipe's.
            space: space that is searched.
            search: settings of the search; None: as many steps as the recipe says.
            start_from: topology that growth starts from; None: the recipe's choice.
            start: network that grows instead of a search's result.
            growth: settings of growth.
            fit: whether members are widened to their budgets.

        Raises:
            UserError: a budget is below the smallest network that every topology of the space has.
        """
        return cls(
            family=FamilySettings.of(recipe, task, budgets, space=space, start=start, growth=growth, fit=fit),
            space=space,
            search=search or SearchSettings(steps=recipe.steps),
            start_from=start_from or recipe.start_from,
            start=start,
        )
