"""Options of detection: what they are called, what they mean, and where they stand in the help. Imports no torch."""

from dataclasses import replace
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from asvit.commands.groups import OWN, REQUIRED, Options
from asvit.commands.options import RECIPES_OWN, VALUE_RANGE
from asvit.commands.train_options import DATA, OF_ANY_TRAINING, TRAIN
from asvit.detection.recipe import Augmentation, DetectRecipe
from asvit.detection.settings import DetectorSettings, Resize, SceneData
from asvit.errors import UserError
from asvit.training.recipe import changed
from asvit.units import parse_range

DetectRecipeName = Literal["coco", "small", "smoke"]

DETECTOR = Group("Detector", sort_key=4)


class SceneOptions(
    Options[SceneData],
    of=SceneData,
    take={"data": REQUIRED, "in_chans": OWN, "value_range": OWN, "max_left_out": OWN},
    read={"value_range": parse_range},
    explain={"value_range": VALUE_RANGE},
    group=DATA,
):
    """Where pictures are, and how they are read."""


class DetectorOptions(
    Options[DetectorSettings],
    of=DetectorSettings,
    take=dict.fromkeys(("channels", "hidden", "anchor_scale", "proposals", "detections"), RECIPES_OWN),
    group=DETECTOR,
):
    """Sizes of the detector."""

    square: int | None = None
    """Fit every image into a square of so many pixels (the paper: 1024)."""
    sides: Annotated[tuple[int, int] | None, Parameter(negative=())] = None
    """Bound the short and the long side instead, such as 800 1333; without the recipe's jitter, which cuts squares."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.over(DetectorSettings())
        if self.square is not None and self.sides is not None:
            raise UserError("--square and --sides both say how large images are: give one")

    def over(self, settings: DetectorSettings) -> DetectorSettings:
        """Settings with what was said in their place."""
        if self.square is not None:
            settings = replace(settings, resize=Resize.to_square(self.square))
        if self.sides is not None:
            short, long = self.sides
            settings = replace(settings, resize=Resize(short_side=short, long_side=long, square=False))
        return super().over(settings)


class DetectTrainOptions(
    Options[DetectRecipe],
    of=DetectRecipe,
    take={**OF_ANY_TRAINING, "backbone_size": RECIPES_OWN, "evaluate_every": RECIPES_OWN},
    group=TRAIN,
):
    """How to train a detector."""

    jitter: Annotated[tuple[float, float] | None, Parameter(negative=())] = None
    """Large-scale jitter: least and largest random scale before a random crop, such as 0.1 2."""

    def recipe(self, recipe: DetectRecipe, sizes: DetectorOptions) -> DetectRecipe:
        """A recipe with what was asked in its place."""
        jitter = recipe.augmentation.jitter if sizes.sides is None else None
        augmentation = Augmentation(flip=recipe.augmentation.flip, jitter=self.jitter or jitter)
        return replace(changed(recipe, self.given), detector=sizes.over(recipe.detector), augmentation=augmentation)
