"""Search, grow and design into a run directory: what `asvit search`, `grow` and `design` run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict

from asvit.design.costs import Costs
from asvit.design.family import FamilySettings, GrowResult, Member, check_budgets, grow_family
from asvit.design.grow import OnMeasured
from asvit.design.pipeline import design
from asvit.design.ranking import Objective
from asvit.design.recipes import StartFrom
from asvit.design.results import DesignResult
from asvit.design.search import SearchResult, SearchSettings, SearchStep, search
from asvit.design.settings import DesignSettings
from asvit.design.words import undecided_in_words
from asvit.errors import UserError
from asvit.measure.estimates import Measurement
from asvit.measure.job import measure_config, prepare, working
from asvit.measure.meter import UsageMeter
from asvit.measure.settings import Measuring, Use
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import BASE_STRIDE, LEAST_WINDOW, STAGES, TABLE_1, Space
from asvit.runs.job import Finished, Job
from asvit.runs.progress import ProgressDisplay, tell
from asvit.runs.records import Json, RunDirectory, write_record
from asvit.units import format_size


def run_search(
    settings: SearchSettings,
    *,
    runs: int = 1,
    recipe: str,
    start_from: StartFrom,
    space: Space,
    task: Task,
    measuring: Measuring,
    job: Job = Job(),
) -> Finished[SearchResult]:
    """Algorithm 1, once or several times.

    Args:
        settings: settings of a search.
        runs: number of independent searches, with seeds from the job's up.
        recipe: name of the recipe, for the records.
        start_from: topology of the search that growth starts from.
        space: space that is searched.
        task: images and classes.
        measuring: settings of the measures, images for the kernel, and memory.
        job: device, run directory and random seed.
    """
    if runs < 1:
        raise UserError(f"runs is {runs}: expected at least 1")
    metrics = metrics_of(settings.score)
    measurers = [prepare(measuring, task, job, metrics=metrics, seed=job.seed + i) for i in range(runs)]
    config = measure_config(recipe, measurers[0]) | {"search": asdict(settings), "runs": runs}
    config |= {"base_stride": space.base_stride, "start_from": start_from}
    with working("search", config, job, measurers) as directory, ProgressDisplay() as display:
        say_few_tokens(task, space.base_stride)
        searches = []
        for i, measurer in enumerate(measurers, start=1):
            title = f"search {i} of {runs}" if runs > 1 else "search"
            on_step = search_display(settings, space, display, title)
            measure, seed = measurer.architectures(), measurer.seed
            searches.append(search(measure, settings, space=space, seed=seed, on_step=on_step))
        result = SearchResult.of(task, searches, start_from)
        directory.write_result(result)
        write_architecture(directory, "seed", Architecture.parse(result.architecture), task)
    return Finished(directory, result)


def run_grow(
    start: Architecture,
    family: FamilySettings,
    *,
    recipe: str,
    measuring: Measuring,
    use: Use = Use(),
    job: Job = Job(),
) -> Finished[GrowResult]:
    """Algorithm 2 from a given network, and a member for every budget.

    Args:
        start: network that grows.
        family: task, budgets and growth.
        recipe: name of the recipe, for the records.
        measuring: settings of the measures, images for the kernel, and memory.
        use: batch size and precision while latency and memory are measured.
        job: device, run directory and random seed.
    """
    measurer = prepare(measuring, family.task, job, metrics=metrics_of(family.growth.score))
    meter = UsageMeter(family.task, measurer.device, use=use)
    config = measure_config(recipe, measurer) | family_config(family, use) | {"start": str(start)}
    with working("grow", config, job, [measurer], [meter]) as directory, ProgressDisplay() as display:
        check_measured_budgets(family, meter, start=start)
        result = grow_family(
            start,
            family,
            measure=measurer.architectures(),
            measure_proxy=measurer.architectures(width_divisor=family.growth.width_divisor),
            meter=meter,
            on_measured=growth_display(family, Costs(family.task, meter), display),
        )
        directory.write_result(result)
        write_family(directory, result.family, family.task)
    return Finished(directory, result)


def run_design(
    settings: DesignSettings,
    *,
    recipe: str,
    measuring: Measuring,
    use: Use = Use(),
    job: Job = Job(),
) -> Finished[DesignResult]:
    """Search, growth of the topology found or of a given network, and a family for the budgets.

    Args:
        settings: space, search, growth, task and budgets.
        recipe: name of the recipe, for the records.
        measuring: settings of the measures, images for the kernel, and memory.
        use: batch size and precision while latency and memory are measured.
        job: device, run directory and random seed.
    """
    family, start, space = settings.family, settings.start, settings.space
    measurer = prepare(measuring, family.task, job, metrics=metrics_of(settings.search.score))
    meter = UsageMeter(family.task, measurer.device, use=use)
    config = measure_config(recipe, measurer) | family_config(family, use)
    if start is None:
        config |= {"search": asdict(settings.search), "base_stride": space.base_stride}
        config |= {"start_from": settings.start_from}
    else:
        config |= {"start": str(start)}
    with working("design", config, job, [measurer], [meter]) as directory, ProgressDisplay() as display:
        if start is None:
            say_few_tokens(family.task, space.base_stride)
        check_measured_budgets(family, meter, space=space, start=start)
        result = design(
            settings,
            measurer,
            meter=meter,
            on_step=search_display(settings.search, space, display, "search"),
            on_measured=growth_display(family, Costs(family.task, meter), display),
        )
        directory.write_result(result)
        write_family(directory, result.family, family.task)
    return Finished(directory, result)


def metrics_of(score: Sequence[Objective]) -> list[str]:
    """Names of the metrics that a score needs."""
    return [objective.name for objective in score]


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
    settings: SearchSettings, space: Space, display: ProgressDisplay, title: str
) -> Callable[[SearchStep, Measurement], None]:
    """Function that shows a search's steps: how undecided it is, and the best value so far of the first measure."""
    first = settings.score[0].metric
    best = -first.sign * float("inf")

    def show(step: SearchStep, measurement: Measurement) -> None:
        nonlocal best
        if measurement.valid:
            best = first.sign * max(first.sign * value for value in (best, measurement.estimates[first.name].mean))
        facts = f"{undecided_in_words(step.entropy, space)}, best {first.name} so far {best:.3g}"
        done = step.step + 1
        display.update(title, done, settings.steps, count=f"step {done} of {settings.steps}", facts=facts)

    return show


