"""Batches from a source of images, in an order and with a randomness that any process can repeat.

What happens to a sample is a function of (seed, epoch, index) alone: not of the process, the worker, or the past.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from asvit.errors import UserError, reason
from asvit.images import UNREADABLE, check_size
from asvit.training.loading import Loader

REPLACEMENTS = 10
"""Images in a row that are tried before a sample is given up."""

BatchT = TypeVar("BatchT")
EpochAndIndex = tuple[int, int]
"""Epoch and index of a sample."""


class Draws(IntEnum):
    """What is drawn: every kind has random numbers of its own."""

    WEIGHTS = 0
    ORDER = 1
    STEP = 2
    SAMPLE = 3


def seed_processor(draws: Draws, *key: int) -> None:
    """Make the global random states of Python, numpy and torch on the CPU a function of what is drawn and some numbers.

    Of torch's devices the CPU alone: for the others `torch.manual_seed` formats the stack of calls, which takes longer
    than to make a small image ready.
    """
    # Sums such as seed + epoch would meet again in other epochs; a SeedSequence gives neighbours unrelated states.
    state = np.random.SeedSequence((draws, *key)).generate_state(3)
    random.seed(int(state[0]))
    np.random.seed(state[1])  # noqa: NPY002, timm's augmentations draw from the global state
    torch.default_generator.manual_seed(int(state[2]))


def seed_everything(draws: Draws, *key: int) -> None:
    """Make every global random state, those of all devices too, a function of what is drawn and some numbers.

    >>> seed_everything(Draws.STEP, 0, 1)
    >>> first = torch.rand(1)
    >>> seed_everything(Draws.STEP, 0, 1)
    >>> bool(torch.rand(1) == first)
    True
    """
    seed_processor(draws, *key)
    torch.manual_seed(torch.initial_seed())


def generator_of(draws: Draws, *key: int) -> torch.Generator:
    """Random numbers on the CPU that are a function of what is drawn and some numbers."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence((draws, *key)).generate_state(1)[0]))


@runtime_checkable
class Readable(Protocol):
    """A list of images with what is known about them."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[Any, Any]:
        """An image and what is known about it; one of :data:`asvit.images.bounds.UNREADABLE` where it is damaged."""
        ...

    def file(self, index: int) -> str:
        """Name of an image, for messages."""
        ...


@dataclass(frozen=True)
class Example:
    """One image, made ready for a network to learn from or to be scored on."""

    content: Any
    """Image and what is known about it; None where it could not be read and nothing stands in for it."""
    problem: str | None
    """File that could not be read, and the reason; None where it could."""


@dataclass(frozen=True)
class Batch:
    """Images and labels of one process, and what could not be read on the way."""

    images: Float[Tensor, "B *channels_H_W"]
    """Normalised, ``B x channels x H x W``; an empty batch has no shape beyond ``B``."""
    labels: Int[Tensor, " B"] | Float[Tensor, "B classes"]
    """Classes by number or, where images are mixed, a share for every class."""
    problems: tuple[str, ...]

    @classmethod
    def of(cls, contents: Sequence[tuple[Float[Tensor, "channels H W"], int]], problems: tuple[str, ...]) -> "Batch":
        """Stack images and labels."""
        if not contents:
            return cls(torch.empty(0), torch.empty(0, dtype=torch.long), problems)
        images, labels = zip(*contents, strict=True)
        return cls(torch.stack(images), torch.tensor(labels), problems)

    def __len__(self) -> int:
        return len(self.labels)

    def pin_memory(self) -> "Batch":
        """A copy from which a GPU can fetch; called by the loader."""
        return Batch(self.images.pin_memory(), self.labels.pin_memory(), self.problems)

    def to(self, device: torch.device, memory_format: torch.memory_format = torch.contiguous_format) -> "Batch":
        """The batch on a device, its images in a memory format."""
        images = self.images.to(device, non_blocking=True, memory_format=memory_format)
        return Batch(images, self.labels.to(device, non_blocking=True), self.problems)

    def parts(self, count: int) -> "list[Batch]":
        """The batch in parts of at least one image."""
        pairs = zip(self.images.chunk(count), self.labels.chunk(count), strict=True)
        return [Batch(images, labels, self.problems) for images, labels in pairs]


class Labelled:
    """Makes an image and its label ready for a classifier."""

    def __init__(
        self, transform: Callable[[Any], Num[Tensor, "channels H W"]], labels: Sequence[int] | None = None
    ) -> None:
        """Transform images.

        Args:
            transform: makes a tensor of an image.
            labels: what a network calls the source's classes, where it counts them differently.
        """
        self.transform, self.labels = transform, labels

    def __call__(self, image: Any, label: int) -> tuple[Num[Tensor, "channels H W"], int]:
        """The tensor and the network's label."""
        return self.transform(check_size(image)), label if self.labels is None else self.labels[label]


