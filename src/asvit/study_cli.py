"""The command `asvit study`. Imports torch only in jobs that compute."""

from typing import Annotated

from cyclopts import App, Parameter

from asvit.options import MeasureOptions, RunOptions
from asvit.study_options import StudyOptions, StudyRecipeName
from asvit.train_options import ClassifierLoadingOptions, DataOptions, TrainOptions

study = App(name="study", help="Ask whether a measure predicts, on your images, what training finds (Table 2).")


@study.default
def run(
    *,
    data: DataOptions,
    recipe: StudyRecipeName = "cifar10",
    metrics: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    sampling: StudyOptions = StudyOptions(),
    training: TrainOptions = TrainOptions(),
    measuring: MeasureOptions = MeasureOptions(),
    loading: ClassifierLoadingOptions = ClassifierLoadingOptions(),
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
    from asvit import study_jobs

    names = tuple(name.strip() for group in metrics for name in group.split(","))
    study_jobs.run_study(recipe, names, data, sampling, training, measuring, loading, run)
