"""The jobs behind train, evaluate and predict."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import torch

from asvit.architecture import Task
from asvit.errors import UserError
from asvit.job import choose_device, recorded_threads, tell, use_threads, working_in
from asvit.options import DeviceOptions, RunOptions
from asvit.photos import UNREADABLE
from asvit.progress import ProgressDisplay
from asvit.records import SCHEMA, Json, RunDirectory, default_path, read_architecture, to_json, write_file
from asvit.subject import TIMM, refusing
from asvit.train_options import DataOptions, LoadingOptions, RunningOptions, TrainOptions, TrainRecipeName
from asvit.train_show import show_plan, show_predictions, show_scores, show_training
from asvit.training.augment import evaluation_transform
from asvit.training.classifier import ClassifierTraining
from asvit.training.data import EvaluationOrder, Examples, batches, check_size
from asvit.training.evaluate import evaluate
from asvit.training.network import build, place
from asvit.training.parallel import Processes, launched
from asvit.training.recipe import RECIPES, Precision, TrainRecipe
from asvit.training.results import Epoch, TrainResult, as_csv, as_lines
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
from asvit.training.sources import Source, Split, check_classes, decode, open_source
from asvit.training.trained import labels_of, load_network, load_pretrained

CHECKPOINTS = "checkpoints"
SLOW_DATA = 0.2
"""Share of the time spent waiting for images from which the progress line says so."""


def run_train(
    arch: str,
    recipe_name: TrainRecipeName,
    plan: bool,
    data: DataOptions,
    options: TrainOptions,
    loading: LoadingOptions,
    running: RunningOptions,
    run: RunOptions,
) -> None:
    """`asvit train`: a classifier from an architecture, or what its schedule would save."""
    name = network_name(arch)
    recipe = options.recipe(RECIPES[recipe_name])
    schedule = (
        schedule_of(options.stage_epochs) if options.stage_epochs else named_schedule(recipe.schedule, recipe.epochs)
    )
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
    with launched(choose_device(run.device)) as processes, ExitStack() as stack:
        device = processes.device(choose_device(run.device))
        how = settings(loading, running, data, device, processes)
        config = train_config(name, recipe_name, recipe, schedule, data, (train, val), run.seed, how)
        directory = None
        if processes.first:
            directory = stack.enter_context(working_in("train", recipe_name, config, run, device))
        path = directory.path if directory else run.out or default_path("train", recipe_name, config)
        processes.wait()
        use_threads(run.threads or recorded_threads(path))
        training = ClassifierTraining(
            name, train, val, recipe, schedule, seed=run.seed, device=device, running=how, processes=processes
        )
        display = stack.enter_context(ProgressDisplay()) if processes.first else None
        watcher = Watcher(directory, display, running.tensorboard)
        result = training.run(path / CHECKPOINTS, watcher)
        if directory is not None:
            finish(directory, result, run)


def finish(directory: RunDirectory, result: TrainResult, run: RunOptions) -> None:
    """Write the result and the report, and say what was found."""
    from asvit.report import write_report

    write_epochs(directory, result.epochs)
    directory.write_result(result)
    report = write_report(directory.path)
    if run.json:
        print(to_json({"schema": SCHEMA, "job": "train", **msgspec.to_builtins(result)}).decode(), end="")
    else:
        show_training(result)
        tell(f"best checkpoint: {directory.path / result.checkpoint}\nreport: {report}")


def write_epochs(directory: RunDirectory, epochs: Sequence[Epoch]) -> None:
    """Write ``metrics.jsonl`` and ``summary.csv``."""
    write_file(directory.path / "metrics.jsonl", as_lines(epochs))
    write_file(directory.path / "summary.csv", as_csv(epochs))


class Watcher:
    """Shows how far a training is, and writes what every epoch gave."""

    def __init__(self, directory: RunDirectory | None, display: ProgressDisplay | None, tensorboard: bool) -> None:
        """Write to a directory; None: this process is silent."""
        self.directory, self.display = directory, display
        self.board = board(directory.path) if directory is not None and tensorboard else None

    def __call__(self, training: ClassifierTraining) -> None:
        """Show the state; after an epoch, write its row."""
        if self.directory is None or self.display is None:
            return
        state, recipe = training.state, training.recipe
        epochs = state.epochs
        if state.step == 0 and epochs:
            write_epochs(self.directory, epochs)
            if self.board is not None:
                for field in ("train_loss", "loss", "top1", "top5", "lr", "coarseness", "macs", "images_per_second"):
                    self.board.add_scalar(field, getattr(epochs[-1], field), epochs[-1].epoch)
                self.board.flush()
        self.display.update(
            "training",
            state.macs,
            training.planned_macs,
            count=f"epoch {min(state.epoch + 1, recipe.epochs)} of {recipe.epochs}",
            facts=facts(training),
        )


def board(path: Path) -> Any:
    """Writer of TensorBoard files."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError("--tensorboard needs the package tensorboard: `pip install tensorboard`") from error
    return SummaryWriter(str(path / "tensorboard"))


