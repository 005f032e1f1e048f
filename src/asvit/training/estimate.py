"""How long a training will take on this machine, by what a few of its images take."""

import time
from collections.abc import Callable

import torch

from asvit.complexity.speed import synchronise
from asvit.training.classifier import ClassifierTraining
from asvit.training.data import Batch
from asvit.training.retokenize import enter
from asvit.training.schedule import StageCost

Clock = Callable[[], float]
"""Function that returns the seconds since a fixed moment."""

LOADED = 8
"""Images that are loaded and augmented."""
LONG_ENOUGH = 0.5
"""Seconds of a pass from which on its time is taken to grow with the number of images."""


def estimated_seconds(training: ClassifierTraining, clock: Clock = time.perf_counter) -> float:
    """Seconds that a training will take, its evaluations included; nothing of it is kept.

    Images are loaded while others are computed where processes of their own load them: then the slower of the two
    counts.

    Args:
        training: one that has not begun.
        clock: says what time it is.
    """
    steps, images = training.order.steps, len(training.val_source)
    loading = seconds_to_load(training, clock) / max(1, training.running.workers)
    updating = seconds_to_update(training, clock)
    total = 0.0
    for stage in training.stages:
        learning, looking = seconds_of_an_image(training, stage, clock)
        together = max if training.running.workers else lambda a, b: a + b
        total += stage.epochs * steps * (training.share * together(learning, loading) + updating)
        total += stage.epochs * images / training.processes.count * together(looking, loading)
    return total


def seconds_to_load(training: ClassifierTraining, clock: Clock) -> float:
    """Time in which one process makes an image ready."""
    examples, count = training.train_examples(), min(LOADED, len(training.train_source))
    _ = examples[0, 0]  # imports, and what transforms prepare once
    start = clock()
    for index in range(count):
        _ = examples[0, index]
    return (clock() - start) / count


def seconds_to_update(training: ClassifierTraining, clock: Clock) -> float:
    """Time of one update of the weights and of their average."""
    for parameter in training.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    seconds = 0.0
    for _ in range(2):  # the first makes the moments
        start = clock()
        training.optimiser.step()
        if training.average is not None:
            training.average.update(training.model, 1)
        synchronise(training.device)
        seconds = clock() - start
    training.optimiser.zero_grad()
    return seconds


def seconds_of_an_image(training: ClassifierTraining, stage: StageCost, clock: Clock) -> tuple[float, float]:
    """Time that an image takes forward and backward in a stage, and forward alone."""
    enter(training.model, stage.coarseness)
    training.stepping.train()
    count = min(2, training.share)  # batch norm has nothing to go by in a single image
    while True:
        learning = seconds_of_a_pass(training, count, clock)
        if learning >= LONG_ENOUGH or count == training.share:
            break
        count = min(2 * count, training.share)
    training.model.eval()
    with torch.inference_mode():
        looking = seconds_of_a_pass(training, count, clock, backward=False)
    return learning / count, looking / count


def seconds_of_a_pass(training: ClassifierTraining, count: int, clock: Clock, *, backward: bool = True) -> float:
    """Time of the second of two passes over some images."""
    device, task = training.device, training.task
    images = torch.zeros(count, task.in_chans, *task.image_size, device=device)
    batch = Batch(images, torch.zeros(count, dtype=torch.long, device=device), ())
    seconds = 0.0
    for _ in range(2):
        start = clock()
        (loss,) = training.losses(batch)
        if backward:
            loss.backward()
            training.optimiser.zero_grad()
        synchronise(device)
        seconds = clock() - start
    return seconds
