"""What can be done with a run: what each step is for, and its command line with the run's own paths. Needs no torch."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from asvit.errors import UserError
from asvit.listing import part_of
from asvit.runs.json_files import converted
from asvit.runs.records import REPORT, RESULT, RUN, WINNER, Json, read_asked, read_record

Step = tuple[str, str]
"""What one would do, and the command for it."""

IMAGES, COCO = "path/to/images", "path/to/coco"
"""Places of images that nobody has named."""
READING = ("--value-range", "--data-folder", "--max-left-out")
"""Options that say how images are read. The next command needs them too."""


def after_run(run: Path) -> Iterator[Step]:
    """What can be done with a run directory; nothing where its files cannot be read."""
    try:
        steps = list(_after(run, read_asked(run)))
    except UserError:
        return
    yield from steps


def _after(run: Path, asked: Json) -> Iterator[Step]:
    """What can be done after a job.

    Raises:
        UserError: its result is damaged.
    """
    if not (run / RESULT).exists():
        yield "go on where it stopped", asked["command"]
        return
    match asked["job"]:
        case "search":
            yield from after_search(run)
        case "grow" | "design":
            members = sorted((run / "family").glob("*.json"))
            yield from after_design({member.stem: member for member in members}, training_set_of(asked))
        case "train":
            yield from after_training(run, asked)
        case "detect":
            yield from after_detection(run, asked)
        case "race":
            yield "how all of them did, in a browser", str(run / REPORT)
            yield from after_race(run, asked)
        case "study-table":
            yield "its verdict, with intervals, in a browser", str(run / REPORT)
            yield from after_table()
        case "study" | "study-search" | "study-scaling" as job:
            yield "its verdict, with intervals, in a browser", str(run / REPORT)
            yield from after_study(run, asked) if job == "study" else after_contest(run, asked)


def after_search(run: Path) -> Iterator[Step]:
    """Look at the topology that was found, and grow it."""
    yield "its stages and its size", command("asvit", "describe", run / "seed.json")
    yield "grow what it found to your budget", command("asvit", "grow", run / RESULT, "--params", "3M")


def after_design(members: Mapping[str, Path], data: Sequence[str]) -> Iterator[Step]:
    """Look at the first member of a family, and train each.

    Args:
        members: architecture files by what the networks are for.
        data: options that say which images to train on, and how they are read.

    >>> data = ("--data", "path/to/images")
    >>> for title, words in after_design({"3M parameters": Path("run/family/3M-params.json")}, data):
    ...     print(f"{words}  # {title}")
    asvit describe run/family/3M-params.json  # its stages and its size
    asvit train run/family/3M-params.json --data path/to/images  # train the network for 3M parameters
    """
    for file in list(members.values())[:1]:
        yield "its stages and its size", command("asvit", "describe", file)
    for name, file in members.items():
        yield f"train the network for {name}", command("asvit", "train", file, *data)


def after_training(run: Path, asked: Json) -> Iterator[Step]:
    """Score, use and hand over a classifier.

    Args:
        run: run directory.
        asked: content of ``run.json``.
    """
    data = asked["config"].get("data", IMAGES)
    yield "accuracy, calibration, confusion matrix", command("asvit", "evaluate", run, *images_of(asked, data))
    yield from after_evaluation(str(run), data)


def after_evaluation(network: str, data: str) -> Iterator[Step]:
    """Use a trained classifier and, where it was trained here, hand it over.

    Args:
        network: what was scored: a checkpoint, a run directory, an exported folder, or timm's.
        data: the images that it was scored on.
    """
    path = Path(network)
    if not path.exists():  # timm's, which is there already
        return
    yield "classes of your images", command("asvit", "predict", network, part_of(Path(data), "val") or IMAGES)
    if path.is_dir() and not (path / RUN).exists():
        return
    words = ("asvit", "export", network, "--to", "timm", "onnx", "--out", f"{path.stem}-exported")
    yield "a folder for timm, a graph for onnxruntime", command(*words)


def after_detection(run: Path, asked: Json) -> Iterator[Step]:
    """Score and use a detector.

    Args:
        run: run directory.
        asked: content of ``run.json``.
    """
    data = images_of(asked, asked["config"].get("data", COCO))
    yield "COCO's numbers, of each class too", command("asvit", "detect", "evaluate", run, *data)
    yield from after_scoring(run)


def after_scoring(detector: Path) -> Iterator[Step]:
    """Use a detector."""
    yield "pictures with what is found", command("asvit", "detect", "predict", detector, "image.jpg")


def after_study(run: Path, asked: Json) -> Iterator[Step]:
    """Ask what a score is worth in use; at a budget, train the most accurate network for longer.

    Args:
        run: run directory.
        asked: content of ``run.json``.

    Raises:
        UserError: the result is damaged.
    """
    config = asked["config"]
    if config.get("budget") is not None:
        if (best := _most_accurate(run)) is not None:
            yield "train the most accurate network for longer", _train(run, best, asked)
        return
    of_it = (*images_of(asked), "--recipe", config.get("recipe", "cifar10-laptop"), "--trainings", "1")
    yield "do searches by scores find better networks than chance?", command("asvit", "study", "search", *of_it)
    scaling = command("asvit", "study", "scaling", "seed", "--params", "5M", *of_it)
    yield "does growth by scores give better ones than chance?", scaling


@dataclass(frozen=True)
class _Runner:
    """What is read here of a network that ran."""

    network: str


@dataclass(frozen=True)
class _Ran:
    """What is read here of how a network did in a race."""

    runner: _Runner


@dataclass(frozen=True)
class _Race:
    """What is read here of a race's result."""

    runners: tuple[_Ran, ...]
    checkpoint: str