def growth_display(family: FamilySettings, costs: Costs, display: ProgressDisplay) -> OnMeasured:
    """Function that shows growth: the present network and its size; progress is in factors of what a network costs."""
    start: Architecture | None = None

    def grown(architecture: Architecture) -> float:
        """Share of the way from the start to the last of the limits that a network has come, 0 to 1."""
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


def family_config(family: FamilySettings, use: Use) -> Json:
    """Everything that a family depends on, for ``run.json``."""
    config = {
        "growth": asdict(family.growth),
        "budgets": [asdict(budget) for budget in family.budgets],
        "limits": [asdict(limit) for limit in family.limits],
        "fit": family.fit,
    }
    return config | ({"in_use": asdict(use)} if family.measured else {})


def say_few_tokens(task: Task, base_stride: int) -> None:
    """Tell the user where the paper's stride leaves small images few tokens."""
    tokens = min(task.image_size) / (2 ** (STAGES - 1) * base_stride)
    if base_stride == BASE_STRIDE and tokens < LEAST_WINDOW:
        height, width = task.image_size
        left = math.ceil(tokens)
        noun = "token" if left == 1 else "tokens"
        tell(
            f"at {height}x{width} a base stride of {base_stride} leaves the last stage {left} {noun} a side: "
            "--base-stride 1 or 2 leaves more"
        )
