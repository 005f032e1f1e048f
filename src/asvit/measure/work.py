"""How much of a measurement is done at a time: bounded by memory, and less where a device runs out of it."""

import math
from dataclasses import dataclass

import torch

from asvit.measure.settings import Settings
from asvit.runs.devices import memory


def default_work_memory(device: torch.device) -> int:
    """Bytes of activations at a time: 2 GB on a CPU, half of a GPU's memory."""
    match device.type:
        case "cuda":
            return memory(device) // 2
        case "mps":
            return torch.mps.recommended_max_memory() // 2
        case _:
            return 2 * 10**9


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
