"""The commands of `asvit detect`. Imports torch only in jobs that compute."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from asvit.detect_options import DetectorOptions, DetectRecipeName, DetectTrainOptions, SceneOptions
from asvit.extras import from_extra
from asvit.help import examples
from asvit.options import DeviceOptions, RunOptions
from asvit.train_options import Averaged, LoadingOptions, RunningOptions

detect = App(
    name="detect",
    help="Find objects and their outlines: Cascade Mask R-CNN on a designed backbone (Section 5.3).",
    help_epilogue=examples("asvit detect describe large", "asvit detect train --help"),
)


@detect.command(
    help_epilogue=examples(
        "asvit detect describe large",
        "asvit detect describe timm:resnet50 --sides 800 1333",
    )
)
def describe(
    backbone: str,
    /,
    *,
    recipe: DetectRecipeName = "coco",
    num_classes: int = 80,
    in_chans: int = 3,
    json: Annotated[bool, Parameter(negative=())] = False,
    sizes: DetectorOptions = DetectorOptions(),
) -> None:
    """Print a detector's parameters and multiply-adds, part by part.

    Parameters
    ----------
    backbone
        Published name, text form, file that a job wrote, or timm:NAME of a model with maps of strides 4, 8, 16 and 32.
    recipe
        Of which the sizes are, where they are not given.
    num_classes
        Kinds of objects.
    in_chans
        Channels of the images.
    json
        Print a JSON record on stdout and nothing else.
    """
    with from_extra("detect"):
        from asvit import detect_jobs

    detect_jobs.run_describe(backbone, recipe, num_classes, in_chans, sizes, json)


@detect.command(
    help_epilogue=examples(
        "asvit detect train seed --data path/to/coco --recipe small",
        "asvit detect train small --data path/to/coco --start runs/classifier",
    )
)
def train(
    backbone: str,
    /,
    *,
    data: SceneOptions,
    recipe: DetectRecipeName = "coco",
    start: str | None = None,
    training: DetectTrainOptions = DetectTrainOptions(),
    sizes: DetectorOptions = DetectorOptions(),
    loading: LoadingOptions = LoadingOptions(),
    running: RunningOptions = RunningOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Train a detector; under torchrun, on many GPUs and machines.

    Parameters
    ----------
    backbone
        Published name, text form, file that a job wrote, or timm:NAME of a model with maps of strides 4, 8, 16 and 32.
    recipe
        coco: the paper's. small: for hundreds of photographs, a small detector. smoke: seconds.
    start
        Trained classifier that the backbone starts from: checkpoint or run directory of asvit train, or timm for timm's
        pretrained weights (default: none).
    """
    with from_extra("detect"):
        from asvit import detect_jobs

    detect_jobs.run_train(backbone, recipe, start, data, training, sizes, loading, running, run)


@detect.command(help_epilogue=examples("asvit detect evaluate runs/detector --data path/to/coco --results found.json"))
def evaluate(
    checkpoint: Path,
    /,
    *,
    data: SceneOptions,
    split: Literal["train", "val"] = "val",
    averaged: Averaged = True,
    batch_size: int = 8,
    results: Path | None = None,
    loading: LoadingOptions = LoadingOptions(),
    run: DeviceOptions = DeviceOptions(),
) -> None:
    """Score a trained detector: COCO's twelve numbers for boxes and for masks.

    Parameters
    ----------
    checkpoint
        Checkpoint file, or run directory of detect train (its best checkpoint).
    split
        val or train.
    batch_size
        Images at a time.
    results
        File for what was found, in COCO's results format.
    """
    with from_extra("detect"):
        from asvit import detect_jobs

    detect_jobs.run_evaluate(checkpoint, split, averaged, batch_size, results, data, loading, run)


@detect.command(help_epilogue=examples("asvit detect predict runs/detector street.jpg --min-score 0.3"))
def predict(
    checkpoint: Path,
    /,
    *images: Path,
    out: Path = Path("detections"),
    min_score: float = 0.5,
    averaged: Averaged = True,
    run: DeviceOptions = DeviceOptions(),
) -> None:
    """Find objects in images and draw them: boxes, outlines, classes, scores.

    Parameters
    ----------
    checkpoint
        Checkpoint file, or run directory of detect train (its best checkpoint).
    images
        Image files.
    out
        Folder for the drawn pictures.
    min_score
        Least score of what is drawn.
    """
    with from_extra("detect"):
        from asvit import detect_jobs

    detect_jobs.run_predict(checkpoint, images, min_score, averaged, out, run)