class Examples(Dataset[Example]):
    """Images of a source made ready for a network, by epoch and index."""

    def __init__(self, source: Readable, prepare: Callable[[Any, Any], Any], *, seed: int | None) -> None:
        """Read from a source.

        Args:
            source: images.
            prepare: makes an image, and what is known about it, ready for the network.
            seed: random seed of the training, where a damaged image is replaced by the next one; None for evaluation,
                which is not random and leaves it out.
        """
        self.source, self.prepare, self.seed = source, prepare, seed

    def __getitem__(self, place: EpochAndIndex) -> Example:
        epoch, index = place
        # torch seeds a worker once, so that its draws would depend on which samples it happened to load before.
        if self.seed is not None:
            seed_processor(Draws.SAMPLE, self.seed, epoch, index)
        # Training needs whole batches, of as many images in every process: the next image of the list stands in, which,
        # unlike another draw, is a function of the index too. The message names the one that was asked for; its
        # neighbours are named where their own turn comes.
        problem = None
        for next_index in range(index, index + (1 if self.seed is None else REPLACEMENTS)):
            i = next_index % len(self.source)
            try:
                return Example(self.prepare(*self.source.read(i)), problem)
            except UNREADABLE as error:
                problem = problem or f"{self.source.file(i)}: {reason(error)}"
        return Example(None, problem)


def batch_of(batch_type: Any, examples: Examples, places: Sequence[EpochAndIndex]) -> Any:
    """A batch of the examples at some places, as far as they could be read."""
    some = [examples[place] for place in places]
    problems = tuple(example.problem for example in some if example.problem is not None)
    return batch_type.of([example.content for example in some if example.content is not None], problems)


def check_batch(images: int, batch_size: int) -> None:
    """Refuse a batch that is larger than the training set.

    >>> check_batch(images=40, batch_size=128)
    Traceback (most recent call last):
    asvit.errors.UserError: there are 40 training images, fewer than a batch of 128: choose a smaller --batch-size
    """
    if images < batch_size:
        raise UserError(
            f"there are {images} training images, fewer than a batch of {batch_size}: choose a smaller --batch-size"
        )


class TrainingOrder(Sampler[list[EpochAndIndex]]):
    """Batches of an epoch: a permutation of the images, cut into batches of which each process takes its share.

    The images of a batch do not depend on the number of processes; a rest smaller than a batch is left out.
    """

    def __init__(self, images: int, batch_size: int, *, seed: int, rank: int, processes: int) -> None:
        if batch_size % processes:
            raise UserError(f"a batch of {batch_size} cannot be shared by {processes} processes: choose a multiple")
        check_batch(images, batch_size)
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.rank, self.processes = rank, processes
        self.epoch, self.start = 0, 0

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return self.images // self.batch_size

    def go_to(self, epoch: int, start: int) -> None:
        """Let the next iteration begin at a step of an epoch."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[EpochAndIndex]]:
        # Every process draws the same permutation and takes every n-th image of a batch: nothing has to be exchanged.
        order = torch.randperm(self.images, generator=generator_of(Draws.ORDER, self.seed, self.epoch)).tolist()
        for step in range(self.start, self.steps):
            batch = order[step * self.batch_size : (step + 1) * self.batch_size]
            yield [(self.epoch, index) for index in batch[self.rank :: self.processes]]


class EvaluationOrder(Sampler[list[EpochAndIndex]]):
    """Every image once, in order, shared by the processes."""

    def __init__(self, images: int, batch_size: int, *, rank: int, processes: int) -> None:
        self.places = [(0, index) for index in range(rank, images, processes)]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.places) // self.batch_size)

    def __iter__(self) -> Iterator[list[EpochAndIndex]]:
        for start in range(0, len(self.places), self.batch_size):
            yield self.places[start : start + self.batch_size]


def batches(
    examples: Examples,
    order: Sampler[list[EpochAndIndex]],
    *,
    workers: int,
    device: torch.device,
    batch_type: type[BatchT] = Batch,
) -> Iterable[BatchT]:
    """Batches in an order; the workers that load them live on between epochs and share no random state."""
    return Loader(
        partial(batch_of, batch_type, examples),
        order,
        workers=workers,
        pin_memory=device.type == "cuda",
        modules={part.__module__ for part in (examples, examples.source, examples.prepare, batch_type)},
    )
