"""The jobs behind train, evaluate and predict."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from asvit.errors import UserError
from asvit.job import choose_device, use_threads
from asvit.measure.subject import TIMM, refusing
from asvit.networks.architecture import Task
from asvit.options import DeviceOptions, RunOptions
from asvit.records import Json, read_architecture
from asvit.train_options import (
    ClassifierLoadingOptions,
    ClassifierRunningOptions,
    DataOptions,
    TrainOptions,
    TrainRecipeName,
)
from asvit.train_show import show_plan, show_predictions, show_scores, show_training
from asvit.training.augment import evaluation_transform
from asvit.training.classifier import ClassifierTraining
from asvit.training.data import EvaluationOrder, Examples, Labelled, batches, read_image
from asvit.training.evaluate import evaluate
from asvit.training.network import build, place
from asvit.training.parallel import Processes, launched
from asvit.training.recipe import RECIPES, TrainRecipe
from asvit.training.retokenize import (
    Schedule,
    named_schedule,
    saved_share,
    schedule_of,
    share_of_tokens,
    stage_costs,
    take_any_size,
)
from asvit.training.running import Running
from asvit.training.sources import Source, Split, check_classes, open_source
from asvit.training.trained import labels_of, load_network, load_pretrained
from asvit.training_job import CHECKPOINTS, Watcher, finish, settings, training_in

SCALARS = ("train_loss", "loss", "top1", "top5", "lr", "coarseness", "macs", "images_per_second")
"""Of an epoch, for TensorBoard."""


def run_train(
    arch: str,
    recipe_name: TrainRecipeName,
    plan: bool,
    data: DataOptions,
    options: TrainOptions,
    loading: ClassifierLoadingOptions,
    running: ClassifierRunningOptions,
    run: RunOptions,
) -> None:
    """`asvit train`: a classifier from an architecture, or what its schedule would save."""
    name = network_name(arch)
    recipe = options.recipe(RECIPES[recipe_name])
    schedule = schedule_for(options, recipe)
    train, val = (
        open_source(data.data, split, folder=data.data_folder, in_chans=data.in_chans) for split in ("train", "val")
    )
    check_classes(train, val)
    if plan:
        task = Task(image_size=recipe.image_size, in_chans=train.channels, num_classes=len(train.classes))
        images = torch.zeros(1, task.in_chans, *task.image_size)
        costs = stage_costs(build(name, task), schedule, images)
        show_plan(name, costs, saved_share(costs), as_json=run.json)
        return
    with launched(choose_device(run.device)) as (processes, device):
        how = classifier_settings(loading, running, data, device, processes)
        config = train_config(name, recipe_name, recipe, schedule, data, (train, val), run.seed, how)
        with training_in("train", recipe_name, config, run, device, processes) as (path, directory):
            training = ClassifierTraining(
                name, train, val, recipe, schedule, seed=run.seed, device=device, running=how, processes=processes
            )
            with Watcher(directory, facts, scalars=SCALARS, tensorboard=running.tensorboard) as watcher:
                result = training.run(path / CHECKPOINTS, watcher)
            if directory is not None:
                finish(directory, result, run, show_training)


def schedule_for(options: TrainOptions, recipe: TrainRecipe) -> Schedule:
    """Of re-tokenization, over the epochs of the recipe that the options have made."""
    return schedule_of(options.stage_epochs) if options.stage_epochs else named_schedule(recipe.schedule, recipe.epochs)


def facts(training: ClassifierTraining) -> list[str]:
    """Tokens, and the last epoch's figures."""
    words = []
    if training.stage.coarseness > 1:
        words.append(f"{share_of_tokens(training.stage.coarseness)} of the tokens")
    if training.state.epochs:
        last = training.state.epochs[-1]
        words.append(f"loss {last.train_loss:.3f}, top-1 {last.top1:.1%}")
    return words


