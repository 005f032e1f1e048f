"""What a detector's training records: an epoch, and the whole."""

from collections.abc import Sequence
from dataclasses import dataclass

from asvit.detection.cost import PartCost
from asvit.detection.scores import CocoScores
from asvit.networks.architecture import Task
from asvit.training.results import EpochRecord


@dataclass(frozen=True, kw_only=True)
class DetectEpoch(EpochRecord):
    """A pass over the training images and, after some, the evaluation of the detector."""

    proposal_loss: float
    """Part of the training loss: of the proposal network."""
    class_loss: float
    """Of the classes, all stages together."""
    box_loss: float
    """Of the boxes."""
    mask_loss: float
    """Of the masks."""
    boxes: CocoScores | None
    """On the validation images; None after epochs without evaluation."""
    masks: CocoScores | None
    left_out: int = 0
    """Validation images that could not be read."""


@dataclass(frozen=True, kw_only=True)
class DetectResult:
    """What a training found."""

    network: str
    """Backbone: text form of an architecture, or ``timm:NAME``."""
    task: Task
    """That the backbone is laid out for; its classes are the detector's."""
    classes: tuple[str, ...]
    costs: tuple[PartCost, ...]
    """Of the detector's parts, for one image."""
    best: DetectEpoch
    """With the highest average precision of boxes."""
    checkpoint: str
    """File of the best epoch's weights."""
    unreadable: tuple[str, ...]
    """Training images that could not be read, each with the reason; the first hundred."""
    left_out: tuple[str, ...]
    """Annotations that nothing could be learned from; the first hundred."""
    epochs: tuple[DetectEpoch, ...]


def best_of(epochs: Sequence[DetectEpoch]) -> DetectEpoch | None:
    """The epoch with the highest average precision of boxes, the later of two equal ones."""
    scored = [epoch for epoch in epochs if epoch.boxes is not None]
    return max(scored, key=lambda epoch: ((epoch.boxes and epoch.boxes.ap) or 0.0, epoch.epoch), default=None)
