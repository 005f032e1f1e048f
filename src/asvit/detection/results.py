"""What is recorded of a detector: COCO's numbers, costs, an epoch of training, and the whole. Needs no torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asvit.networks.architecture import Task
from asvit.training.results import EpochRecord


@dataclass(frozen=True, kw_only=True)
class CocoScores:
    """COCO's twelve numbers, from 0 to 1; None where there is no object to find."""

    ap: float | None
    """Average precision, a mean over overlaps from 0.50 to 0.95 and over categories."""
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    """Average precision of objects under 32² pixels."""
    ap_medium: float | None
    ap_large: float | None
    """Average precision of objects over 96² pixels."""
    ar_1: float | None
    """Average recall with one object an image."""
    ar_10: float | None
    ar_100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None


TWELVE = {
    "ap": "AP    overlap 0.50:0.95, all sizes",
    "ap50": "AP    overlap 0.50",
    "ap75": "AP    overlap 0.75",
    "ap_small": "AP    small objects, under 32²",
    "ap_medium": "AP    medium objects",
    "ap_large": "AP    large objects, over 96²",
    "ar_1": "AR    1 detection an image",
    "ar_10": "AR    10 detections an image",
    "ar_100": "AR    100 detections an image",
    "ar_small": "AR    small objects",
    "ar_medium": "AR    medium objects",
    "ar_large": "AR    large objects",
}
"""COCO's numbers, in COCO's order."""

LEAST_SCORE = 0.5
"""Score from which a find is drawn where nothing else is asked for, and from which it counts among mistakes."""
LEAST_IOU = 0.5
"""Intersection over union with an object's box from which a find is that object."""


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Average precision of one class, from 0 to 1; None where there is no object to find."""

    name: str
    objects: int
    """Objects in the images, crowds left out."""
    boxes: float | None
    masks: float | None


def worst_first(classes: Iterable[ClassScores]) -> list[ClassScores]:
    """The classes that have objects, those whose boxes are found worst first; of equal ones, those with more objects.

    >>> numbers = {"cat": (9, 0.7), "owl": (2, 0.4), "bat": (5, 0.4), "elk": (0, None)}
    >>> classes = [ClassScores(name=name, objects=n, boxes=ap, masks=ap) for name, (n, ap) in numbers.items()]
    >>> [one.name for one in worst_first(classes)]
    ['bat', 'owl', 'cat']
    """
    return sorted((one for one in classes if one.objects), key=lambda one: (one.boxes or 0.0, -one.objects))


@dataclass(frozen=True, kw_only=True)
class SceneMistakes:
    """A validation image in which objects were missed, or found where there are none; all counted by class."""

    file: str
    """Its file, as the annotations name it."""
    found: dict[str, int]
    missed: dict[str, int]
    """Objects that no find is."""
    false: dict[str, int]
    """Finds that are no object."""
    picture: str
    """File with all of them drawn on it, in the run directory."""


@dataclass(frozen=True)
class PartCost:
    """A part of a detector."""

    part: str
    params: int
    """Trainable parameters."""
    macs: int
    """Multiply-adds of one image when the detector is used."""
    training_macs: int
    """Multiply-adds of one image in training, forward, where other numbers of boxes are looked at."""


def whole(parts: Sequence[PartCost]) -> PartCost:
    """All parts together."""
    return PartCost(
        "detector",
        sum(part.params for part in parts),
        sum(part.macs for part in parts),
        sum(part.training_macs for part in parts),
    )


@dataclass(frozen=True, kw_only=True)
class DetectEpoch(EpochRecord):
    """A pass over the training images and, after some, the evaluation of the detector."""

    proposal_loss: float
    """Loss of the proposal network, a part of the training loss."""
    class_loss: float
    """Loss of the classes, all stages together."""
    box_loss: float
    """Loss of the boxes, all stages together."""
    mask_loss: float
    """Loss of the masks, all stages together."""
    boxes: CocoScores | None
    """Scores of boxes on the validation images; None after epochs without evaluation."""
    masks: CocoScores | None
    left_out: int = 0
    """Validation images that could not be read."""


@dataclass(frozen=True, kw_only=True)
class DetectResult:
    """What a training found."""

    network: str
    """Backbone: text form of an architecture, or ``timm:NAME``."""
    task: Task
    """Task that the backbone is laid out for; its classes are the detector's."""
    classes: tuple[str, ...]
    costs: tuple[PartCost, ...]
    """Costs of the detector's parts, for one image."""
    best: DetectEpoch
    """Epoch with the highest average precision of boxes."""
    checkpoint: str
    """File of the best epoch's weights."""
    unreadable: tuple[str, ...]
    """Training images that could not be read, each with the reason; the first hundred."""
    left_out: tuple[str, ...]
    """Annotations that nothing could be learned from; the first hundred."""
    epochs: tuple[DetectEpoch, ...]
    by_class: tuple[ClassScores, ...] = ()
    """Average precision of every class at the best epoch, in the order of the classes; nothing in earlier versions."""
    mistakes: tuple[SceneMistakes, ...] = ()
    """Validation images in which it is wrong most, as :func:`asvit.detection.mistakes.worst_of` chooses them."""


def best_of(epochs: Sequence[DetectEpoch]) -> DetectEpoch | None:
    """The epoch with the highest average precision of boxes, the later of two equal ones."""
    scored = [epoch for epoch in epochs if epoch.boxes is not None]
    return max(scored, key=lambda epoch: ((epoch.boxes and epoch.boxes.ap) or 0.0, epoch.epoch), default=None)
