"""The commands of `asvit study`. Imports torch only in jobs that compute."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Group, Parameter

from asvit.commands.groups import Options
from asvit.commands.hand_over import hand_over
from asvit.commands.help import helped
from asvit.commands.options import (
    RECIPES_OWN,
    DesignTaskOptions,
    FilledOptions,
    MeasureOptions,
    MeasureOwnOptions,
    RecipeName,
    RunOptions,
    ScoreOptions,
    SpaceOptions,
    split_names,
)
from asvit.commands.train_options import DataOptions, PrecisionOptions, TrainOptions
from asvit.design.budget import Budget
from asvit.design.recipes import RECIPES as DESIGN_RECIPES
from asvit.errors import from_extra
from asvit.measure.metrics import METRICS
from asvit.networks.named import read_architecture
from asvit.study.plan import LEAST_RATIO, PlanSettings
from asvit.study.recipes import RECIPES, StudyRecipe
from asvit.study.settings import Contest, SearchMethod, StudySettings, Workers

StudyRecipeName = Literal["paper", "cifar10", "cifar10-laptop", "smoke"]

STUDY = Group("Study", sort_key=1)

Working = Annotated[Workers, Parameter(name="*", group=STUDY)]
"""What trains: the options are the fields of the settings."""
Compared = Annotated[Contest, Parameter(name="*", group=STUDY)]
"""How networks are compared: the options are the fields of the settings."""

WORKING = ("workers", "storage", "device", "threads", "out")
"""Options that one needs first of any study."""

study = App(
    name="study",
    help="Ask whether a measure predicts, on your images, what training finds (Tables 2 and 7).",
    **helped(
        "study",
        "asvit study --data digits --recipe smoke --least-ratio 0",
        "asvit study --data path/to/images --recipe cifar10-laptop --out runs/study",
        "asvit study --data path/to/images --params 2M --base-stride 2",
        first=("data", "in-chans", "recipe", "params", "topologies", "least-ratio", "so-far", *WORKING),
    ),
)


class SampleOptions(
    Options[PlanSettings],
    of=PlanSettings,
    take={
        "topologies": RECIPES_OWN,
        "seeds": RECIPES_OWN,
        "repeated": "a third, at least the six of the pilot",
    },
    group=STUDY,
):
    """What is trained."""

    least_ratio: float = LEAST_RATIO
    """What the pilot must show: variance of accuracies between topologies over that between seeds; 0: anything."""
    so_far: Annotated[bool, Parameter(negative=())] = False
    """Train nothing: judge what has been trained; of a study at work, in another --out, with its --storage, which by
    default is sqlite:///RUN/study.sqlite3."""

    def plan(self, recipe: StudyRecipe, seed: int) -> PlanSettings:
        """How many trainings."""
        return PlanSettings.of(**{"topologies": recipe.topologies, "seeds": recipe.seeds} | self.given, seed=seed)


def study_settings(
    recipe_name: StudyRecipeName,
    data: DataOptions,
    workers: Workers,
    training: TrainOptions,
    measuring: MeasureOptions,
    computing: PrecisionOptions,
) -> StudySettings:
    """What every kind of study is asked: the recipe, with what was said in its place."""
    recipe = RECIPES[recipe_name]
    train, schedule = training.asked().over(recipe.train)
    return StudySettings.of(
        recipe_name,
        data.settings,
        train=train,
        schedule=schedule,
        measuring=measuring.measuring(recipe, data.given.get("value_range")),
        workers=workers,
        precision=computing.given.get("precision"),
    )


