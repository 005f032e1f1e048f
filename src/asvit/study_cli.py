"""The commands of `asvit study`. Imports torch only in jobs that compute."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from asvit.extras import from_extra
from asvit.help import examples
from asvit.options import MeasureOptions, RunOptions, ScoreOptions, SpaceOptions
from asvit.study_options import ContestOptions, SearchMethod, StudyOptions, StudyRecipeName
from asvit.train_options import DataOptions, PrecisionOptions, TrainOptions

study = App(
    name="study",
    help="Ask whether a measure predicts, on your images, what training finds (Tables 2 and 7).",
    help_epilogue=examples(
        "asvit study --data digits --recipe smoke --least-ratio 0",
        "asvit study --data path/to/images --recipe cifar10-laptop --out runs/study",
    ),
)


@study.default
def run(
    *,
    data: DataOptions,
    recipe: StudyRecipeName = "cifar10",
    metrics: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    sampling: StudyOptions = StudyOptions(),
    sampled: SpaceOptions = SpaceOptions(),
    training: TrainOptions = TrainOptions(),
    measuring: MeasureOptions = MeasureOptions(),
    computing: PrecisionOptions = PrecisionOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Train sampled topologies, and judge every measure, and counting parameters, by their accuracies.

    Parameters
    ----------
    recipe
        paper: 87 topologies, 300 epochs. cifar10: small photographs on a GPU. cifar10-laptop: hours on a CPU. smoke:
        seconds.
    metrics
        To judge, with commas (default: all).
    """
    with from_extra("study"):
        from asvit import study_jobs
        from asvit.job import split_names

    study_jobs.run_study(recipe, split_names(metrics), data, sampling, sampled, training, measuring, computing, run)


@study.command(
    help_epilogue=examples(
        "asvit study search --data digits --recipe smoke --measurements 20",
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
    contest: ContestOptions = ContestOptions(),
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
        Of each search.
    against
        CSV file of a study with the same data and recipe: says how many of its topologies those found beat.
    """
    with from_extra("study"):
        from asvit import contest_jobs

    contest_jobs.run_search_contest(
        recipe, methods, measurements, against, searched, data, contest, training, measuring, scoring, computing, run
    )


@study.command(help_epilogue=examples("asvit study scaling seed --data path/to/images --params 5M 10M"))
def scaling(
    topology: str,
    /,
    *,
    data: DataOptions,
    params: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())],
    recipe: StudyRecipeName = "cifar10",
    random_runs: int = 10,
    contest: ContestOptions = ContestOptions(),
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
        To scale: text form, published name, or file that a job wrote.
    params
        Sizes to scale to, such as 5M 10M.
    recipe
        How carefully to measure, and how to train.
    random_runs
        Seeds of random scaling, which measures nothing.
    """
    with from_extra("study"):
        from asvit import contest_jobs

    contest_jobs.run_scaling_contest(
        topology, recipe, params, random_runs, data, contest, training, measuring, scoring, computing, run
    )
