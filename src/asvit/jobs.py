"""The jobs behind the commands: from options to a run directory with its result, report and architecture files."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import msgspec

from asvit.budget import format_size
from asvit.design.costs import Costs
from asvit.design.family import FamilySettings, Member, check_budgets, grow_family
from asvit.design.grow import GrowthSettings
from asvit.design.pipeline import DesignSettings, design
from asvit.design.ranking import Objective, parse_score
from asvit.design.recipes import RECIPES, Recipe, StartFrom
from asvit.design.search import SearchResult, SearchSettings, SearchStep, search
from asvit.errors import UserError
from asvit.hand_over import hand_over
from asvit.job import prepare, repeat_command, say_few_tokens, subject_named, tell, use_for, working
from asvit.measure.measurer import Measurement, Measurer
from asvit.measure.meter import UsageMeter
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import TABLE_1, Space, space_for
from asvit.options import (
    BudgetOptions,
    GrowthOptions,
    MeasureOptions,
    RecipeName,
    RunOptions,
    ScoreOptions,
    SearchOptions,
    TaskOptions,
    UseOptions,
)
from asvit.progress import ProgressDisplay
from asvit.records import SCHEMA, Json, RunDirectory, read_architecture, read_task, to_json, write_record
from asvit.show import show_family, show_measurements, show_searches, show_statistics


def run_measure(
    archs: Sequence[str],
    metrics: Sequence[str],
    recipe_name: RecipeName,
    task_options: TaskOptions,
    measuring: MeasureOptions,
    using: UseOptions,
    run: RunOptions,
) -> None:
    """`asvit measure`: measures of some networks, side by side."""
    if not archs:
        raise UserError("no architecture to measure: expected one or more, such as `asvit measure small timm:resnet18`")
    recipe = RECIPES[recipe_name]
    task = task_options.task(recipe.task)
    use = use_for(metrics, using)
    subjects = [subject_named(text, task) for text in archs]
    measurer = prepare(recipe, task, measuring, run, metrics=metrics, use=use)
    for subject in subjects:
        subject.check(measurer.settings.initialisation)
    config = _measure_config(recipe_name, measurer) | {"metrics": list(metrics), "subjects": [s.key for s in subjects]}
    if any(metric.in_use for metric in measurer.metrics):
        config |= {"use": asdict(use)}
    with working("measure", recipe_name, config, run, [measurer]) as directory, ProgressDisplay() as display:
        measurements = []
        for done, subject in enumerate(subjects, start=1):
            measurements.append(measurer(subject))
            display.update("measure", done, len(subjects), count=f"{done} of {len(subjects)}", facts=subject.name)
        directory.write_result({"measurements": measurements})
        costs = [measurer.costs(subject) for subject in subjects]
    if run.json:
        rows = [
            msgspec.to_builtins(measurement)
            | {
                "seconds": {name: c.seconds for name, c in cost.items()},
                "work": {name: c.work for name, c in cost.items()},
            }
            for measurement, cost in zip(measurements, costs, strict=True)
        ]
        print(to_json({"schema": SCHEMA, "job": "measure", "config": config, "measurements": rows}).decode(), end="")
    else:
        show_measurements(measurements, costs, metrics)


def run_search(
    runs: int,
    recipe_name: RecipeName,
    start_from: StartFrom | None,
    task_options: TaskOptions,
    measuring: MeasureOptions,
    scoring: ScoreOptions,
    searching: SearchOptions,
    run: RunOptions,
) -> None:
    """`asvit search`: Algorithm 1, once or several times."""
    if runs < 1:
        raise UserError(f"runs is {runs}: expected at least 1")
    recipe = RECIPES[recipe_name]
    task = task_options.task(recipe.task)
    start_from = start_from or recipe.start_from
    settings = search_settings(recipe, searching, scoring)
    metrics = metrics_of(settings.score)
    space = space_for(task.image_size, searching.base_stride)
    measurers = [
        prepare(recipe, task, measuring, replace(run, seed=run.seed + i), metrics=metrics) for i in range(runs)
    ]
    config = _measure_config(recipe_name, measurers[0]) | {"search": asdict(settings), "runs": runs}
    config |= {"base_stride": space.base_stride, "start_from": start_from}
    with working("search", recipe_name, config, run, measurers) as directory, ProgressDisplay() as display:
        say_few_tokens(task, space.base_stride)
        found = []
        for i, measurer in enumerate(measurers, start=1):
            title = f"search {i} of {runs}" if runs > 1 else "search"
            on_step = search_display(settings, display, title)
            measure, seed = measurer.architectures(), measurer.seed
            found.append(search(measure, settings, space=space, seed=seed, on_step=on_step))
        result = SearchResult.of(task, found, start_from)
        directory.write_result(result)
        write_architecture(directory, "seed", Architecture.parse(result.architecture), task)
        hand_over(directory, result, run)
    if not run.json:
        show_searches(found, metrics)
        if runs > 1:
            show_statistics(result.statistics)
        _say_recipe(recipe_name)


def run_grow(
    network: str,
    recipe_name: RecipeName,
    budget: BudgetOptions,
    task_options: TaskOptions,
    measuring: MeasureOptions,
    scoring: ScoreOptions,
    growing: GrowthOptions,
    run: RunOptions,
) -> None:
    """`asvit grow`: Algorithm 2 from a given network, and a member for every budget."""
    recipe = RECIPES[recipe_name]
    start = read_architecture(network)
    task = task_options.task(read_task(network) or recipe.task)
    family = family_settings(recipe, budget, task, growing, scoring, start=start)
    measurer = prepare(recipe, family.task, measuring, run, metrics=metrics_of(family.growth.score))
    meter = _meter(budget, measurer)
    config = _measure_config(recipe_name, measurer) | _family_config(family, meter) | {"start": str(start)}
    with working("grow", recipe_name, config, run, [measurer], [meter]) as directory, ProgressDisplay() as display:
        check_measured_budgets(family, meter, start=start)
        costs = Costs(family.task, meter)
        result = grow_family(
            start,
            family,
            measure=measurer.architectures(),
            measure_proxy=measurer.architectures(width_divisor=family.growth.width_divisor),
            meter=meter,
            on_measured=growth_display(family, costs, display),
        )
        directory.write_result(result)
        write_family(directory, result.family, family.task)
        hand_over(directory, result, run)
    if not run.json:
        show_family(result.family, metrics_of(family.growth.score))
        _say_recipe(recipe_name)


def run_design(
    recipe_name: RecipeName,
    start_from: StartFrom | None,
    start: str | None,
    budget: BudgetOptions,
    task_options: TaskOptions,
    measuring: MeasureOptions,
    scoring: ScoreOptions,
    searching: SearchOptions,
    growing: GrowthOptions,
    run: RunOptions,
) -> None:
    """`asvit design`: search, growth of the topology found or of a given network, and a family for the budgets."""
    if start is not None and (start_from is not None or searching != SearchOptions()):
        raise UserError("--start grows a network of yours without a search: leave out --start-from, --steps and others")
    recipe = RECIPES[recipe_name]
    stored = None if start is None else read_task(start)
    task = task_options.task(stored or recipe.task)
    space = space_for(task.image_size, searching.base_stride)
    given = None if start is None else read_architecture(start)
    family = family_settings(recipe, budget, task, growing, scoring, space=space, start=given)
    settings = DesignSettings(
        family=family,
        space=space,
        search=search_settings(recipe, searching, scoring),
        start_from=start_from or recipe.start_from,
        start=given,
    )
    measurer = prepare(recipe, task, measuring, run, metrics=metrics_of(settings.search.score))
    meter = _meter(budget, measurer)
    config = _measure_config(recipe_name, measurer) | _family_config(family, meter)
    if given is None:
        config |= {"search": asdict(settings.search), "base_stride": space.base_stride}
        config |= {"start_from": settings.start_from}
    else:
        config |= {"start": str(given)}
    with working("design", recipe_name, config, run, [measurer], [meter]) as directory, ProgressDisplay() as display:
        if given is None:
            say_few_tokens(task, space.base_stride)
        check_measured_budgets(family, meter, space=space, start=given)
        result = design(
            settings,
            measurer,
            meter=meter,
            on_step=search_display(settings.search, display, "search"),
            on_measured=growth_display(family, Costs(task, meter), display),
        )
        directory.write_result(result)
        write_family(directory, result.family, family.task)
        hand_over(directory, result, run)
    if not run.json:
        if result.search is not None:
            show_searches([result.search], metrics_of(settings.search.score))
        show_family(result.family, metrics_of(family.growth.score))
        _say_recipe(recipe_name)


def search_settings(recipe: Recipe, options: SearchOptions, scoring: ScoreOptions) -> SearchSettings:
    """Search settings of a recipe and what was asked beside it."""
    steps = recipe.steps if options.steps is None else options.steps
    return SearchSettings(steps=steps, range_window=options.range_window, score=parse_score(scoring.score))


def metrics_of(score: Sequence[Objective]) -> list[str]:
    """What has to be measured for a score."""
    return [objective.name for objective in score]


def family_settings(
    recipe: Recipe,
    budget: BudgetOptions,
    task: Task,
    growing: GrowthOptions,
    scoring: ScoreOptions,
    *,
    space: Space = TABLE_1,
    start: Architecture | None = None,
) -> FamilySettings:
    """Budgets and growth of a recipe and what was asked beside it; refuses what counts rule out at once."""
    growth = GrowthSettings(width_divisor=growing.width_divisor, score=parse_score(scoring.score))
    budgets = budget.budgets(recipe)
    return FamilySettings.of(recipe, task, budgets, space=space, start=start, fit=budget.fit, growth=growth)


def check_measured_budgets(
    family: FamilySettings, meter: UsageMeter, *, space: Space = TABLE_1, start: Architecture | None = None
) -> None:
    """Refuse a latency or memory below the smallest network, of a run that has not begun.

    What is measured for that is not kept: a busy moment neither binds later runs nor stops one that was admitted.
    """
    if family.measured and not meter.begun:
        costs = Costs(family.task, UsageMeter(meter.task, meter.device, use=meter.use))
        check_budgets(family.budgets, costs, fit=family.fit, space=space, start=start)


def search_display(
    settings: SearchSettings, display: ProgressDisplay, title: str
) -> Callable[[SearchStep, Measurement], None]:
    """What shows a search's steps: entropy, reward and the best first measure of the score so far."""
    first = settings.score[0].metric
    best = -first.sign * float("inf")

    def show(step: SearchStep, measurement: Measurement) -> None:
        nonlocal best
        if measurement.valid:
            best = first.sign * max(first.sign * value for value in (best, measurement.estimates[first.name].mean))
        facts = f"entropy {step.entropy:.2f}, reward {step.reward:+.2f}, best {first.symbol} so far {best:.3g}"
        done = step.step + 1
        display.update(title, done, settings.steps, count=f"step {done} of {settings.steps}", facts=facts)

    return show