def facts(training: ClassifierTraining) -> str:
    """Speed, waiting, and the last epoch's figures."""
    state = training.state
    words = []
    if state.step:
        words.append(f"{state.step * training.recipe.batch_size / state.seconds:.0f} images/s")
        share = state.waiting / state.seconds
    else:
        words.append(f"{state.epochs[-1].images_per_second:.0f} images/s")
        share = state.epochs[-1].waiting
    if share > SLOW_DATA:
        words.append(f"{share:.0%} of the time waiting for images (more --workers?)")
    if training.stage.coarseness > 1:
        words.append(f"{share_of_tokens(training.stage.coarseness)} of the tokens")
    if state.epochs:
        last = state.epochs[-1]
        words.append(f"loss {last.train_loss:.3f}, top-1 {last.top1:.1%}")
    if state.unreadable:
        words.append(f"{len(state.unreadable)} unreadable, last {state.unreadable[-1]}")
    return ", ".join(words)


def run_evaluate(
    network: str,
    split: Split,
    averaged: bool,
    batch_size: int,
    image_size: tuple[int, int] | None,
    data: DataOptions,
    loading: LoadingOptions,
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
    how = settings(loading, RunningOptions(), data, device, Processes())
    examples = Examples(source, transform, seed=None, labels=labels)
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
        try:
            with open(path, "rb") as file:
                image = transform(check_size(decode(file, path.suffix, trained.task.in_chans)))
        except UNREADABLE as error:
            raise UserError(
                f"cannot read the image {path}: {error}; expected a JPEG, PNG, .npy or TIFF file"
            ) from error
        with torch.inference_mode():
            best = model(image[None].to(device)).softmax(1)[0].cpu().topk(min(top, len(classes)))
        found = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        rows.append((str(path), [(classes[i], probability) for i, probability in found]))
    show_predictions(rows, as_json=run.json)


def network_name(arch: str) -> str:
    """What an argument of `train` names."""
    return arch if arch.startswith(TIMM) else str(read_architecture(arch))


def settings(
    loading: LoadingOptions, running: RunningOptions, data: DataOptions, device: torch.device, processes: Processes
) -> Running:
    """How to run, with defaults for the device and the data."""
    precision: Precision = loading.precision or ("bfloat16" if device.type == "cuda" else "float32")
    cores = len(os.sched_getaffinity(0)) // processes.local_count
    workers = 0 if data.data == "digits" else min(8, max(0, cores - 1))
    return Running(
        workers=workers if loading.workers is None else loading.workers,
        precision=precision,
        channels_last=loading.channels_last,
        accumulate=running.accumulate,
        compile=running.compile,
        checkpointing=running.checkpointing,
        minutes=running.checkpoint_minutes,
        keep=running.keep,
        max_unreadable=running.max_unreadable,
    )


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