def run_evaluate(
    network: str,
    split: Split,
    averaged: bool,
    batch_size: int,
    image_size: tuple[int, int] | None,
    data: DataOptions,
    loading: ClassifierLoadingOptions,
    run: DeviceOptions,
) -> None:
    """`asvit evaluate`: scores of a checkpoint or of a pretrained timm model."""
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}: expected at least 1")
    use_threads(run.threads)
    device = choose_device(run.device)
    source = open_source(data.data, split, folder=data.data_folder, in_chans=data.in_chans)
    if network.startswith(TIMM):
        trained = load_pretrained(network.removeprefix(TIMM))
    else:
        trained = load_network(Path(network), averaged=averaged)
    if trained.task.in_chans != source.channels:
        raise UserError(
            f"{network} reads {trained.task.in_chans} channels, but {source.name} has {source.channels}: "
            "give --in-chans, or images as it was trained on"
        )
    labels = labels_of(source.classes, trained.classes, network)
    if image_size is not None:
        take_any_size(trained.model)
    transform = evaluation_transform(image_size or trained.task.image_size, **trained.looking)
    order = EvaluationOrder(len(source), batch_size, rank=0, processes=1)
    how = classifier_settings(loading, ClassifierRunningOptions(), data, device, Processes())
    examples = Examples(source, Labelled(transform, labels), seed=None)
    with refusing(network, "evaluated", "choose another image size"):
        scores = evaluate(
            place(trained.model, device, how.memory_format),
            batches(examples, order, workers=how.workers, device=device),
            classes=len(trained.classes),
            device=device,
            precision=how.precision,
            memory_format=how.memory_format,
        )
    show_scores(network, source, trained.classes, scores, as_json=run.json)


def run_predict(checkpoint: Path, images: Sequence[Path], top: int, averaged: bool, run: DeviceOptions) -> None:
    """`asvit predict`: classes and probabilities of some images."""
    if not images:
        raise UserError("no image to classify: expected one or more files")
    if top < 1:
        raise UserError(f"top is {top}: expected at least 1")
    use_threads(run.threads)
    trained = load_network(checkpoint, averaged=averaged)
    device, classes = choose_device(run.device), trained.classes
    model = trained.model.to(device)
    transform = evaluation_transform(trained.task.image_size, **trained.looking)
    rows = []
    for path in images:
        image = transform(read_image(path, trained.task.in_chans))
        with torch.inference_mode():
            best = model(image[None].to(device)).softmax(1)[0].cpu().topk(min(top, len(classes)))
        found = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        rows.append((str(path), [(classes[i], probability) for i, probability in found]))
    show_predictions(rows, as_json=run.json)


def network_name(arch: str) -> str:
    """What an argument of `train` names."""
    return arch if arch.startswith(TIMM) else str(read_architecture(arch))


def classifier_settings(
    loading: ClassifierLoadingOptions,
    running: ClassifierRunningOptions,
    data: DataOptions,
    device: torch.device,
    processes: Processes,
) -> Running:
    """How to run, with defaults for the device and the data."""
    how = settings(loading, running, device, processes, workers=0 if data.data == "digits" else None)
    return replace(how, channels_last=loading.channels_last, compile=running.compile)


def train_config(
    name: str,
    recipe_name: str,
    recipe: TrainRecipe,
    schedule: Schedule,
    data: DataOptions,
    sources: tuple[Source, Source],
    seed: int,
    how: Running,
) -> Json:
    """All that the trained weights depend on."""
    return {
        "recipe": recipe_name,
        "network": name,
        "data": data.data,
        "images": {"train": len(sources[0]), "val": len(sources[1])},
        "classes": len(sources[0].classes),
        "in_chans": sources[0].channels,
        "seed": seed,
        "train": asdict(recipe),
        "schedule": [asdict(stage) for stage in schedule],
        "precision": how.precision,
        "accumulate": how.accumulate,
        "compile": how.compile,
        "channels_last": how.channels_last,
    }