def growth_display(
    family: FamilySettings, costs: Costs, display: ProgressDisplay
) -> Callable[[int, Architecture, int, int], None]:
    """What shows growth: the present network and its size; progress is in factors of what a network costs."""
    start: Architecture | None = None

    def grown(architecture: Architecture) -> float:
        """How far a network is from the start to the last of the limits, 0 to 1."""
        shares = []
        for limit in family.limits:
            begin, now = (limit.share(a, costs) for a in (start or architecture, architecture))
            shares.append(math.log(now / begin) / math.log(max(1 / begin, 1.01)))
        return max(0.0, min(*shares, 1.0))

    def show(step: int, current: Architecture, done: int, choices: int) -> None:
        nonlocal start
        start = start or current
        facts = f"now {current}, {format_size(current.params(family.task))} parameters"
        display.update("growth", grown(current), 1.0, count=f"step {step}, choice {done} of {choices}", facts=facts)

    return show


def write_family(directory: RunDirectory, members: Sequence[Member], task: Task) -> None:
    """Write a file for every member of a family."""
    for member in members:
        architecture = Architecture.parse(member.architecture)
        write_architecture(directory, f"family/{member.budget.file_name}", architecture, task)


def write_architecture(directory: RunDirectory, name: str, architecture: Architecture, task: Task) -> None:
    """Write an architecture file, which every command takes in place of a text form."""
    record = {
        "architecture": str(architecture),
        "task": task,
        "params": architecture.params(task),
        "macs": architecture.macs(task),
    }
    write_record(directory.path / f"{name}.json", directory.job, record)


def _say_recipe(name: RecipeName) -> None:
    if name != "paper":
        tell(f"recipe {name} is shorter than the paper's; for the paper's: {repeat_command(recipe='paper')}")


def _meter(budget: BudgetOptions, measurer: Measurer) -> UsageMeter:
    """Of networks in use, on the device of the other measures."""
    return UsageMeter(measurer.task, measurer.device, use=budget.use())


def _measure_config(name: RecipeName, measurer: Measurer) -> Json:
    return {
        "recipe": name,
        "task": asdict(measurer.task),
        "seed": measurer.seed,
        "measure": asdict(measurer.settings),
        "photographs": measurer.photographs.digest,
        "device": str(measurer.device),
        "work_memory": measurer.work_memory,
    }


def _family_config(family: FamilySettings, meter: UsageMeter) -> Json:
    config = {
        "growth": asdict(family.growth),
        "budgets": [asdict(budget) for budget in family.budgets],
        "limits": [asdict(limit) for limit in family.limits],
        "fit": family.fit,
    }
    return config | ({"in_use": asdict(meter.use)} if family.measured else {})
