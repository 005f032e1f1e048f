"""Train, evaluate and use classifiers: what `asvit train`, `evaluate` and `predict` run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from asvit.complexity.cost import count_params
from asvit.complexity.speed import processor_name
from asvit.errors import UserError, check_whole
from asvit.images import read_image
from asvit.networks.architecture import MOST_CLASSES, Task
from asvit.networks.named import Network
from asvit.networks.refusing import refusing
from asvit.runs.devices import choose_device, use_threads
from asvit.runs.job import Computer, Finished, Job
from asvit.runs.progress import shown, tell
from asvit.runs.records import Json
from asvit.training.checkpoint import CHECKPOINTS
from asvit.training.classifier import ClassifierTraining
from asvit.training.data import EvaluationOrder, Examples, Labelled, batches
from asvit.training.estimate import estimated_seconds
from asvit.training.evaluate import Scores, evaluate
from asvit.training.fitting import AskedTraining
from asvit.training.parallel import Processes, launched
from asvit.training.placing import memory_format, place
from asvit.training.recipe import TrainRecipe, check_batch_size, recorded
from asvit.training.results import TrainResult
from asvit.training.retokenize import take_any_size
from asvit.training.schedule import StageCost, saved_share, share_of_tokens
from asvit.training.settings import ImageData, Running, range_to_read
from asvit.training.settled import SettledTraining, settle
from asvit.training.sources import Source, Split, open_data
from asvit.training.start import start_from
from asvit.training.trained import Classifier, labels_of
from asvit.training.watching import Adjust, Watcher, finished, training_in, usual_running
from asvit.units import count

SCALARS = ("train_loss", "loss", "top1", "top5", "lr", "coarseness", "macs", "images_per_second")
"""Fields of an epoch that TensorBoard shows."""


def run_train(
    network: Network,
    data: ImageData,
    asked: AskedTraining = AskedTraining(),
    *,
    designed: Task | None = None,
    start: str | None = None,
    adjust: Adjust = lambda usual: usual,
    job: Job = Job(),
) -> Finished[TrainResult] | None:
    """Train a classifier; under torchrun one of several processes, of which the first returns what was found.

    Args:
        network: architecture, or model of timm.
        data: images.
        asked: recipe, and what was said in the place of its values.
        designed: images and classes that the network was designed for; None: nothing in particular.
        start: trained network that it starts from: what :func:`~asvit.training.start.load_start` takes; None: random
            weights.
        adjust: changes how a training is usually run here.
        job: where, and from which seed.
    """
    settled = settle(network, data, asked, designed, start_from(start, network))
    with launched(choose_device(job.device)) as (processes, device):
        if processes.first:
            tell_all(settled.remarks)
        running = adjust(usual_running(device, processes, in_memory=data.in_memory))
        config = train_config(network, asked.recipe, settled, data, job.seed, running)
        with training_in("train", config, job, device, processes) as (path, directory):
            training = training_of(network, settled, job, device, running, processes)
            with Watcher(directory, facts, scalars=SCALARS, tensorboard=running.tensorboard) as watcher:
                result = training.run(path / CHECKPOINTS, watcher)
            return finished(directory, training.look_back(result, path))


def training_of(
    network: Network,
    settled: SettledTraining,
    job: Job,
    device: torch.device,
    running: Running,
    processes: Processes = Processes(),
) -> ClassifierTraining:
    """A training that has been settled, on a device."""
    return ClassifierTraining(
        network,
        settled.train,
        settled.val,
        settled.recipe,
        settled.schedule,
        start=settled.start,
        seed=job.seed,
        device=device,
        running=running,
        processes=processes,
    )


@dataclass(frozen=True)
class PlannedTraining:
    """What a training would be, and what it would cost."""

    network: str
    recipe_name: str
    task: Task
    images: tuple[int, int]
    """Images to learn from, and to evaluate on."""
    params: int
    recipe: TrainRecipe
    stages: tuple[StageCost, ...]
    saved_macs: float
    """Share of the training's multiply-adds that coarse tokens save."""
    seconds: float
    """Time that it would take on this machine, by what a few of its images take."""
    device: str
    """Processor or GPU."""


def plan_training(
    network: Network,
    data: ImageData,
    asked: AskedTraining = AskedTraining(),
    *,
    designed: Task | None = None,
    start: str | None = None,
    adjust: Adjust = lambda usual: usual,
    job: Job = Job(),
) -> PlannedTraining:
    """What :func:`run_train` would do, and how long it would take; nothing is kept.

    Args:
        network: architecture, or model of timm.
        data: images.
        asked: recipe, and what was said in the place of its values.
        designed: images and classes that the network was designed for; None: nothing in particular.
        start: trained network that it starts from: what :func:`~asvit.training.start.load_start` takes; None: random
            weights.
        adjust: changes how a training is usually run here.
        job: device and threads.
    """
    settled = settle(network, data, asked, designed, start_from(start, network))
    tell_all(settled.remarks)
    use_threads(job.threads)
    device = choose_device(job.device)
    running = adjust(usual_running(device, Processes(), in_memory=data.in_memory))
    training = training_of(network, settled, job, device, running)
    return PlannedTraining(
        network=str(network),
        recipe_name=asked.recipe,
        task=settled.task,
        images=(len(settled.train), len(settled.val)),
        params=count_params(training.model),
        recipe=settled.recipe,
        stages=training.stages,
        saved_macs=saved_share(training.stages),
        seconds=estimated_seconds(training),
        device=processor_name(device),
    )


