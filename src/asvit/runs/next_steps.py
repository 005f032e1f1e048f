"""What can be done with a run: what each step is for, and its command line with the run's own paths. Needs no torch."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from asvit.errors import UserError
from asvit.listing import part_of
from asvit.runs.records import REPORT, RESULT, RUN, Json, read_asked

Step = tuple[str, str]
"""What one would do, and the command for it."""

IMAGES, COCO = "path/to/images", "path/to/coco"
"""Places of images that nobody has named."""


def after_run(run: Path) -> Iterator[Step]:
    """What can be done with a run directory; nothing where its files cannot be read."""
    try:
        asked = read_asked(run)
    except UserError:
        return
    if not (run / RESULT).exists():
        yield "go on where it stopped", asked["command"]
        return
    config = asked["config"]
    match asked["job"]:
        case "search":
            yield from after_search(run)
        case "grow" | "design":
            members = sorted((run / "family").glob("*.json"))
            yield from after_design({member.stem: member for member in members}, training_set_of(asked))
        case "train":
            yield from after_training(run, config.get("data", IMAGES))
        case "detect":
            yield from after_detection(run, config.get("data", COCO))
        case "study" | "study-search" | "study-scaling":
            yield "its verdict, with intervals, in a browser", str(run / REPORT)


def after_search(run: Path) -> Iterator[Step]:
    """Look at the topology that was found, and grow it."""
    yield "its stages and its size", command("asvit", "describe", run / "seed.json")
    yield "grow what it found to your budget", command("asvit", "grow", run / RESULT, "--params", "3M")


def after_design(members: Mapping[str, Path], data: str) -> Iterator[Step]:
    """Look at the first member of a family, and train each.

    Args:
        members: architecture files by what the networks are for.
        data: images to train on.

    >>> for title, words in after_design({"3M parameters": Path("run/family/3M-params.json")}, "path/to/images"):
    ...     print(f"{words}  # {title}")
    asvit describe run/family/3M-params.json  # its stages and its size
    asvit train run/family/3M-params.json --data path/to/images  # train the network for 3M parameters
    """
    for file in list(members.values())[:1]:
        yield "its stages and its size", command("asvit", "describe", file)
    for name, file in members.items():
        yield f"train the network for {name}", command("asvit", "train", file, "--data", data)


def after_training(run: Path, data: str) -> Iterator[Step]:
    """Score, use and hand over a classifier."""
    yield "accuracy, calibration, confusion matrix", command("asvit", "evaluate", run, "--data", data)
    yield from after_evaluation(str(run))


def after_evaluation(network: str) -> Iterator[Step]:
    """Use a trained classifier and, where it was trained here, hand it over."""
    path = Path(network)
    if not path.exists():  # timm's, which is there already
        return
    yield "classes of your images", command("asvit", "predict", network, IMAGES)
    if path.is_dir() and not (path / RUN).exists():
        return
    words = ("asvit", "export", network, "--to", "timm", "onnx", "--out", f"{path.stem}-exported")
    yield "a folder for timm, a graph for onnxruntime", command(*words)


def after_detection(run: Path, data: str) -> Iterator[Step]:
    """Score and use a detector."""
    yield "COCO's numbers, of each class too", command("asvit", "detect", "evaluate", run, "--data", data)
    yield from after_scoring(run)


def after_scoring(detector: Path) -> Iterator[Step]:
    """Use a detector."""
    yield "pictures with what is found", command("asvit", "detect", "predict", detector, "image.jpg")


def command(*words: object) -> str:
    """A command line, quoted where it has to be.

    >>> command("asvit", "train", Path("my runs/3M.json"))
    "asvit train 'my runs/3M.json'"
    """
    return shlex.join(map(str, words))


def training_set_of(asked: Json) -> str:
    """The images that the kernel of a run saw, where they are a training set: a folder with a part to train on.

    Args:
        asked: content of ``run.json``.
    """
    images = asked.get("images")
    if images is None or part_of(Path(images), "train") is None:
        return IMAGES
    return images
