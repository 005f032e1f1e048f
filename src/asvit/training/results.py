"""What a training records: an epoch, and the whole."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import msgspec

from asvit.networks.architecture import Task
from asvit.runs.differences import flat
from asvit.runs.tables import table_text
from asvit.training.schedule import StageCost

BACKWARD = 3
"""A training step costs three forward passes: one forward, two products for each backward."""


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """A pass over the training images."""

    epoch: int
    """Number of the epoch, counted from 1."""
    lr: float
    """Learning rate of the last step."""
    train_loss: float
    """Mean loss over the epoch's images, as they were augmented."""
    macs: int
    """Multiply-adds of all training so far: three times the forward pass of every image."""
    seconds: float
    """Seconds of training, without evaluation."""
    waiting: float
    """Share of them spent waiting for images."""
    images_per_second: float
    """Images per second in training."""
    unreadable: int
    """Training images so far that could not be read and were replaced."""


@dataclass(frozen=True, kw_only=True)
class Epoch(EpochRecord):
    """A pass over the training images and the evaluation of the classifier after it."""

    coarseness: int
    """Coarseness of the tokens, in training and in evaluation."""
    loss: float
    """Mean cross entropy of the validation images."""
    top1: float
    """Share of the validation images whose class is ranked first."""
    top5: float
    """Share of them whose class is among the first five."""
    left_out: int = 0
    """Validation images that could not be read."""


GUESSES = 5
"""Guesses of top-5; with no more classes one of them is always right, and nobody is told."""


def accuracies(top1: float, top5: float, classes: int) -> str:
    """Both accuracies in words; of five classes or fewer the second is always 1, and left out.

    >>> accuracies(0.8125, 0.9875, 10), accuracies(0.8125, 1.0, 5)
    ('top-1 81.25%, top-5 98.75%', 'top-1 81.25%')
    """
    return f"top-1 {top1:.2%}" + f", top-5 {top5:.2%}" * (classes > GUESSES)


@dataclass(frozen=True)
class Confused:
    """How many validation images of one class were said to be of one class, the same or another."""

    true: int
    """Number of their class."""
    said: int
    """Number of the class that was said."""
    images: int


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A validation image that was taken for another class."""

    file: str
    true: str
    """Its class."""
    said: str
    """The class that was said."""
    probability: float
    """Probability that was said of it."""
    picture: str
    """File with a small picture of it, in the run directory."""


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a training found."""

    network: str
    """Text form of an architecture, or ``timm:NAME``."""
    task: Task
    classes: tuple[str, ...]
    params: int
    stages: tuple[StageCost, ...]
    """Stages of the schedule, each with the cost of one image."""
    saved_macs: float
    """Share of the training's multiply-adds that coarse tokens saved."""
    saved_time: float
    """Share of the training's time that they saved, by the clock; evaluation not counted."""
    best: Epoch
    """Epoch with the highest top-1 accuracy at full resolution."""
    checkpoint: str
    """File of the best epoch's weights."""
    unreadable: tuple[str, ...]
    """Training images that could not be read, each with the reason; the first hundred."""
    epochs: tuple[Epoch, ...]
    confusion: tuple[Confused, ...] = ()
    """What the best epoch's network says of the validation images, without zeros; nothing in earlier versions."""
    mistakes: tuple[Mistake, ...] = ()
    """Its worst mistakes, the most confident first."""


def saved_time(epochs: Sequence[Epoch]) -> float:
    """``1 - Σ seconds / (epochs · seconds of an epoch at full resolution)``, the latter a median."""
    full = statistics.median(epoch.seconds for epoch in epochs if epoch.coarseness == 1)
    return 1 - sum(epoch.seconds for epoch in epochs) / (len(epochs) * full)


def best_of(epochs: Sequence[Epoch]) -> Epoch | None:
    """The epoch with the highest top-1 accuracy at full resolution, the later of two equal ones."""
    full = [epoch for epoch in epochs if epoch.coarseness == 1]
    return max(full, key=lambda epoch: (epoch.top1, epoch.epoch), default=None)


def as_lines(epochs: Sequence[EpochRecord]) -> bytes:
    """``metrics.jsonl``: a JSON object for every epoch."""
    return b"".join(msgspec.json.encode(epoch) + b"\n" for epoch in epochs)


def as_csv(epochs: Sequence[EpochRecord]) -> bytes:
    """``summary.csv``: a row for every epoch."""
    rows = [flat(asdict(epoch)) for epoch in epochs]
    names = max(rows, key=len)  # a field that is None lacks the columns of its own fields
    return table_text(list(names), rows)