def tell_all(remarks: Sequence[str]) -> None:
    """Say what a user should know."""
    for remark in remarks:
        tell(remark)


def facts(training: ClassifierTraining) -> list[str]:
    """Tokens, and the last epoch's figures."""
    words = []
    if training.stage.coarseness > 1:
        words.append(f"{share_of_tokens(training.stage.coarseness)} of the tokens")
    if training.state.epochs:
        last = training.state.epochs[-1]
        words.append(f"loss {last.train_loss:.3f}, top-1 {last.top1:.1%}")
    return words


@dataclass(frozen=True)
class Evaluated:
    """How a network did on some images."""

    network: str
    """Name by which the network was asked for."""
    images: str
    """Name of the images."""
    classes: tuple[str, ...]
    scores: Scores


def run_evaluate(
    name: str,
    trained: Classifier,
    data: ImageData,
    split: Split,
    *,
    batch_size: int,
    image_size: tuple[int, int] | None = None,
    adjust: Adjust = lambda usual: usual,
    computer: Computer = Computer(),
) -> Evaluated:
    """Score a trained network.

    Args:
        name: name by which it was asked for, for messages.
        trained: the network.
        data: images.
        split: which part of them.
        batch_size: images at a time.
        image_size: height and width, where they are not those of the training.
        adjust: changes how images are usually loaded and computed here.
        computer: device and threads.
    """
    check_batch_size(batch_size)
    use_threads(computer.threads)
    device = choose_device(computer.device)
    source = source_for(trained, name, data, split)
    tell_all((source.summary, *source.contents.remarks))
    labels = labels_of(source.classes, trained.classes, name)
    if image_size is not None:
        take_any_size(trained.model)
    transform = trained.looking.transform(image_size or trained.task.image_size)
    order = EvaluationOrder(len(source), batch_size, rank=0, processes=1)
    running = adjust(usual_running(device, Processes(), in_memory=data.in_memory))
    layout = memory_format(running.channels_last)
    examples = Examples(source, Labelled(transform, labels), seed=None)
    with refusing(name, "evaluated", "choose another image size"):
        scores = evaluate(
            place(trained.model, device, layout),
            shown(batches(examples, order, workers=running.workers, device=device), len(source), "evaluation"),
            classes=len(trained.classes),
            device=device,
            precision=running.precision,
            memory_format=layout,
        )
    return Evaluated(name, source.name, tuple(trained.classes), scores)


def source_for(trained: Classifier, name: str, data: ImageData, split: Split) -> Source:
    """Images as a trained network reads them: pictures in grey or colour, and the range of values of the training.

    Raises:
        UserError: they have other channels.
    """
    data = replace(data, value_range=range_to_read(name, trained=trained.looking.value_range, asked=data.value_range))
    source, reads = open_data(data, split), trained.task.in_chans
    if source.channels == reads:
        return source
    if data.in_chans is not None or source.contents.arrays or reads not in (1, 3):
        raise UserError(
            f"{name} reads {count(reads, 'channel')}, but {source.name} has {source.channels}: expected images as it "
            "was trained on"
        )
    return source.with_channels(reads)


Prediction = tuple[str, float]
"""A class and its probability."""


def run_predict(
    trained: Classifier, images: Sequence[Path], top: int, computer: Computer = Computer()
) -> list[tuple[Path, list[Prediction]]]:
    """Classes of some image files, the likeliest first.

    Args:
        trained: the network.
        images: files.
        top: classes of an image.
        computer: device and threads.
    """
    check_top(top)
    use_threads(computer.threads)
    device = choose_device(computer.device)
    trained.model.to(device)
    reads = trained.task.in_chans, trained.looking.value_range
    return [(path, trained.predict(read_image(path, *reads), top, device=device)) for path in images]


def check_top(classes: int) -> None:
    """Refuse what is no number of classes to print."""
    check_whole("top", classes, 1, MOST_CLASSES)


def train_config(
    network: Network, recipe_name: str, settled: SettledTraining, data: ImageData, seed: int, running: Running
) -> Json:
    """All that the trained weights depend on."""
    train, val = settled.train, settled.val
    config = {
        "recipe": recipe_name,
        "network": str(network),
        "data": data.data,
        "images": {"train": len(train), "val": len(val)},
        "classes": len(train.classes),
        "in_chans": train.channels,
        "seed": seed,
        "train": recorded(settled.recipe),
        "schedule": [asdict(stage) for stage in settled.schedule],
        "precision": running.precision,
        "accumulate": running.accumulate,
        "compile": running.compile,
        "channels_last": running.channels_last,
    }
    arrays = {"value_range": train.value_range, "normalisation": asdict(train.normalisation)}
    start = {} if settled.start is None else {"start": settled.start.source}
    return config | (arrays if train.contents.arrays else {}) | start
