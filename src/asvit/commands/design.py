"""The commands that search, grow and design. Imports torch only in jobs that compute."""

from typing import Annotated

from cyclopts import Parameter

from asvit.commands.hand_over import hand_over
from asvit.commands.options import (
    RECIPE,
    BudgetOptions,
    DesignTaskOptions,
    GrowthOptions,
    MeasureOwnOptions,
    RecipeName,
    RunOptions,
    ScoreOptions,
    SearchOptions,
)
from asvit.commands.said import repeat_command
from asvit.commands.show import show_family, show_searches, show_statistics
from asvit.commands.then_race import ThenRaceOptions
from asvit.design.family import FamilySettings, GrowResult
from asvit.design.grow import GrowthSettings
from asvit.design.recipes import RECIPES, StartFrom
from asvit.design.results import DesignResult
from asvit.design.search import SearchResult, SearchSettings
from asvit.design.settings import DesignSettings
from asvit.errors import UserError
from asvit.networks.named import read_architecture, read_task
from asvit.runs.progress import tell


def search(
    *,
    runs: Annotated[int, Parameter(group=RECIPE)] = 1,
    recipe: Annotated[RecipeName, Parameter(group=RECIPE)] = "quick",
    start_from: Annotated[StartFrom | None, Parameter(group=RECIPE)] = None,
    task: DesignTaskOptions = DesignTaskOptions(),
    measuring: MeasureOwnOptions = MeasureOwnOptions(),
    scoring: ScoreOptions = ScoreOptions(),
    searching: SearchOptions = SearchOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Search a seed topology without training (Algorithm 1).

    Parameters
    ----------
    runs
        Independent searches, with seeds from --seed up, for statistics like the paper's Table 3.
    recipe
        How long to search and how carefully to measure.
    start_from
        Topology to hand on to growth: the policy's most probable (paper), or the measured one with the smallest sum of
        ranks (default: the recipe's).
    """
    from asvit.design.job import run_search
    from asvit.measure.job import task_of

    chosen, measured = RECIPES[recipe], measuring.own(RECIPES[recipe], scoring.metrics)
    images = task_of(task.given, measured, stored=None, default=chosen.task)
    settings = searching.over(SearchSettings(steps=chosen.steps, score=scoring.objectives))
    finished = run_search(
        settings,
        runs=runs,
        recipe=recipe,
        start_from=start_from or chosen.start_from,
        space=searching.space_for(images),
        task=images,
        measuring=measured,
        job=run.job,
    )

    def show(result: SearchResult) -> None:
        show_searches(result.runs, scoring.metrics)
        if runs > 1:
            show_statistics(result.statistics)
        say_recipe(recipe)

    hand_over(finished, show, as_json=run.json)


def grow(
    network: str,
    /,
    *,
    recipe: Annotated[RecipeName, Parameter(group=RECIPE)] = "quick",
    budget: BudgetOptions = BudgetOptions(),
    task: DesignTaskOptions = DesignTaskOptions(),
    measuring: MeasureOwnOptions = MeasureOwnOptions(),
    scoring: ScoreOptions = ScoreOptions(),
    growing: GrowthOptions = GrowthOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Grow a network in depth and width without training (Algorithm 2) and pick a member for every budget.

    Parameters
    ----------
    network
        Topology such as 8,2,3|4,1,2|4,1,4|4,1,6|32 or the result file of a search, which start with one block a stage
        and C = 32; or a text form with depths and width, an architecture file or a published name, grown as it is.
    recipe
        How carefully to measure and how far to grow.
    """
    from asvit.design.job import run_grow
    from asvit.measure.job import task_of

    chosen, measured = RECIPES[recipe], measuring.own(RECIPES[recipe], scoring.metrics)
    start = read_architecture(network)
    family = FamilySettings.of(
        chosen,
        task_of(task.given, measured, stored=read_task(network), default=chosen.task),
        budget.budgets(chosen),
        start=start,
        fit=budget.fit,
        growth=growing.over(GrowthSettings(score=scoring.objectives)),
    )
    finished = run_grow(start, family, recipe=recipe, measuring=measured, use=budget.use, job=run.job)

    def show(result: GrowResult) -> None:
        show_family(result.family, scoring.metrics)
        say_recipe(recipe)

    hand_over(finished, show, as_json=run.json)


def design(
    *,
    recipe: Annotated[RecipeName, Parameter(group=RECIPE)] = "quick",
    start_from: Annotated[StartFrom | None, Parameter(group=RECIPE)] = None,
    start: Annotated[str | None, Parameter(group=RECIPE)] = None,
    budget: BudgetOptions = BudgetOptions(),
    task: DesignTaskOptions = DesignTaskOptions(),
    measuring: MeasureOwnOptions = MeasureOwnOptions(),
    scoring: ScoreOptions = ScoreOptions(),
    searching: SearchOptions = SearchOptions(),
    growing: GrowthOptions = GrowthOptions(),
    racing: ThenRaceOptions = ThenRaceOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Design a family of Vision Transformers: search a topology, grow it, fit a member to every budget.

    Parameters
    ----------
    recipe
        quick: minutes on a laptop. paper: the paper's 500 steps and 5 repeats. smoke: seconds, for tests.
    start_from
        Grow the policy's most probable topology (paper), or the measured one with the smallest sum of ranks (default:
        the recipe's; best-ranked after a short search, whose policy is undecided).
    start
        Do not search: grow this network with its own depths and width (seed: one block a stage, C = 32). Published
        name, text form, or file that a job wrote.
    """
    if start is not None and (start_from is not None or searching != SearchOptions()):
        raise UserError("--start grows a network of yours without a search: leave out --start-from, --steps and others")
    from asvit.design.job import run_design
    from asvit.measure.job import task_of

    chosen, measured = RECIPES[recipe], measuring.own(RECIPES[recipe], scoring.metrics)
    budgets = budget.budgets(chosen)
    race = racing.planned(task.given, measured, searching.space, budgets=len(budgets), json=run.json)
    if race is not None:
        images = race.task
    else:
        stored = None if start is None else read_task(start)
        images = task_of(task.given, measured, stored=stored, default=chosen.task)
    given = None if start is None else read_architecture(start)
    settings = DesignSettings.of(
        chosen,
        images,
        budgets,
        space=searching.space_for(images),
        start=given,
        start_from=start_from,
        fit=budget.fit,
        search=searching.over(SearchSettings(steps=chosen.steps, score=scoring.objectives)),
        growth=growing.over(GrowthSettings(score=scoring.objectives)),
    )
    finished = run_design(settings, recipe=recipe, measuring=measured, use=budget.use, job=run.job)

    def show(result: DesignResult) -> None:
        if result.search is not None:
            show_searches([result.search], scoring.metrics)
        show_family(result.family, scoring.metrics)
        say_recipe(recipe)

    hand_over(finished, show, as_json=run.json)
    if race is not None:
        race.run(finished.result.family[0], settings, finished.directory, run.job)


def say_recipe(name: RecipeName) -> None:
    """Say of a shorter recipe than the paper's how to have the paper's."""
    if name != "paper":
        tell(f"recipe {name} is shorter than the paper's; for the paper's: {repeat_command(recipe='paper')}")