def after_race(run: Path, asked: Json) -> Iterator[Step]:
    """Score and use the winner as it is, and train it for longer.

    Args:
        run: run directory.
        asked: content of ``run.json``.

    Raises:
        UserError: the result is damaged.
    """
    data, result = images_of(asked), read_record(run / RESULT, _Race)
    checkpoint = run / result.checkpoint
    yield "the winner's accuracy, by class", command("asvit", "evaluate", checkpoint, *data)
    file = run / f"{WINNER}.json"  # timm's models have none
    if file.exists() or result.runners:
        winner = file if file.exists() else result.runners[0].runner.network
        words = command("asvit", "train", winner, *data, "--start", checkpoint)
        yield "train the winner for longer, from its weights", words


def after_table() -> Iterator[Step]:
    """Ask the same of one's own images."""
    words = command("asvit", "study", "--data", IMAGES, "--recipe", "cifar10-laptop")
    yield "ask it of your own images: 30 trainings", words


@dataclass(frozen=True)
class _Recipe:
    """What is read here of how networks were trained."""

    image_size: tuple[int, int]


@dataclass(frozen=True)
class _Trains:
    """What is read here of a configuration."""

    train: _Recipe


def _train(run: Path, network: str, asked: Json) -> str:
    """The command that trains a network of a study or contest, at the size of its images.

    Raises:
        UserError: the configuration is damaged.
    """
    height, width = converted(asked["config"], _Trains, str(run / RUN)).train.image_size
    size = f"{height}" if height == width else f"{height}x{width}"
    return command("asvit", "train", network, *images_of(asked), "--image-size", size)


@dataclass(frozen=True)
class _Training:
    """What is read here of a training of a study or contest."""

    network: str
    top1: float


@dataclass(frozen=True)
class _Trained:
    """What is read here of the result of a study or contest."""

    trained: tuple[_Training, ...]


def _most_accurate(run: Path) -> str | None:
    """The network of the highest mean accuracy over its trainings; None where nothing was trained.

    Raises:
        UserError: the result is damaged.
    """
    accuracies: dict[str, list[float]] = {}
    for training in read_record(run / RESULT, _Trained).trained:
        accuracies.setdefault(training.network, []).append(training.top1)
    return max(accuracies, key=lambda network: fmean(accuracies[network]), default=None)


def after_contest(run: Path, asked: Json) -> Iterator[Step]:
    """Train what was found; then go on with the most accurate.

    Args:
        run: run directory of study search or study scaling.
        asked: content of its ``run.json``.

    Raises:
        UserError: the result is damaged.
    """
    best = _most_accurate(run)
    if best is None:
        yield "train what was found: only that tells which is better", _with_trainings(asked["command"])
        return
    if asked["job"] == "study-search":
        yield "grow the most accurate topology to your budget", command("asvit", "grow", best, "--params", "3M")
    else:
        words = _train(run, best, asked)
        yield "train the most accurate network for longer", words


def _with_trainings(line: str) -> str:
    """The command line of a contest, with a training of each network.

    >>> _with_trainings("asvit study search --trainings 0 --runs 3")
    'asvit study search --runs 3 --trainings 1'
    """
    words = _words(line)
    if "--trainings" in words:
        at = words.index("--trainings")
        del words[at : at + 2]
    return shlex.join([*words, "--trainings", "1"])


def _words(line: str) -> list[str]:
    """Words of a command line; of one with half a quotation, which a shell would not take, those between spaces.

    >>> _words("asvit study --out 'my runs'"), _words("asvit study --out 'my")
    (['asvit', 'study', '--out', 'my runs'], ['asvit', 'study', '--out', "'my"])
    """
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def command(*words: object) -> str:
    """A command line, quoted where it has to be.

    >>> command("asvit", "train", Path("my runs/3M.json"))
    "asvit train 'my runs/3M.json'"
    """
    return shlex.join(map(str, words))


def images_of(asked: Json, place: str | None = None) -> list[str]:
    """The images of a run as options of the next command, with how they are read.

    Args:
        asked: content of ``run.json``.
        place: where they are; None: as the run says.

    >>> images_of({"data": "arrays", "command": "asvit study --data arrays --value-range=-1:1 --seed 1"})
    ['--data', 'arrays', '--value-range=-1:1']
    """
    words, reading = _words(asked["command"]), []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word in READING:
            reading += [word, following]
        elif word.partition("=")[0] in READING:
            reading.append(word)
    return ["--data", place or asked.get("data", IMAGES), *reading]


def training_set_of(asked: Json) -> list[str]:
    """The images that the kernel of a run saw, as options, where they are a training set with a part to train on.

    Args:
        asked: content of ``run.json``.
    """
    images = asked.get("images")
    if images is None or part_of(Path(images), "train") is None:
        return ["--data", IMAGES]
    return images_of(asked, images)
