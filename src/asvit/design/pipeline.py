"""The whole design in one call: search a topology, or take one, grow it, fit a member to every budget."""

from collections.abc import Callable

from asvit.design.costs import Costs, Meter, no_meter
from asvit.design.family import grow_family, within_reach
from asvit.design.grow import OnMeasured, told_nothing
from asvit.design.results import DesignResult
from asvit.design.search import SearchStep, search
from asvit.design.settings import DesignSettings
from asvit.errors import UserError
from asvit.measure.estimates import Measurement
from asvit.measure.measurer import Measurer


def design(
    settings: DesignSettings,
    measurer: Measurer,
    *,
    meter: Meter = no_meter,
    on_step: Callable[[SearchStep, Measurement], None] = lambda step, measurement: None,
    on_measured: OnMeasured = told_nothing,
) -> DesignResult:
    """Algorithm 1, Algorithm 2 from its result, and a member for every budget. Nothing is written.

    What ``asvit design`` runs. In the search a topology that cannot meet a latency or memory, however narrow, is
    invalid: it is neither rewarded nor grown. Measurements are kept in the measurer's ledger: with one in a file
    (:meth:`~asvit.measure.measurer.Measurer.remember_in`) the same call goes on where an earlier one ended.

    Args:
        settings: space, search, growth and family, from :meth:`DesignSettings.of`.
        measurer: measurer for the same task, whose metrics include those of the scores; its seed is the search's too.
        meter: meter of latency and memory, where a budget bounds them: a :class:`~asvit.measure.meter.UsageMeter`. That
            no network can meet one is seen at the end; :func:`~asvit.design.family.check_budgets` sees it before.
        on_step: function that is called after every step of the search, with the step and its measurement.
        on_measured: function that is called after every measurement of growth, as in
            :func:`~asvit.design.grow.grow`.

    Raises:
        UserError: the measurer is for another task or lacks a metric, no grown network is within a budget, or no
            measured topology is valid.

    >>> from asvit.design.budget import Budget
    >>> from asvit.design.recipes import RECIPES
    >>> from asvit.design.settings import DesignSettings
    >>> from asvit.networks.architecture import Task
    >>> recipe, task = RECIPES["smoke"], Task(image_size=(32, 32), num_classes=10)
    >>> settings = DesignSettings.of(recipe, task, [Budget.parse("params", "600k")])
    >>> result = design(settings, Measurer(recipe.settings(), task, metrics=["length", "ntk"], seed=0))
    >>> [member.params <= 600_000 for member in result.family], result.search is not None
    ([True], True)
    """
    _check(settings, measurer)
    family, start, run = settings.family, settings.start, None
    measure = measurer.architectures()
    if start is None:
        reach = within_reach(measure, family, Costs(family.task, meter))
        run = search(reach, settings.search, space=settings.space, seed=measurer.seed, on_step=on_step)
        start = run.start(settings.start_from)
    grown = grow_family(
        start,
        family,
        measure=measure,
        measure_proxy=measurer.architectures(width_divisor=family.growth.width_divisor),
        ahead=measurer.ahead(width_divisor=family.growth.width_divisor),
        meter=meter,
        on_measured=on_measured,
    )
    return DesignResult(family.task, run, grown.growth, grown.family)


def _check(settings: DesignSettings, measurer: Measurer) -> None:
    if measurer.task != settings.family.task:
        raise UserError(
            f"networks are designed for {settings.family.task} but measured for {measurer.task}: expected one task, "
            "give both the same"
        )
    needed = {objective.name for score in (settings.search.score, settings.family.growth.score) for objective in score}
    if missing := sorted(needed - {metric.name for metric in measurer.metrics}):
        raise UserError(f"the score needs {', '.join(missing)}, which the measurer leaves out: add it to its metrics")
