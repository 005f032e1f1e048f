"""The commands of `asvit detect`. Imports torch only in jobs that compute."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from asvit.commands.detect_options import DetectorOptions, DetectRecipeName, DetectTrainOptions, SceneOptions
from asvit.commands.hand_over import hand_over_training, print_record
from asvit.commands.help import examples, helped
from asvit.commands.next_steps import say_next
from asvit.commands.options import ComputerOptions, RunOptions
from asvit.commands.pictures import files_among
from asvit.commands.train_options import Averaged, LoadingOptions, RunningOptions
from asvit.detection.recipe import RECIPES
from asvit.detection.results import LEAST_SCORE
from asvit.detection.settings import check_min_score
from asvit.detection.written import is_drawn
from asvit.errors import from_extra
from asvit.networks.architecture import Task
from asvit.networks.named import read_network
from asvit.runs.next_steps import after_scoring
from asvit.training.recipe import check_batch_size

detect = App(
    name="detect",
    help="Find objects and their outlines: Cascade Mask R-CNN on a designed backbone (Section 5.3).",
    help_epilogue=examples("asvit detect describe large", "asvit detect train --help"),
)


@detect.command(
    **helped("detect describe", "asvit detect describe large", "asvit detect describe timm:resnet50 --sides 800 1333")
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
        Recipe whose sizes are taken where they are not given.
    num_classes
        Kinds of objects.
    in_chans
        Channels of the images.
    json
        Print a JSON record on stdout and nothing else.
    """
    network, chosen = read_network(backbone), RECIPES[recipe]
    side = chosen.backbone_size
    task = Task(image_size=(side, side), in_chans=in_chans, num_classes=num_classes)
    with from_extra("detect"):
        from asvit.commands.detect_show import show_costs
        from asvit.detection.job import costs_of

    show_costs(costs_of(network, sizes.over(chosen.detector), task), as_json=json)


@detect.command(
    **helped(
        "detect train",
        "asvit detect train seed --data path/to/coco --recipe small",
        "asvit detect train small --data path/to/coco --start runs/classifier",
        first=(
            *("data", "in-chans", "max-left-out", "recipe", "start", "epochs", "batch-size", "square", "workers"),
            *("device", "out"),
        ),
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
        Trained classifier that the backbone starts from: checkpoint or run directory of asvit train, folder that asvit
        export wrote, or timm for timm's pretrained weights (default: random weights).
    """
    network, chosen = read_network(backbone), training.recipe(RECIPES[recipe], sizes)
    with from_extra("detect"):
        from asvit.commands.detect_show import show_detector
        from asvit.detection.job import run_train

    finished = run_train(
        network, data.settings, chosen, start=start, recipe_name=recipe, adjust=running.over, job=run.job
    )
    hand_over_training(finished, show_detector, as_json=run.json)


@detect.command(
    **helped("detect evaluate", "asvit detect evaluate runs/detector --data path/to/coco --results found.json")
)
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
    run: ComputerOptions = ComputerOptions(),
) -> None:
    """Score a trained detector: COCO's twelve numbers for boxes and masks, and each class's average precision.

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
    check_batch_size(batch_size)
    with from_extra("detect"):
        from asvit.commands.detect_show import show_coco_scores
        from asvit.detection.job import run_evaluate

    scored = run_evaluate(
        checkpoint,
        data.settings,
        split,
        averaged=averaged,
        batch_size=batch_size,
        results=results,
        adjust=loading.over,
        computer=run.job,
    )
    if run.json:
        print_record("detect evaluate", scored)
        return
    show_coco_scores(scored)
    say_next(after_scoring(checkpoint))


@detect.command(
    **helped(
        "detect predict", "asvit detect predict runs/detector street.jpg --min-score 0.3", usage="CHECKPOINT IMAGES..."
    )
)
def predict(
    checkpoint: Path,
    /,
    *images: Path,
    out: Path = Path("detections"),
    min_score: float = LEAST_SCORE,
    averaged: Averaged = True,
    run: ComputerOptions = ComputerOptions(),
) -> None:
    """Find objects in images and draw them: boxes, outlines, classes, scores.

    Parameters
    ----------
    checkpoint
        Checkpoint file, or run directory of detect train (its best checkpoint).
    images
        Image files, or folders of them.
    out
        Folder for the drawn pictures.
    min_score
        Least score of what is drawn.
    """
    check_min_score(min_score)
    files = files_among(images, is_drawn)
    with from_extra("detect"):
        from asvit.commands.detect_show import show_found
        from asvit.detection.job import run_predict

    rows = run_predict(checkpoint, files, out=out, min_score=min_score, averaged=averaged, computer=run.job)
    if run.json:
        print_record("detect predict", {"images": rows})
    else:
        show_found(rows, min_score=min_score)
