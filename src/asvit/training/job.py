"""Train, evaluate and use classifiers: what `asvit train`, `evaluate` and `predict` run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from asvit.errors import UserError
from asvit.images import read_image
from asvit.networks.architecture import Task
from asvit.networks.building import build_trainable
from asvit.networks.named import Network
from asvit.networks.refusing import refusing
from asvit.runs.devices import choose_device, use_threads
from asvit.runs.job import Computer, Finished, Job
from asvit.runs.records import Json
from asvit.training.augment import evaluation_transform
from asvit.training.classifier import ClassifierTraining
from asvit.training.data import EvaluationOrder, Examples, Labelled, batches, check_batch
from asvit.training.evaluate import Scores, evaluate
from asvit.training.parallel import Processes, launched
from asvit.training.placing import memory_format, place
from asvit.training.recipe import TrainRecipe
from asvit.training.results import TrainResult
from asvit.training.retokenize import stage_costs, take_any_size
from asvit.training.schedule import Schedule, StageCost, share_of_tokens
from asvit.training.settings import ImageData, Running
from asvit.training.sources import Source, Split, open_both, open_data
from asvit.training.trained import Classifier, labels_of
from asvit.training.watching import CHECKPOINTS, Adjust, Watcher, finished, training_in, usual_running

SCALARS = ("train_loss", "loss", "top1", "top5", "lr", "coarseness", "macs", "images_per_second")
"""Fields of an epoch that TensorBoard shows."""


def run_train(
    network: Network,
    data: ImageData,
    recipe: TrainRecipe,
    schedule: Schedule,
    *,
    recipe_name: str,
    adjust: Adjust = lambda usual: usual,
    job: Job = Job(),
) -> Finished[TrainResult] | None:
    """Train a classifier; under torchrun one of several processes, of which the first returns what was found.

    Args:
        network: architecture, or model of timm.
        data: images.
        recipe: how to train.
        schedule: schedule of re-tokenization, over the recipe's epochs.
        recipe_name: name of the recipe, for the records.
        adjust: changes how a training is usually run here.
        job: where, and from which seed.
    """
    train, val = open_both(data)
    check_batch(len(train), recipe.batch_size)
    with launched(choose_device(job.device)) as (processes, device):
        running = adjust(usual_running(device, processes, in_memory=data.in_memory))
        config = train_config(network, recipe_name, recipe, schedule, data, (train, val), job.seed, running)
        with training_in("train", config, job, device, processes) as (path, directory):
            training = ClassifierTraining(
                network,
                train,
                val,
                recipe,
                schedule,
                seed=job.seed,
                device=device,
                running=running,
                processes=processes,
            )
            with Watcher(directory, facts, scalars=SCALARS, tensorboard=running.tensorboard) as watcher:
                result = training.run(path / CHECKPOINTS, watcher)
            return finished(directory, result)


def planned_costs(network: Network, data: ImageData, recipe: TrainRecipe, schedule: Schedule) -> tuple[StageCost, ...]:
    """What every stage of a schedule would cost; nothing is trained."""
    train, _ = open_both(data)
    task = Task(image_size=recipe.image_size, in_chans=train.channels, num_classes=len(train.classes))
    return stage_costs(build_trainable(network, task), schedule, torch.zeros(1, task.in_chans, *task.image_size))


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
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}: expected at least 1")
    use_threads(computer.threads)
    device = choose_device(computer.device)
    source = open_data(data, split)
    if trained.task.in_chans != source.channels:
        raise UserError(
            f"{name} reads {trained.task.in_chans} channels, but {source.name} has {source.channels}: "
            "give --in-chans, or images as it was trained on"
        )
    labels = labels_of(source.classes, trained.classes, name)
    if image_size is not None:
        take_any_size(trained.model)
    transform = evaluation_transform(image_size or trained.task.image_size, **trained.looking)
    order = EvaluationOrder(len(source), batch_size, rank=0, processes=1)
    running = adjust(usual_running(device, Processes(), in_memory=data.in_memory))
    layout = memory_format(running.channels_last)
    examples = Examples(source, Labelled(transform, labels), seed=None)
    with refusing(name, "evaluated", "choose another image size"):
        scores = evaluate(
            place(trained.model, device, layout),
            batches(examples, order, workers=running.workers, device=device),
            classes=len(trained.classes),
            device=device,
            precision=running.precision,
            memory_format=layout,
        )
    return Evaluated(name, source.name, tuple(trained.classes), scores)


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
    if top < 1:
        raise UserError(f"top is {top}: expected at least 1")
    use_threads(computer.threads)
    device = choose_device(computer.device)
    trained.model.to(device)
    return [(path, trained.predict(read_image(path, trained.task.in_chans), top, device=device)) for path in images]


def train_config(
    network: Network,
    recipe_name: str,
    recipe: TrainRecipe,
    schedule: Schedule,
    data: ImageData,
    sources: tuple[Source, Source],
    seed: int,
    running: Running,
) -> Json:
    """All that the trained weights depend on."""
    return {
        "recipe": recipe_name,
        "network": str(network),
        "data": data.data,
        "images": {"train": len(sources[0]), "val": len(sources[1])},
        "classes": len(sources[0].classes),
        "in_chans": sources[0].channels,
        "seed": seed,
        "train": asdict(recipe),
        "schedule": [asdict(stage) for stage in schedule],
        "precision": running.precision,
        "accumulate": running.accumulate,
        "compile": running.compile,
        "channels_last": running.channels_last,
    }