@study.default
def run(
    *,
    data: DataOptions,
    recipe: StudyRecipeName = "cifar10",
    metrics: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    sampling: SampleOptions = SampleOptions(),
    filled: FilledOptions = FilledOptions(),
    workers: Working = Workers(),
    sampled: SpaceOptions = SpaceOptions(),
    training: TrainOptions = TrainOptions(),
    measuring: MeasureOptions = MeasureOptions(),
    computing: PrecisionOptions = PrecisionOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Train sampled networks, and judge every measure, and counting parameters, by their accuracies.

    Parameters
    ----------
    recipe
        paper: 87 topologies, 300 epochs. cifar10: small photographs on a GPU. cifar10-laptop: hours on a CPU. smoke:
        seconds.
    metrics
        Metrics to judge, with commas (default: all of the untrained network; at a budget the latency too).
    """
    settings = study_settings(recipe, data, workers, training, measuring, computing)
    with from_extra("study"):
        from asvit.commands.study_show import show_study
        from asvit.study.job import run_study

    finished = run_study(
        settings,
        sampling.plan(RECIPES[recipe], run.job.seed),
        split_names(metrics),
        budget=filled.budget,
        base_stride=sampled.base_stride,
        space_name=sampled.space,
        least_ratio=sampling.least_ratio,
        so_far=sampling.so_far,
        job=run.job,
    )
    hand_over(finished, show_study, as_json=run.json)


@study.command(
    **helped(
        "study table",
        "asvit study table accuracies.csv --image-size 224",
        first=("metrics", "image-size", "in-chans", "num-classes", "recipe", "device", "threads", "out"),
        usage="FILE",
    )
)
def table(
    file: Path,
    /,
    *,
    metrics: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    recipe: RecipeName = "quick",
    task: DesignTaskOptions = DesignTaskOptions(),
    measuring: MeasureOwnOptions = MeasureOwnOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Judge every measure by accuracies that somebody else made: nothing is trained.

    Parameters
    ----------
    file
        CSV file with a column network, of names as asvit measure takes them, or a column model, of timm's names; and a
        column top1, in shares or per cent. A network in several rows has several accuracies, such as those of its
        seeds; other columns do not count.
    metrics
        Metrics to judge, with commas (default: all of the untrained network).
    recipe
        How carefully to measure.
    """
    chosen, names = DESIGN_RECIPES[recipe], split_names(metrics)
    measured = measuring.own(chosen, names or [*METRICS])
    with from_extra("study"):
        from asvit.commands.study_show import show_verdict
        from asvit.measure.job import task_of
        from asvit.study.table import run_table

    images = task_of(task.given, measured, stored=None, default=chosen.task)
    with redirect_stdout(sys.stderr):  # for what functions of users print
        finished = run_table(file, names, recipe=recipe, task=images, measuring=measured, job=run.job)
    hand_over(finished, show_verdict, as_json=run.json)


@study.command(
    **helped(
        "study search",
        "asvit study search --data digits --recipe smoke --measurements 20",
        first=("data", "in-chans", "recipe", "methods", "measurements", "against", "runs", "trainings", *WORKING),
    )
)
def search(
    *,
    data: DataOptions,
    recipe: StudyRecipeName = "cifar10",
    methods: Annotated[tuple[SearchMethod, ...], Parameter(consume_multiple=True, negative=())] = (
        "reinforce",
        "random",
        "evolution",
        "tpe",
        "nsga2",
    ),
    measurements: int = 500,
    against: Path | None = None,
    searched: SpaceOptions = SpaceOptions(),
    contest: Compared = Contest(),
    workers: Working = Workers(),
    training: TrainOptions = TrainOptions(),
    measuring: MeasureOptions = MeasureOptions(),
    scoring: ScoreOptions = ScoreOptions(),
    computing: PrecisionOptions = PrecisionOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Compare Algorithm 1 with other searches at the same number of measurements, and train what they find.

    Parameters
    ----------
    recipe
        How carefully to measure, and how to train.
    methods
        Algorithm 1's policy gradient, random search, regularised evolution, Optuna's TPE and NSGA-II.
    measurements
        Number of measurements of each search.
    against
        CSV file of a study with the same data and recipe: says how many of its topologies those found beat.
    """
    settings = study_settings(recipe, data, workers, training, measuring, computing)
    with from_extra("study"):
        from asvit.commands.study_show import show_search_contest
        from asvit.study.contest_job import run_search_contest

    finished = run_search_contest(
        settings,
        scoring.objectives,
        methods,
        measurements,
        contest=contest,
        against=against,
        base_stride=searched.base_stride,
        space_name=searched.space,
        job=run.job,
    )
    hand_over(finished, show_search_contest, as_json=run.json)


@study.command(
    **helped(
        "study scaling",
        "asvit study scaling seed --data path/to/images --params 5M 10M",
        first=("data", "in-chans", "recipe", "rules", "params", "runs", "trainings", *WORKING),
    )
)
def scaling(
    topology: str,
    /,
    *,
    data: DataOptions,
    params: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())],
    recipe: StudyRecipeName = "cifar10",
    random_runs: int = 10,
    contest: Compared = Contest(),
    workers: Working = Workers(),
    training: TrainOptions = TrainOptions(),
    measuring: MeasureOptions = MeasureOptions(),
    scoring: ScoreOptions = ScoreOptions(),
    computing: PrecisionOptions = PrecisionOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Compare Algorithm 2 with other scaling rules at equal numbers of parameters, and train what they give.

    Parameters
    ----------
    topology
        Topology to scale: text form, published name, or file that a job wrote.
    params
        Sizes to scale to, such as 5M 10M.
    recipe
        How carefully to measure, and how to train.
    random_runs
        Seeds of random scaling, which measures nothing.
    """
    settings = study_settings(recipe, data, workers, training, measuring, computing)
    start, budgets = read_architecture(topology).topology, [Budget.parse("params", text) for text in params]
    with from_extra("study"):
        from asvit.commands.study_show import show_scaling_contest
        from asvit.study.contest_job import run_scaling_contest

    finished = run_scaling_contest(
        settings,
        start,
        scoring.objectives,
        budgets,
        random_runs=random_runs,
        contest=contest,
        job=run.job,
    )
    hand_over(finished, show_scaling_contest, as_json=run.json)
