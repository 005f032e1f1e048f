"""How far a training is."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from asvit.training.results import EpochRecord

EpochT = TypeVar("EpochT", bound=EpochRecord)


@dataclass(frozen=True, kw_only=True)
class State(Generic[EpochT]):
    """How far a training is; with weights and moments all of its state, since randomness is a function of it."""

    epoch: int = 0
    """Epochs that are over."""
    step: int = 0
    """Steps of the next epoch that are over."""
    losses: tuple[float, ...] = ()
    """Sums in the unfinished epoch of the loss and its recorded parts, each a mean over the batch."""
    seconds: float = 0.0
    """Seconds spent on the unfinished epoch."""
    waiting: float = 0.0
    """Seconds of them spent waiting for images."""
    macs: int = 0
    """Multiply-adds spent so far."""
    unreadable: tuple[str, ...] = ()
    """Training images that could not be read."""
    epochs: tuple[EpochT, ...] = ()
    """Records of the epochs that are over."""
