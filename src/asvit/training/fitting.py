"""Fit a training to a network and its images: what was asked, what the network was designed for, what the data are.

Needs no torch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from asvit.errors import UserError, did_you_mean
from asvit.networks.architecture import Task
from asvit.training.recipe import RECIPES, TrainRecipe, changed
from asvit.training.schedule import Schedule, named_schedule, schedule_of

AUTO = "auto"
"""Name of the recipe that is made for the data."""
OWN = "own"
"""Name, in records, of a schedule that was said epoch by epoch."""

LARGEST_SIDE = 224
"""Pixels of a side up to which images that are all of one size are trained on as they are."""
SMALL = 64
"""Pixels of a side below which images are cropped and changed less."""
IMAGES_SEEN = 1_000_000
"""Training images, counted once an epoch, that recipe auto sees, within :data:`EPOCHS`."""
EPOCHS = (30, 100)
"""Epochs of recipe auto, at least and at most."""
BATCHES = 16
"""Batches of an epoch at least, within :data:`BATCH_SIZES`."""
BATCH_SIZES = (8, 256)
"""Images of a batch of recipe auto, at least and at most."""
FULL_RATE = 64
"""Batch from which on the learning rate is the full one."""
AVERAGED = 0.05
"""Share of the training's steps over which the moving average of the weights reaches."""


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What a recipe depends on."""

    images: int
    """Training images."""
    channels: int
    arrays: bool
    """Whether they are arrays rather than pictures."""
    size: tuple[int, int] | None
    """Height and width, where all images have the same."""


@dataclass(frozen=True, kw_only=True)
class AskedTraining:
    """How a user asks to train: a recipe by its name, and what was said in the place of its values.

    >>> facts = DataFacts(images=1438, channels=1, arrays=False, size=(8, 8))
    >>> AskedTraining(recipe="digits", changes={"epochs": 10}).fit(facts, usual_size=(32, 32))[0].warmup_epochs
    2
    """

    recipe: str = AUTO
    """One of :data:`~asvit.training.recipe.RECIPES`, or auto."""
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Values by the names of the recipe's fields."""
    stage_epochs: tuple[int, ...] = ()
    """Epochs of each stage, coarsest first; none: the recipe's schedule."""

    def __post_init__(self) -> None:
        if self.recipe not in (AUTO, *RECIPES):
            names = (AUTO, *RECIPES)
            hint = did_you_mean(self.recipe, names)
            raise UserError(f"there is no recipe {self.recipe!r}: {hint}expected one of {', '.join(names)}")
        if self.stage_epochs and {"epochs", "schedule"} & self.changes.keys():
            raise UserError("--stage-epochs says epochs and schedule: leave --epochs and --schedule out")

    def fit(
        self, facts: DataFacts, *, designed: Task | None = None, usual_size: tuple[int, int]
    ) -> tuple[TrainRecipe, Schedule]:
        """Recipe and schedule for some images.

        Args:
            facts: what is known of the images.
            designed: what the network was designed for; None: for nothing in particular.
            usual_size: image size of a network that was designed for nothing in particular, for recipe auto.
        """
        size = self.changes.get("image_size") or (None if designed is None else designed.image_size)
        recipe = recipe_for(facts, size or usual_size) if self.recipe == AUTO else RECIPES[self.recipe]
        recipe, schedule = self.over(replace(recipe, image_size=size or recipe.image_size))
        # Images that have the network's size already would lose their rim, and be resized for nothing.
        if facts.size == recipe.image_size and "test_crop" not in self.changes:
            recipe = replace(recipe, test_crop=1.0)
        return recipe, schedule

    def over(self, recipe: TrainRecipe) -> tuple[TrainRecipe, Schedule]:
        """A recipe with what was said in its place, and the schedule of its epochs."""
        if self.stage_epochs:
            own = {"epochs": sum(self.stage_epochs), "schedule": OWN}
            return changed(recipe, {**self.changes, **own}), schedule_of(self.stage_epochs)
        recipe = changed(recipe, self.changes)
        return recipe, named_schedule(recipe.schedule, recipe.epochs)


def recipe_for(facts: DataFacts, image_size: tuple[int, int]) -> TrainRecipe:
    """Recipe ``auto``: how a classifier is trained on images of which nothing else is known.

    The more images, the larger the batches and the fewer the epochs; small images are cropped less, and grey pictures
    are not mirrored, for they may be of letters. All tokens from the start: coarse ones cost accuracy in so few epochs.

    >>> recipe = recipe_for(DataFacts(images=744, channels=5, arrays=True, size=(96, 96)), (96, 96))
    >>> recipe.epochs, recipe.batch_size, round(recipe.lr, 5), recipe.ema
    (100, 32, 0.00071, 0.9913)
    """
    least, most = BATCH_SIZES
    batch_size = min(most, max(least, 2 ** int(math.log2(max(1, facts.images // BATCHES)))))
    shortest, longest = EPOCHS
    epochs = min(longest, max(shortest, round(IMAGES_SEEN / facts.images)))
    steps = epochs * max(1, facts.images // batch_size)
    small = min(image_size) < SMALL
    return TrainRecipe(
        image_size=image_size,
        epochs=epochs,
        batch_size=batch_size,
        lr=1e-3 * min(1.0, math.sqrt(batch_size / FULL_RATE)),
        warmup_epochs=5,
        weight_decay=0.05,
        schedule="none",
        clip=5.0,
        drop_path=0.1,
        ema=round(1 - 1 / max(10.0, AVERAGED * steps), 4),
        mixup=0.2,
        cutmix=1.0,
        randaugment="rand-m5-mstd0.5-inc1" if small else "rand-m7-mstd0.5-inc1",
        random_erasing=0.0 if small else 0.1,
        smallest_crop=0.5 if small else 0.25,
        flip=0.0 if facts.channels == 1 and not facts.arrays else 0.5,
        test_crop=1.0 if small else 0.875,
    )
