"""The commands that train and use classifiers. Imports torch only in jobs that compute."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from asvit.commands.hand_over import hand_over_training, print_record
from asvit.commands.next_steps import say_next
from asvit.commands.options import ComputerOptions, RunOptions
from asvit.commands.pictures import files_among
from asvit.commands.train_options import (
    Averaged,
    ClassifierLoadingOptions,
    ClassifierRunningOptions,
    DataOptions,
    TrainOptions,
    TrainRecipeName,
)
from asvit.errors import from_extra
from asvit.networks.named import read_network, read_task
from asvit.runs.next_steps import after_evaluation
from asvit.training.recipe import check_batch_size
from asvit.units import parse_image_size


def train(
    arch: str,
    /,
    *,
    data: DataOptions,
    recipe: TrainRecipeName = "auto",
    start: str | None = None,
    plan: Annotated[bool, Parameter(negative=())] = False,
    training: TrainOptions = TrainOptions(),
    running: ClassifierRunningOptions = ClassifierRunningOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Train a classifier, with coarse tokens first (Section 4); under torchrun, on many GPUs and machines.

    Parameters
    ----------
    arch
        Published name, text form, file that a job wrote, or timm:NAME.
    recipe
        auto: for the number of images and their size. imagenet: the paper's, 300 epochs. imagenette, cifar10: for small
        sets of photographs. digits: under a minute on two cores. smoke: seconds.
    start
        Trained network of the same form that it starts from: checkpoint or run directory of asvit train, folder that
        asvit export wrote, or timm for timm's pretrained weights (default: random weights).
    plan
        Say what would be trained and how, how long it would take on this machine, and what every stage of the schedule
        costs; train nothing.
    """
    network, designed = read_network(arch), read_task(arch)
    asked = training.asked(recipe)
    with from_extra("train"):
        from asvit.commands.train_show import show_plan, show_training
        from asvit.training.job import plan_training, run_train

    wanted = {"designed": designed, "start": start, "adjust": running.over, "job": run.job}
    if plan:
        show_plan(plan_training(network, data.settings, asked, **wanted), as_json=run.json)
        return
    hand_over_training(run_train(network, data.settings, asked, **wanted), show_training, as_json=run.json)


def evaluate(
    network: str,
    /,
    *,
    data: DataOptions,
    split: Literal["train", "val"] = "val",
    averaged: Averaged = True,
    batch_size: int = 64,
    image_size: str | None = None,
    loading: ClassifierLoadingOptions = ClassifierLoadingOptions(),
    run: ComputerOptions = ComputerOptions(),
) -> None:
    """Score a trained network: accuracy, loss, calibration, confusion, throughput.

    Parameters
    ----------
    network
        Checkpoint file, run directory of train (its best checkpoint), folder that export wrote for timm, or timm:NAME
        with timm's pretrained weights.
    split
        val or train.
    batch_size
        Images at a time.
    image_size
        Image size, where it is not that of the training: side in pixels, or height and width: 96 128 or 96x128.
    """
    check_batch_size(batch_size)
    size = None if image_size is None else parse_image_size(image_size)
    with from_extra("train"):
        from asvit.commands.train_show import show_scores
        from asvit.training.job import run_evaluate
        from asvit.training.trained import read_classifier

    evaluated = run_evaluate(
        network,
        read_classifier(network, averaged=averaged),
        data.settings,
        split,
        batch_size=batch_size,
        image_size=size,
        adjust=loading.over,
        computer=run.job,
    )
    if run.json:
        print_record("evaluate", evaluated)
        return
    show_scores(evaluated)
    say_next(after_evaluation(network, str(data.settings.data)))


def predict(
    checkpoint: Path,
    /,
    *images: Path,
    top: int = 5,
    averaged: Averaged = True,
    run: ComputerOptions = ComputerOptions(),
) -> None:
    """Print classes and probabilities of images.

    Parameters
    ----------
    checkpoint
        Checkpoint file, run directory of train (its best checkpoint), or folder that export wrote for timm.
    images
        Image files, or folders of them.
    top
        Classes to print.
    """
    files = files_among(images)
    with from_extra("train"):
        from asvit.commands.train_show import show_predictions
        from asvit.training.job import check_top, run_predict
        from asvit.training.trained import read_classifier

    check_top(top)
    predictions = run_predict(read_classifier(checkpoint, averaged=averaged), files, top, run.job)
    show_predictions(predictions, as_json=run.json)
