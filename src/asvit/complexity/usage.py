"""What a forward pass costs on a device: latency and memory, taken by :mod:`asvit.complexity.speed`. Needs no torch."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""Number format of a forward pass: that of the weights (float32), or bfloat16 under autocast."""


@dataclass(frozen=True)
class Usage:
    """Latency and memory of one forward pass."""

    latency: float
    """Seconds that a batch takes, the median over runs."""
    spread: float
    """Half the range between the quartiles of the runs, seconds."""
    memory: int
    """Bytes at the peak: weights, input, and the activations that live at a time."""
    batch_size: int
    precision: str
    device: str
    """Name of the processor or of the GPU."""
    threads: int | None
    """Threads that computed; None on a GPU."""

    @property
    def throughput(self) -> float:
        """Images per second.

        >>> Usage(0.02, 0.001, 10**6, batch_size=4, precision="float32", device="laptop", threads=2).throughput
        200.0
        """
        return self.batch_size / self.latency
