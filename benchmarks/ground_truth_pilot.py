"""What a training of a study takes on this machine with several at a time: as many rehearsed at once as there are
workers, by what the study itself trains with."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from machine import timed

from asvit.complexity.usage import Precision
from asvit.measure.settings import Measuring
from asvit.runs.devices import use_threads
from asvit.runs.job import Job
from asvit.study.job import metric_names
from asvit.study.plan import Planned
from asvit.study.recipes import RECIPES
from asvit.study.settings import StudySettings, Workers
from asvit.study.setup import Crew, Setup, prepare_study
from asvit.study.trainer import Trainer
from asvit.training.settings import ImageData
from asvit.training.sources import open_data

STEPS = 100
"""Of the short epoch that is timed."""
PATIENCE = 300.0
"""Seconds that a worker waits for the others to be ready."""


@dataclass(frozen=True)
class Pace:
    """Seconds, with all workers at work."""

    start: float
    """Until workers have read the images."""
    training: float
    """Of a training beside its epochs: what is measured of its network, and the device's warming up."""
    epoch: float
    """Of an epoch of all images, evaluation included."""


@dataclass(frozen=True)
class Rehearsal:
    """What a worker saw."""

    start: float
    first: float
    """Seconds of its first training, of one short epoch; warms up and measures."""
    second: float
    """The same of the next, of the same network."""
    steps: float
    """Seconds of the second that were spent on steps, and so grow with the images of an epoch."""

    def pace(self, scale: float) -> Pace:
        """For epochs of so many times the images."""
        rest = self.second - self.steps
        return Pace(self.start, max(0.0, self.first - self.second), scale * self.steps + rest)


@dataclass(frozen=True)
class Question:
    """What is to be rehearsed."""

    recipe: str
    data: str
    photographs: Path | None
    metrics: tuple[str, ...]
    """To measure; none: all."""
    precision: Precision
    device: str
    workers: int
    threads: int | None
    """Of each worker on the CPU; None: as many as its cores allow."""
    path: Path
    """Of a folder to work in."""


def rehearse_all(question: Question, topologies: Sequence[str]) -> tuple[Pace, int]:
    """Mean pace of workers that all train at the same time, a topology each, and the images of a whole epoch."""
    recipe = RECIPES[question.recipe]
    images = recipe.images or len(open_data(ImageData(data=question.data), "train"))
    short = min(images, STEPS * recipe.train.batch_size)
    setup = set_up(question, short)
    crew = Crew(setup=setup, plan=(), pilot=None, measure=True)
    question.path.mkdir(parents=True, exist_ok=True)
    spawn = get_context("spawn")
    barrier, answers = spawn.Barrier(len(setup.devices)), spawn.Queue()
    begun = time.time()
    workers = [
        spawn.Process(target=rehearse, args=(crew, device, topologies[i % len(topologies)], begun, barrier, answers))
        for i, device in enumerate(setup.devices)
    ]
    for worker in workers:
        worker.start()
    try:
        while any(worker.is_alive() for worker in workers):
            if any(worker.exitcode for worker in workers):
                sys.exit("a worker of the pilot has died: the lines above say why; fewer --workers take less memory")
            time.sleep(0.1)
        found = [answers.get(timeout=PATIENCE).pace(images / short) for _ in workers]
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    start = max(pace.start for pace in found)
    return Pace(start, fmean(pace.training for pace in found), fmean(pace.epoch for pace in found)), images


def set_up(question: Question, images: int) -> Setup:
    """The study's own setup, for one epoch of so many images."""
    recipe = RECIPES[question.recipe]
    settings = StudySettings.of(
        question.recipe,
        ImageData(data=question.data),
        train=replace(recipe.train, epochs=1, warmup_epochs=0),
        measuring=Measuring(settings=recipe.settings(), images=question.photographs),
        workers=Workers(workers=question.workers, train_images=images),
        precision=question.precision,
    )
    job = Job(device=question.device, threads=question.threads, out=question.path)
    return prepare_study("study", settings, {}, metric_names(question.metrics), job)


def rehearse(crew: Crew, device: str, topology: str, begun: float, barrier: Any, answers: Any) -> None:
    """Train a topology twice, with the others at the same time; in a process of its own."""
    use_threads(crew.setup.job.threads)
    trainer = Trainer(crew, torch.device(device))
    start = time.time() - begun
    seconds, steps = [], 0.0
    for seed in range(2):
        one = Planned(topology, seed)
        barrier.wait(PATIENCE)
        elapsed, (trained, _) = timed(lambda one=one: trainer(one), torch.device(device))
        trainer.forget(one)
        seconds.append(elapsed)
        steps = trained.seconds
    answers.put(Rehearsal(start, seconds[0], seconds[1], steps))
