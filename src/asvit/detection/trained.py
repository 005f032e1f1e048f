"""Building a detector: freshly drawn, on a trained backbone, or from its own checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from timm.layers.norm_act import freeze_batch_norm_2d
from torch import Tensor

from asvit.detection.detector import CascadeMaskRCNN
from asvit.detection.results import DetectEpoch
from asvit.detection.settings import DetectorSettings
from asvit.errors import UserError
from asvit.images import Normalisation
from asvit.networks.architecture import Architecture, Task, linear_params
from asvit.networks.building import build_trainable
from asvit.networks.named import parse_network
from asvit.training.checked import (
    check_epochs,
    check_looking,
    check_names,
    check_numbers,
    check_sizes,
    recorded_network,
)
from asvit.training.checkpoint import Header, fill, load_weights
from asvit.training.state import State
from asvit.units import ValueRange

LONGEST_SIDE, MOST_BOXES = 16_384, 100_000
"""Bounds on the pixels of a side to which images are fitted, and on the boxes of an image, in a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class DetectorSpec:
    """All that the weights of a detector have to fit."""

    network: str
    """Backbone: text form of an architecture, or ``timm:NAME``."""
    task: Task
    """Task that the backbone is laid out for; its classes are the detector's."""
    settings: DetectorSettings
    normalisation: Normalisation | None = None
    """Mean and deviation of the images; None: those of photographs."""
    value_range: ValueRange | None = None
    """Values of arrays that became 0 and 1; None: as their type says."""
    frozen_norms: bool = False
    """Whether the backbone's batch norms keep the means they came with, as is usual after pretraining."""

    def build(self, *, drop_path: float = 0.0) -> CascadeMaskRCNN:
        """A freshly drawn detector.

        >>> from asvit.detection.settings import Resize
        >>> settings = DetectorSettings(resize=Resize.to_square(64), channels=16, hidden=32)
        >>> spec = DetectorSpec(network="seed", task=Task(image_size=(64, 64), num_classes=3), settings=settings)
        >>> spec.build().num_classes
        3
        """
        model = CascadeMaskRCNN(
            build_trainable(parse_network(self.network), self.task, drop_path=drop_path),
            num_classes=self.task.num_classes,
            settings=self.settings,
            in_chans=self.task.in_chans,
            normalisation=self.normalisation,
        )
        if self.frozen_norms:
            freeze_batch_norm_2d(model.backbone.body)
        return model


@dataclass(frozen=True, kw_only=True)
class DetectorHeader(Header):
    """What a detector's checkpoint says beside its weights."""

    schema: ClassVar[str] = "asvit-detector-1"
    job: ClassVar[str] = "detect"

    spec: DetectorSpec
    classes: tuple[str, ...]
    """Names, label 1 first."""
    state: State[DetectEpoch] = field(default_factory=State)

    def check(self, weights: Mapping[str, Tensor]) -> None:
        """Refuse what does not fit these weights, or what no training says."""
        spec, there = self.spec, sum(x.numel() for x in weights.values())
        settings, resize = spec.settings, spec.settings.resize
        check_sizes(
            {
                "channels of an image": spec.task.in_chans,
                "classes": spec.task.num_classes,
                "channels of the pyramid": settings.channels,
                "hidden channels": settings.hidden,
            },
            there,
        )
        network = recorded_network(spec.network)
        if isinstance(network, Architecture) and (
            network.params(spec.task) > there + head_params(network, spec.task) or sum(network.depths) > len(weights)
        ):
            raise UserError(f"its backbone {network} for {spec.task} has more parameters than there are")
        # What a detector does with an image grows with these.
        check_numbers("long side", resize.long_side, most=LONGEST_SIDE)
        for name in ("proposals", "anchor_samples", "box_samples", "detections"):
            check_numbers(name, getattr(settings, name), most=MOST_BOXES)
        check_numbers("anchor_scale", settings.anchor_scale, most=LONGEST_SIDE)
        check_names(self.classes, spec.task.num_classes)
        check_looking(spec.task, spec.normalisation, spec.value_range)
        check_epochs(self.state.epochs, self.state.epoch)

    def build(self) -> CascadeMaskRCNN:
        """The detector that it speaks of, freshly drawn."""
        return self.spec.build()


def head_params(network: Architecture, task: Task) -> int:
    """Parameters of a classifier's head, which a backbone has lost."""
    dim = network.dims[-1]
    return 2 * dim + linear_params(dim, dim) + linear_params(dim, task.num_classes)


def load_detector(
    path: Path, *, averaged: bool = True, min_score: float = 0.0
) -> tuple[CascadeMaskRCNN, DetectorHeader]:
    """The detector of a checkpoint with its weights, in evaluation mode, and what the checkpoint says.

    Args:
        path: checkpoint, or the run directory of a training: then its best one.
        averaged: whether to take the moving average of the weights where there is one.
        min_score: least score of what it finds, where the detector's own is lower.
    """
    weights, header, file = load_weights(path, DetectorHeader, averaged=averaged)
    settings = header.spec.settings
    least = replace(settings, min_score=max(min_score, settings.min_score))
    model = replace(header.spec, settings=least).build()
    fill(model, weights, file)
    return model.eval(), header
