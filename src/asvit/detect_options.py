"""Options of detection: what they are called, what they mean, and what they say together with a recipe.

Imports no torch, so that help and usage errors answer at once.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from asvit.detection.recipe import Augmentation, DetectRecipe
from asvit.detection.settings import DetectorSettings, Resize
from asvit.errors import UserError
from asvit.train_options import LoopOptions

DetectRecipeName = Literal["coco", "small", "smoke"]

_DATA = Group("Images", sort_key=2)
_TRAIN = Group("Training", sort_key=3)
_DETECTOR = Group("Detector", sort_key=4)


@Parameter(name="*", group=_DATA)
@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """Where pictures with objects are."""

    data: Path
    """Folder laid out like COCO: annotations/*train*.json and *val*.json, with pictures in a folder named after each
    (train2017 for instances_train2017.json), in train and val, or in images."""
    in_chans: Literal[1, 3] | None = None
    """Read pictures in grey (1) or colour (3; default). Arrays have the channels they have."""
    max_left_out: int = 0
    """Annotations that may be left out since their boxes have no area or they lie beside their picture."""


@Parameter(name="*", group=_DETECTOR)
@dataclass(frozen=True, kw_only=True)
class DetectorOptions:
    """Sizes of the detector; what is not given is the recipe's."""

    square: int | None = None
    """Fit every image into a square of so many pixels (the paper: 1024)."""
    sides: Annotated[tuple[int, int] | None, Parameter(negative=())] = None
    """Or bound the short and the long side, such as 800 1333; without the recipe's jitter, which cuts squares."""
    channels: int | None = None
    """Of the feature pyramid (the paper: 256)."""
    hidden: int | None = None
    """Width of the box stages' fully connected layers (the paper: 1024)."""
    anchor_scale: float | None = None
    """Side of the anchors over the stride of their map."""
    proposals: int | None = None
    """Boxes looked at in an image."""
    detections: int | None = None
    """Most objects found in an image."""

    def __post_init__(self) -> None:
        if self.square is not None and self.sides is not None:
            raise UserError("--square and --sides both say how large images are: give one")

    def settings(self, settings: DetectorSettings) -> DetectorSettings:
        """Settings with what was asked in their place."""
        names = ("channels", "hidden", "anchor_scale", "proposals", "detections")
        given: dict[str, Any] = {name: x for name in names if (x := getattr(self, name)) is not None}
        if self.square is not None:
            given["resize"] = Resize.to_square(self.square)
        if self.sides is not None:
            given["resize"] = Resize(short_side=self.sides[0], long_side=self.sides[1], square=False)
        return replace(settings, **given)


@Parameter(name="*", group=_TRAIN)
@dataclass(frozen=True, kw_only=True)
class DetectTrainOptions(LoopOptions):
    """How to train a detector; what is not given is the recipe's."""

    backbone_size: int | None = None
    """Image side that the backbone's windows are laid out for, where it starts afresh."""
    jitter: Annotated[tuple[float, float] | None, Parameter(negative=())] = None
    """Large-scale jitter: least and largest random scale before a random crop, such as 0.1 2."""
    evaluate_every: int | None = None
    """Epochs from one evaluation to the next."""

    def recipe(self, recipe: DetectRecipe, sizes: DetectorOptions) -> DetectRecipe:
        """A recipe with what was asked in its place."""
        given: dict[str, Any] = {name: x for name, x in vars(self).items() if x is not None and name != "jitter"}
        jitter = recipe.augmentation.jitter if sizes.sides is None else None
        augmentation = Augmentation(flip=recipe.augmentation.flip, jitter=self.jitter or jitter)
        return replace(recipe, detector=sizes.settings(recipe.detector), augmentation=augmentation, **given)
