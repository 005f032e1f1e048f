"""How a training is run, as opposed to what is trained."""

from dataclasses import dataclass

import torch

from asvit.errors import UserError
from asvit.measure.settings import Precision


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a training is run; precision, accumulation, compilation and layout change its rounding, the rest nothing."""

    workers: int = 0
    """Processes that load images; 0: the training process itself."""
    precision: Precision = "float32"
    """Of matrix products; weights and moments stay float32."""
    accumulate: int = 1
    """Passes over parts of a batch for one optimiser step, to fit memory."""
    compile: bool = False
    """Whether the model goes through torch.compile."""
    channels_last: bool = False
    """Whether images lie in memory pixel by pixel."""
    checkpointing: bool = False
    """Whether activations are computed again in the backward pass."""
    minutes: float = 10.0
    """Between checkpoints within an epoch."""
    keep: int = 2
    """Checkpoints that stay beside the best."""
    max_unreadable: int = 10
    """Training images that may be replaced since they cannot be read."""

    def __post_init__(self) -> None:
        for name, least in (("workers", 0), ("accumulate", 1), ("minutes", 0), ("keep", 1), ("max_unreadable", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}: expected at least {least}")

    @property
    def memory_format(self) -> torch.memory_format:
        """Of images and convolutions."""
        return torch.channels_last if self.channels_last else torch.contiguous_format
