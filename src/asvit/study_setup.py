"""What the jobs of `asvit study` do before their work: the recipe, the images, the workers' devices, the queue."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from asvit.errors import UserError
from asvit.job import choose_device, prepare, recorded_threads, tell
from asvit.measure.measurer import Measurer
from asvit.measure.photos import UNREADABLE
from asvit.measure.work import usable_cores
from asvit.networks.architecture import Task
from asvit.options import MeasureOptions, RunOptions
from asvit.records import Json, default_path
from asvit.study.plan import Planned
from asvit.study.queue import Queue
from asvit.study.recipes import RECIPES, StudyRecipe
from asvit.study.results import read_csv
from asvit.study.worker import Pilot
from asvit.study_options import StudyRecipeName, WorkerOptions
from asvit.train_jobs import schedule_for
from asvit.train_options import DataOptions, PrecisionOptions, TrainOptions
from asvit.training.augment import to_tensor
from asvit.training.data import TrainingOrder
from asvit.training.recipe import TrainRecipe
from asvit.training.resident import RandomCrops
from asvit.training.retokenize import Schedule
from asvit.training.running import Running
from asvit.training.sources import Source, Split, check_classes, open_source

NOT_OF_AN_ACCURACY = ("recipe", "seed")
"""Settings that accuracies do not depend on: the recipe's values are there beside its name."""
LOOKED_AT = 16
"""Images that tell one data set from another."""


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
    schedule: Schedule
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
        heartbeat = self.working.heartbeat
        config = self.config | self.extra | {"heartbeat": heartbeat}  # who counts as dead must be the same for all
        return Queue(url, self.working.name, plan, config, heartbeat=heartbeat)

    def measurer(self, device: str, number: int = 0) -> Measurer:
        """Of all metrics, with the draws of a run; workers on one GPU share its memory."""
        run = RunOptions(device=device, seed=self.run.seed + number)
        measurer = prepare(self.recipe, self.task, self.measuring, run, metrics=self.metrics)
        if measurer.device.type == "cuda" and self.measuring.work_memory is None:
            measurer.work_memory //= self.devices.count(device)
        return measurer

    def source(self, split: Split) -> Source:
        """Training or validation images."""
        return open_source(self.data.data, split, folder=self.data.data_folder, in_chans=self.data.in_chans)

    def add_earlier(self, queue: Queue) -> None:
        """Enter the trainings of an earlier study, where one was named."""
        path = self.working.continue_from
        if path is None:
            return
        earlier = read_csv(path, self.provenance)
        counted = queue.add(earlier)
        if not counted:
            raise UserError(
                f"none of the {len(earlier)} trainings of {path} is planned here: expected those of a study with the "
                "same --seed"
            )
        tell(f"{counted} of {len(earlier)} trainings of {path} count here")

    @property
    def provenance(self) -> Mapping[str, str]:
        """What makes accuracies comparable, for every row of a CSV file."""
        of_accuracies = {key: value for key, value in self.config.items() if key not in NOT_OF_AN_ACCURACY}
        settings = hashlib.sha256(json.dumps(of_accuracies, sort_keys=True).encode()).hexdigest()[:12]
        height, width = self.train.image_size
        return {
            "image_size": f"{height}x{width}",
            "epochs": str(self.train.epochs),
            "train_images": str(self.config["images"]["train"]),
            "val_images": str(self.config["images"]["val"]),
            "precision": self.running.precision,
            "settings": settings,
        }


@dataclass(frozen=True, kw_only=True)
class Crew:
    """What the workers of a study on one machine are told."""

    setup: Setup
    plan: tuple[Planned, ...]
    pilot: Pilot | None
    """None: everything is trained."""
    measure: bool
    """Whether workers also measure what they train."""

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
    computing: PrecisionOptions,
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
        computing: in which precision.
        run: where, and with which seed.
    """
    recipe = RECIPES[recipe_name]
    train_recipe = training.recipe(recipe.train)
    resident = recipe.resident if working.resident is None else working.resident
    if working.train_images is not None and not resident:
        raise UserError("--train-images takes a part of resident images: leave it out, or give --resident")
    images = None if not resident else working.train_images or recipe.images
    train, val = (
        open_source(data.data, split, folder=data.data_folder, in_chans=data.in_chans) for split in ("train", "val")
    )
    check_classes(train, val)
    used = images or len(train)
    if used > len(train):
        raise UserError(f"{train.name} has {len(train)} images, not {used}: choose fewer --train-images")
    TrainingOrder(used, train_recipe.batch_size, seed=0, rank=0, processes=1)  # refuses too large a batch
    if resident:
        RandomCrops(train_recipe, used, seed=0)  # refuses what is not done on the device
    device = choose_device(run.device)
    devices = worker_devices(run.device, device, working.workers)
    cores = max(1, usable_cores() // len(devices))
    precision = computing.on(device.type)
    config: Json = {
        "recipe": recipe_name,
        "seed": run.seed,
        "train": asdict(train_recipe),
        "resident": resident,
        "images": {"train": used, "val": len(val)},
        "digest": {"train": digest(train), "val": digest(val)},
        "classes": list(train.classes),
        "in_chans": train.channels,
        "precision": precision,
    }
    path = run.out or default_path(job, recipe_name, json.loads(json.dumps(config | extra)))
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
        schedule=schedule_for(training, train_recipe),
        running=Running(workers=0 if resident or data.data == "digits" else cores - 1, precision=precision, keep=1),
        working=working,
        run=run,
        devices=devices,
        threads=run.threads or recorded_threads(path) or cores,
    )


def digest(source: Source) -> str:
    """Of what a source holds, wherever it lies: the pixels and labels of some images, evenly spread."""
    hashed = hashlib.sha256()
    for i in range(LOOKED_AT):
        try:
            image, label = source.read(i * len(source) // LOOKED_AT)
        except UNREADABLE:
            continue
        hashed.update(to_tensor(image).numpy().tobytes() + str(label).encode())
    return hashed.hexdigest()[:12]


def worker_devices(asked: str, device: torch.device, workers: int | None) -> tuple[str, ...]:
    """A device for every worker: GPUs in turn, where none was named."""
    if device.type == "cpu":
        return ("cpu",) * (workers or usable_cores())
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if asked in ("auto", "cuda") else [str(device)]
    return tuple(gpus[i % len(gpus)] for i in range(workers or 4 * len(gpus)))


def measuring_config(measurer: Measurer) -> Json:
    """How a job measures."""
    return {"measure": asdict(measurer.settings), "photographs": measurer.photographs.digest}
