"""What the jobs of `asvit study` do before their work: the images, the workers' devices, the queue."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from asvit.errors import UserError
from asvit.images import UNREADABLE, to_tensor
from asvit.measure.job import prepare
from asvit.measure.measurer import Measurer
from asvit.measure.metrics import METRICS
from asvit.measure.work import share_of_memory
from asvit.networks.architecture import Task
from asvit.runs.devices import choose_device, usable_cores
from asvit.runs.job import Job
from asvit.runs.progress import tell
from asvit.runs.records import Json
from asvit.runs.working import recorded_threads
from asvit.study.plan import Planned
from asvit.study.queue import Queue
from asvit.study.results import read_csv
from asvit.study.settings import StudySettings
from asvit.study.worker import Pilot
from asvit.training.data import check_batch
from asvit.training.recipe import recorded
from asvit.training.resident import RandomCrops
from asvit.training.settings import Running, usual_precision
from asvit.training.sources import Source, Split, open_both, open_data

NOT_OF_AN_ACCURACY = ("recipe", "seed")
"""Settings that accuracies do not depend on: the recipe's values are there beside its name."""
LOOKED_AT = 16
"""Images that tell one data set from another."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that the workers of a study on one machine have in common."""

    name: str
    """Name of the job."""
    settings: StudySettings
    job: Job
    """The job, whose run directory and threads of each worker are settled."""
    config: Json
    """What accuracies depend on, and the names of recipe and seed."""
    extra: Json
    """What else all who share a storage must agree on."""
    task: Task
    metrics: tuple[str, ...]
    running: Running
    devices: tuple[str, ...]
    """Device of each worker."""

    @property
    def path(self) -> Path:
        """Run directory."""
        return self.job.directory(self.name, self.config | self.extra)

    @property
    def processes(self) -> int:
        """Processes of one thread that may measure while nothing is trained."""
        return len(self.devices) * (self.job.threads or 1)

    def queue(self, plan: Sequence[Planned], part: str = "") -> Queue:
        """Queue of the job's trainings, or of a part of the job's; every process has a connection of its own."""
        workers = self.settings.workers
        name = f"{workers.name}, {part}" if part else workers.name
        url = workers.storage or f"sqlite:///{self.path.absolute() / 'study.sqlite3'}"
        config = self.config | self.extra | {"heartbeat": workers.heartbeat}  # all must agree who counts as dead
        return Queue(url, name, plan, config, heartbeat=workers.heartbeat)

    def measurer(self, device: str, number: int = 0, *, in_use: bool = True) -> Measurer:
        """Measurer of all metrics, with the draws of a run; workers on one GPU share its memory.

        Args:
            device: device to measure on.
            number: number of the run.
            in_use: whether metrics of networks in use, such as the latency, are among them.
        """
        measuring, chosen = self.settings.measuring, choose_device(device)
        if chosen.type == "cuda" and measuring.work_memory is None:
            measuring = replace(measuring, work_memory=share_of_memory(chosen) // self.devices.count(device))
        job = Job(device=device, seed=self.job.seed + number)
        metrics = [name for name in self.metrics if in_use or not METRICS[name].in_use]
        return prepare(measuring, self.task, job, metrics=metrics)

    def source(self, split: Split) -> Source:
        """Training or validation images."""
        return open_data(self.settings.data, split)

    def add_earlier(self, queue: Queue) -> None:
        """Enter the trainings of an earlier study, where one was named."""
        path = self.settings.workers.continue_from
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
        height, width = self.settings.train.image_size
        return {
            "image_size": f"{height}x{width}",
            "epochs": str(self.settings.train.epochs),
            "train_images": str(self.config["images"]["train"]),
            "val_images": str(self.config["images"]["val"]),
            "precision": self.running.precision,
            "settings": settings,
        }


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a job whose trainings stop after some epochs, and go on later from their checkpoints."""

    name: str
    since: int
    """Epochs of a training that are done when the part begins."""
    until: int
    """Epochs after which trainings stop."""
    before: int
    """Epochs of all trainings, together, of the parts before."""
    whole: int
    """Epochs of all trainings of all parts."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """What the workers of a study on one machine are told."""

    setup: Setup
    plan: tuple[Planned, ...]
    pilot: Pilot | None
    """What is trained first, and what it must show; None: everything is trained."""
    measure: bool
    """Whether workers also measure what they train."""
    part: Part | None = None
    """Which part of the job this is; None: all of it, and networks are trained to the end."""

    def queue(self) -> Queue:
        """A connection to the queue of the trainings."""
        return self.setup.queue(self.plan, "" if self.part is None else self.part.name)


def prepare_study(name: str, settings: StudySettings, extra: Json, metrics: tuple[str, ...], job: Job) -> Setup:
    """Open the images and choose the devices, and refuse what cannot be, before anything is written.

    Args:
        name: name of the job.
        settings: what every study is asked.
        extra: settings of this kind of study.
        metrics: metrics to measure.
        job: where, and from which seed.
    """
    train, val = open_both(settings.data)
    for remark in (train.summary, val.summary, *train.contents.remarks):
        tell(remark)
    images = images_used(settings, train)
    device = choose_device(job.device)
    devices = worker_devices(job.device, device, settings.workers.workers)
    cores = max(1, usable_cores() // len(devices))
    precision = settings.precision or usual_precision(device.type)
    config: Json = {
        "recipe": settings.recipe_name,
        "seed": job.seed,
        "train": recorded(settings.train),
        "resident": settings.resident,
        "images": {"train": images, "val": len(val)},
        "digest": {"train": digest(train), "val": digest(val)},
        "classes": list(train.classes),
        "in_chans": train.channels,
        "precision": precision,
    }
    path = job.directory(name, json.loads(json.dumps(config | extra)))
    in_memory = settings.resident or settings.data.in_memory
    return Setup(
        name=name,
        settings=replace(settings, images=images) if settings.resident else settings,
        job=replace(job, out=path, threads=job.threads or recorded_threads(path) or cores),
        config=config,
        extra=extra,
        task=Task(image_size=settings.train.image_size, in_chans=train.channels, num_classes=len(train.classes)),
        metrics=metrics,
        running=Running(workers=0 if in_memory else cores - 1, precision=precision, keep=1),
        devices=devices,
    )


def images_used(settings: StudySettings, train: Source) -> int:
    """How many training images are used: as many as were asked for, or at most as many as the recipe takes.

    Raises:
        UserError: there are too few, or they cannot be resident.
    """
    asked = settings.workers.train_images
    if asked is not None and asked > len(train):
        raise UserError(f"{train.name} has {len(train)} images, not {asked}: choose fewer --train-images")
    used = min(settings.images or len(train), len(train))
    check_batch(used, settings.train.batch_size)
    if settings.resident:
        RandomCrops(settings.train, used, seed=0)  # refuses what is not done on the device
    return used


def digest(source: Source) -> str:
    """Digest of what a source holds, wherever it lies: the pixels and labels of some images, evenly spread."""
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
