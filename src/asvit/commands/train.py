"""The commands that train and use classifiers. Imports torch only in jobs that compute."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from asvit.commands.hand_over import hand_over_training, print_record
from asvit.commands.options import ComputerOptions, RunOptions
from asvit.commands.train_options import (
    Averaged,
    ClassifierLoadingOptions,
    ClassifierRunningOptions,
    Data,
    TrainOptions,
    TrainRecipeName,
)
from asvit.errors import UserError, from_extra
from asvit.networks.named import read_network
from asvit.training.recipe import RECIPES
from asvit.units import parse_image_size


def train(
    arch: str,
    /,
    *,
    data: Data,
    recipe: TrainRecipeName = "imagenet",
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
        imagenet: the paper's. imagenette, cifar10: for small sets of photographs. digits: under a minute on two cores.
        smoke: seconds.
    plan
        Print what every stage of the schedule costs and what it saves, and train nothing.
    """
    network = read_network(arch)
    chosen, schedule = training.recipe(RECIPES[recipe])
    with from_extra("train"):
        from asvit.commands.train_show import show_plan, show_training
        from asvit.training.job import planned_costs, run_train

    if plan:
        show_plan(str(network), planned_costs(network, data, chosen, schedule), as_json=run.json)
        return
    finished = run_train(network, data, chosen, schedule, recipe_name=recipe, adjust=running.over, job=run.job)
    hand_over_training(finished, show_training, as_json=run.json)


def evaluate(
    network: str,
    /,
    *,
    data: Data,
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
    size = None if image_size is None else parse_image_size(image_size)
    with from_extra("train"):
        from asvit.commands.train_show import show_scores
        from asvit.training.job import run_evaluate
        from asvit.training.trained import read_classifier

    evaluated = run_evaluate(
        network,
        read_classifier(network, averaged=averaged),
        data,
        split,
        batch_size=batch_size,
        image_size=size,
        adjust=loading.over,
        computer=run.job,
    )
    if run.json:
        print_record("evaluate", evaluated)
    else:
        show_scores(evaluated)


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
        Image files.
    top
        Classes to print.
    """
    if not images:
        raise UserError("no image to classify: expected one or more files")
    with from_extra("train"):
        from asvit.commands.train_show import show_predictions
        from asvit.training.job import run_predict
        from asvit.training.trained import read_classifier

    predictions = run_predict(read_classifier(checkpoint, averaged=averaged), images, top, run.job)
    show_predictions(predictions, as_json=run.json)
