"""How much of a measurement is done at a time: bounded by memory, and less where a device runs out of it."""

import math
from dataclasses import dataclass

import torch

from asvit.measure.settings import Settings
from asvit.runs.devices import memory

A_PROCESS = 8 * 10**8
"""Bytes of activations of a process on a CPU, at most. More would not make it faster, and values must not depend on how
many processes share the memory."""


def share_of_memory(device: torch.device, asked: int | None = None) -> int:
    """Bytes of activations of one process at a time: on a CPU up to 0.8 GB, by default half of a GPU's memory.

    Args:
        device: device that networks are evaluated on.
        asked: bytes that all processes may take together; None: no bound was asked for.

    >>> cpu = torch.device("cpu")
    >>> share_of_memory(cpu), share_of_memory(cpu, 4 * 10**9), share_of_memory(cpu, 1000)
    (800000000, 800000000, 1000)
    """
    if device.type == "cpu":
        return A_PROCESS if asked is None else min(asked, A_PROCESS)
    if asked is not None:
        return asked
    return (memory(device) if device.type == "cuda" else torch.mps.recommended_max_memory()) // 2


def processes_within(asked: int | None, threads: int) -> int:
    """Processes of one thread that may measure side by side on a CPU; at least one.

    Args:
        asked: bytes of activations that they may take together; None: no bound was asked for.
        threads: threads that may compute.

    >>> processes_within(None, 8), processes_within(3 * 10**9, 8), processes_within(1000, 8)
    (8, 3, 1)
    """
    return threads if asked is None else max(1, min(threads, asked // A_PROCESS))


@dataclass(frozen=True)
class Work:
    """The share of a measurement that is in memory at a time."""

    angles: int
    """Points of the circle in one pass."""
    recompute: bool
    """Whether the kernel's backward pass computes each block's activations again instead of keeping them."""

    @classmethod
    def within(cls, memory: int, activations: int, settings: Settings) -> "Work":
        """The largest share whose activations are expected to stay within ``memory`` bytes.

        Args:
            memory: bound in bytes.
            activations: bytes that the backward pass of one image keeps.
            settings: angles and images of a measurement.

        >>> Work.within(1000, activations=100, settings=Settings(angles=10, kernel_images=16))
        Work(angles=3, recompute=True)
        """
        # A jet has up to three parts, of which less than all activations live at once; the kernel's pass holds all of
        # them and one layer's gradients, seen to add up to half as much.
        at_most = max(1, memory // (3 * activations))
        passes = math.ceil(settings.angles / at_most)
        return cls(math.ceil(settings.angles / passes), 1.5 * settings.kernel_images * activations > memory)

    def less(self) -> "Work":
        """A smaller share: half the angles and no kept activations; this one where it cannot be smaller."""
        return Work(math.ceil(self.angles / 2), recompute=True)

    def __str__(self) -> str:
        return f"{self.angles} angles a pass" + (", blocks recomputed" if self.recompute else "")
