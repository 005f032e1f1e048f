"""What the jobs of `asvit study` do before their work: the recipe, the images, the workers' devices, the queue."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from asvit.architecture import Task
from asvit.errors import UserError
from asvit.job import choose_device, prepare, recorded_threads
from asvit.measure import Measurer
from asvit.options import MeasureOptions, RunOptions
from asvit.records import Json, default_path
from asvit.study.plan import Planned
from asvit.study.queue import Queue
from asvit.study.recipes import RECIPES, StudyRecipe
from asvit.study.results import read_csv
from asvit.study.worker import Pilot
from asvit.study_options import StudyRecipeName, WorkerOptions
from asvit.train_jobs import classifier_settings
from asvit.train_options import ClassifierLoadingOptions, ClassifierRunningOptions, DataOptions, TrainOptions
from asvit.training.parallel import Processes
from asvit.training.recipe import TrainRecipe
from asvit.training.running import Running
from asvit.training.sources import Source, Split, check_classes, open_source

NOT_OF_AN_ACCURACY = ("recipe", "seed")
"""Settings that accuracies do not depend on: a recipe's name says nothing that its values do not."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that the workers of a study on one machine have in common."""

    job: str
    path: Path
    """Run directory."""
    config: Json
    """What accuracies depend on, and the names of recipe and seed."""
    extra: Json
    """What else all who share a storage must agree on."""
    recipe: StudyRecipe
    """How carefully to measure."""
    train: TrainRecipe
    resident: bool
    images: int | None
    """Training images that are used; None: all."""
    task: Task
    data: DataOptions
    metrics: tuple[str, ...]
    measuring: MeasureOptions
    running: Running
    working: WorkerOptions
    run: RunOptions
    devices: tuple[str, ...]
    """Of each worker."""
    threads: int
    """Of each worker."""

    def queue(self, plan: Sequence[Planned]) -> Queue:
        """Of the job's trainings; a connection is one process's own."""
        url = self.working.storage or f"sqlite:///{self.path.absolute() / 'study.sqlite3'}"
        return Queue(url, self.working.name, plan, self.config | self.extra, heartbeat=self.working.heartbeat)

    def measurer(self, device: str, number: int = 0) -> Measurer:
        """Of all metrics, with the draws of a run."""
        run = RunOptions(device=device, seed=self.run.seed + number)
        return prepare(self.recipe, self.task, self.measuring, run, metrics=self.metrics)

    def source(self, split: Split) -> Source:
        """Training or validation images."""
        return open_source(self.data.data, split, folder=self.data.data_folder, in_chans=self.data.in_chans)

    def add_earlier(self, queue: Queue) -> None:
        """Enter the trainings of an earlier study, where one was named."""
        if self.working.continue_from is not None:
            queue.add(read_csv(self.working.continue_from, self.provenance))

    @property
    def provenance(self) -> Mapping[str, str]:
        """What makes accuracies comparable, for every row of a CSV file."""
        of_accuracies = {key: value for key, value in self.config.items() if key not in NOT_OF_AN_ACCURACY}
        digest = hashlib.sha256(json.dumps(of_accuracies, sort_keys=True).encode()).hexdigest()[:12]
        height, width = self.train.image_size
        return {
            "recipe": self.config["recipe"],
            "image_size": f"{height}x{width}",
            "epochs": str(self.train.epochs),
            "train_images": str(self.config["images"]["train"]),
            "val_images": str(self.config["images"]["val"]),
            "precision": self.running.precision,
            "settings": digest,
        }


@dataclass(frozen=True, kw_only=True)
class Crew:
    """What the workers of a study on one machine are told."""

    setup: Setup
    plan: tuple[Planned, ...]
    pilot: Pilot | None
    """None: everything is trained."""

    def queue(self) -> Queue:
        """A connection of one's own."""
        return self.setup.queue(self.plan)


def prepare_study(
    job: str,
    recipe_name: StudyRecipeName,
    extra: Json,
    metrics: tuple[str, ...],
    data: DataOptions,
    working: WorkerOptions,
    training: TrainOptions,
    measuring: MeasureOptions,
    loading: ClassifierLoadingOptions,
    run: RunOptions,
) -> Setup:
    """Put together what was asked, and refuse what cannot be, before anything is written.

    Args:
        job: name of the command.
        recipe_name: of the study.
        extra: settings of this kind of study.
        metrics: to measure.
        data: where the images are.
        working: what trains.
        training: how to train.
        measuring: how to measure.
        loading: how images are loaded.
        run: where, and with which seed.
    """
    recipe = RECIPES[recipe_name]
    train_recipe = training.recipe(recipe.train)
    resident = recipe.resident if working.resident is None else working.resident
    images = recipe.images if working.train_images is None else working.train_images
    if images is not None and not resident:
        raise UserError("--train-images takes a part of resident images: leave it out, or give --resident")
    train, val = (
        open_source(data.data, split, folder=data.data_folder, in_chans=data.in_chans) for split in ("train", "val")
    )
    check_classes(train, val)
    device = choose_device(run.device)
    running = classifier_settings(loading, ClassifierRunningOptions(keep=1), data, device, Processes())
    config: Json = {
        "recipe": recipe_name,
        "seed": run.seed,
        "train": asdict(train_recipe),
        "resident": resident,
        "images": {"train": images or len(train), "val": len(val)},
        "classes": list(train.classes),
        "in_chans": train.channels,
        "precision": running.precision,
    }
    path = run.out or default_path(job, recipe_name, json.loads(json.dumps(config | extra)))
    devices = worker_devices(run.device, device, working.workers)
    return Setup(
        job=job,
        path=path,
        config=config,
        extra=extra,
        recipe=recipe,
        train=train_recipe,
        resident=resident,
        images=images,
        task=Task(image_size=train_recipe.image_size, in_chans=train.channels, num_classes=len(train.classes)),
        data=data,
        metrics=metrics,
        measuring=measuring,
        running=running,
        working=working,
        run=run,
        devices=devices,
        threads=run.threads or recorded_threads(path) or max(1, len(os.sched_getaffinity(0)) // len(devices)),
    )


def worker_devices(asked: str, device: torch.device, workers: int | None) -> tuple[str, ...]:
    """A device for every worker: GPUs in turn, where none was named."""
    if device.type == "cpu":
        return ("cpu",) * (workers or len(os.sched_getaffinity(0)))
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if asked in ("auto", "cuda") else [str(device)]
    return tuple(gpus[i % len(gpus)] for i in range(workers or 4 * len(gpus)))


def measuring_config(measurer: Measurer) -> Json:
    """How a job measures."""
    return {"measure": asdict(measurer.settings), "photographs": measurer.photographs.digest}
