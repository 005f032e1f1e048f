"""Search, grow and design into a run directory: what `asvit search`, `grow` and `design` run."""

import math
from collections.abc import Sequence
from dataclasses import asdict

from asvit.design.costs import Costs
from asvit.design.display import DesignDisplay, growth_after_search
from asvit.design.family import FamilySettings, GrowResult, Member, check_budgets, grow_family
from asvit.design.pipeline import design
from asvit.design.ranking import Objective
from asvit.design.recipes import StartFrom
from asvit.design.results import DesignResult
from asvit.design.search import SearchResult, SearchSettings, search
from asvit.design.settings import DesignSettings
from asvit.errors import check_whole
from asvit.measure.job import measure_config, prepare, working
from asvit.measure.meter import UsageMeter
from asvit.measure.settings import Measuring, Use
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import BASE_STRIDE, LEAST_WINDOW, STAGES, TABLE_1, Space, space_for
from asvit.runs.job import Finished, Job
from asvit.runs.progress import ProgressDisplay, tell
from asvit.runs.records import Json, RunDirectory, write_record


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
    check_whole("runs", runs, 1, 100)
    metrics = metrics_of(settings.score)
    measurers = [prepare(measuring, task, job, metrics=metrics, seed=job.seed + i) for i in range(runs)]
    config = measure_config(recipe, measurers[0]) | {"search": asdict(settings), "runs": runs}
    config |= space_config(space, task) | {"start_from": start_from}
    with working("search", config, job, measurers) as directory, ProgressDisplay() as display:
        say_few_tokens(task, space.base_stride)
        searches = []
        for i, measurer in enumerate(measurers, start=1):
            on_step = DesignDisplay(display, measurer).search(settings, space, run=i, runs=runs)
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
            ahead=measurer.ahead(width_divisor=family.growth.width_divisor),
            meter=meter,
            on_measured=DesignDisplay(display, measurer).growth(family, Costs(family.task, meter)),
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
        config |= {"search": asdict(settings.search)} | space_config(space, family.task)
        config |= {"start_from": settings.start_from}
    else:
        config |= {"start": str(start)}
    with working("design", config, job, [measurer], [meter]) as directory, ProgressDisplay() as display:
        if start is None:
            say_few_tokens(family.task, space.base_stride)
        check_measured_budgets(family, meter, space=space, start=start)
        costs, shown = Costs(family.task, meter), DesignDisplay(display, measurer)
        result = design(
            settings,
            measurer,
            meter=meter,
            on_step=shown.search(settings.search, space, growth_after=growth_after_search(family, costs)),
            on_measured=shown.growth(family, costs),
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


def space_config(space: Space, task: Task) -> Json:
    """A space, for records: its values too, where they are not those of Table 1 for such images.

    >>> space_config(TABLE_1, Task()), [*space_config(space_for((224, 224), name="wide"), Task())]
    ({'base_stride': 4}, ['base_stride', 'space'])
    """
    usual = space == space_for(task.image_size, space.base_stride)
    values = {} if usual else {"space": {name: list(values) for name, values in space.values.items()}}
    return {"base_stride": space.base_stride} | values


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
