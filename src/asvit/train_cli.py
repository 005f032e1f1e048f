"""The commands that train, use and hand over classifiers. Imports torch only in jobs that compute."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from asvit.export_options import CardOptions, DrawOptions, ExportOptions
from asvit.extras import from_extra
from asvit.options import DeviceOptions, RunOptions, parse_image_size
from asvit.train_options import (
    Averaged,
    ClassifierLoadingOptions,
    ClassifierRunningOptions,
    DataOptions,
    TrainOptions,
    TrainRecipeName,
)


def train(
    arch: str,
    /,
    *,
    data: DataOptions,
    recipe: TrainRecipeName = "imagenet",
    plan: Annotated[bool, Parameter(negative=())] = False,
    training: TrainOptions = TrainOptions(),
    loading: ClassifierLoadingOptions = ClassifierLoadingOptions(),
    running: ClassifierRunningOptions = ClassifierRunningOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Train a classifier, with coarse tokens first (Section 4); under torchrun, on many GPUs and machines.

    Parameters
    ----------
    arch
        Published name, text form, file that a job wrote, or timm:NAME.
    recipe
        imagenet: the paper's. imagenette, cifar10: for small sets of photographs. digits: two minutes. smoke: seconds.
    plan
        Print what every stage of the schedule costs and what it saves, and train nothing.
    """
    with from_extra("train"):
        from asvit import train_jobs

    train_jobs.run_train(arch, recipe, plan, data, training, loading, running, run)


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
    run: DeviceOptions = DeviceOptions(),
) -> None:
    """Score a trained network: accuracy, loss, calibration, confusion, throughput.

    Parameters
    ----------
    network
        Checkpoint file, run directory of train (its best checkpoint), or timm:NAME with timm's pretrained weights.
    split
        val or train.
    batch_size
        Images at a time.
    image_size
        Other than trained: side in pixels, or height and width: 96 128 or 96x128.
    """
    with from_extra("train"):
        from asvit import train_jobs

    size = None if image_size is None else parse_image_size(image_size)
    train_jobs.run_evaluate(network, split, averaged, batch_size, size, data, loading, run)


def predict(
    checkpoint: Path,
    /,
    *images: Path,
    top: int = 5,
    averaged: Averaged = True,
    run: DeviceOptions = DeviceOptions(),
) -> None:
    """Print classes and probabilities of images.

    Parameters
    ----------
    checkpoint
        Checkpoint file, or run directory of train (its best checkpoint).
    images
        Image files.
    top
        Classes to print.
    """
    with from_extra("train"):
        from asvit import train_jobs

    train_jobs.run_predict(checkpoint, images, top, averaged, run)


def export(
    network: str,
    /,
    *,
    options: ExportOptions,
    drawing: DrawOptions = DrawOptions(),
    about: CardOptions = CardOptions(),
) -> None:
    """Hand a classifier over to timm, onnxruntime or torch.export, with a model card; every file is checked.

    Parameters
    ----------
    network
        Run directory of train (its best checkpoint), checkpoint file, or an architecture: published name, text form, or
        file that a job wrote.
    """
    with from_extra("train"):
        from asvit import export_jobs

    export_jobs.run_export(network, options, drawing, about)
