"""Recipes of training: the paper's values (Appendix A), and shorter ones for data at hand."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from asvit.errors import UserError, check_number, check_whole
from asvit.networks.architecture import Initialisation
from asvit.units import count

MOST_EPOCHS = 100_000
"""Epochs of a training."""
MOST_IMAGES = 2**16
"""Images of a batch."""


def check_batch_size(images: int) -> None:
    """Refuse what is no number of images at a time."""
    check_whole("batch_size", images, 1, MOST_IMAGES)


@dataclass(frozen=True, kw_only=True)
class LoopRecipe:
    """How anything is trained. The optimiser is AdamW, its learning rate follows a cosine after a warm-up."""

    epochs: int
    """Passes over the training images."""
    batch_size: int
    """Images of one optimiser step, over all processes and accumulated passes."""
    lr: float
    """Learning rate after the warm-up."""
    warmup_epochs: int
    """Epochs over which the learning rate rises linearly from zero."""
    weight_decay: float
    """Weight decay of matrices and convolutions; biases, norms and position embedding are not decayed."""
    clip: float | None = None
    """Largest norm of the gradient; None: not clipped."""
    drop_path: float = 0.0
    """Rate of stochastic depth in the last block."""
    ema: float | None = None
    """Decay of the moving average of the weights, which is then what counts; None: no average."""

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs, 1, MOST_EPOCHS)
        check_batch_size(self.batch_size)
        check_number("lr", self.lr, 0, 100, above=True)
        check_number("weight_decay", self.weight_decay, 0, 100)
        check_number("drop_path", self.drop_path, 0, 1, below=True)
        check_whole("warmup_epochs", self.warmup_epochs, 0, MOST_EPOCHS)
        if self.warmup_epochs >= self.epochs:
            raise UserError(
                f"{self.warmup_epochs} of {count(self.epochs, 'epoch')} are warm-up: expected fewer than all; choose "
                "more --epochs or fewer --warmup-epochs"
            )


@dataclass(frozen=True, kw_only=True)
class TrainRecipe(LoopRecipe):
    """How a classifier is trained."""

    image_size: tuple[int, int]
    """Height and width in pixels."""
    schedule: str
    """Schedule of re-tokenization: one of the paper's, or own."""
    label_smoothing: float = 0.1
    """Share of a label spread over all classes."""
    mixup: float = 0.0
    """Parameter of Mixup's Beta distribution; 0: off."""
    cutmix: float = 0.0
    """Parameter of CutMix's Beta distribution; 0: off."""
    randaugment: str | None = None
    """timm's policy, such as rand-m9-mstd0.5-inc1; photographs in colour only."""
    random_erasing: float = 0.0
    """Probability that a part of an image is erased; photographs in colour only."""
    smallest_crop: float = 0.08
    """Least share of an image's area that a random crop keeps."""
    flip: float = 0.5
    """Probability that an image is mirrored."""
    test_crop: float = 0.875
    """Share of a side that evaluation keeps, around the centre."""
    initialisation: Initialisation = "normal"
    """Deviation of a designed network's linear weights before training: normal, 0.02 as in the authors' release, or
    fan-in, 1/√fan_in, from which narrow networks learn sooner; models of timm draw their own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initialisation not in get_args(Initialisation):
            known = ", ".join(get_args(Initialisation))
            raise UserError(f"initialisation is {self.initialisation!r}: expected one of {known}")
        for name in ("mixup", "cutmix"):
            check_number(name, getattr(self, name), 0, 1000)
        check_number("flip", self.flip, 0, 1)

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are mixed."""
        return self.mixup > 0 or self.cutmix > 0


def recorded(recipe: TrainRecipe) -> dict[str, Any]:
    """A recipe in the configuration of a run: its initialisation where it is not that of the authors' release.

    So the accuracies of earlier studies stay comparable.

    >>> "initialisation" in recorded(RECIPES["cifar10"])
    False
    """
    values = asdict(recipe)
    if recipe.initialisation == "normal":
        del values["initialisation"]
    return values


RecipeT = TypeVar("RecipeT", bound=LoopRecipe)
SHORTEST_WARMUP = 4
"""Epochs to one of warm-up at least, where epochs are said and the warm-up is not."""


def changed(recipe: RecipeT, changes: Mapping[str, Any]) -> RecipeT:
    """A recipe with other values in the place of some; in fewer epochs a warm-up that is not among them is shortened.

    >>> [changed(RECIPES["imagenet"], {"epochs": epochs}).warmup_epochs for epochs in (200, 30, 2, 1)]
    [20, 7, 1, 0]
    """
    epochs = changes.get("epochs", recipe.epochs)
    warmup = min(recipe.warmup_epochs, max(1, epochs // SHORTEST_WARMUP), epochs - 1)
    return replace(recipe, **{"warmup_epochs": warmup, **changes})


RECIPES: Mapping[str, TrainRecipe] = MappingProxyType(
    {
        "imagenet": TrainRecipe(
            image_size=(224, 224),
            epochs=300,
            batch_size=1024,
            lr=1e-3,
            warmup_epochs=20,
            weight_decay=0.05,
            schedule="80-140",
            clip=5.0,
            drop_path=0.2,
            ema=0.9999,
            mixup=0.8,
            cutmix=1.0,
            randaugment="rand-m9-mstd0.5-inc1",
            random_erasing=0.25,
        ),
        "imagenette": TrainRecipe(
            image_size=(160, 160),
            epochs=100,
            batch_size=128,
            lr=1e-3,
            warmup_epochs=5,
            weight_decay=0.05,
            schedule="80-140",
            clip=5.0,
            drop_path=0.1,
            ema=0.999,
            mixup=0.2,
            cutmix=1.0,
            randaugment="rand-m7-mstd0.5-inc1",
            random_erasing=0.1,
            smallest_crop=0.25,
        ),
        "cifar10": TrainRecipe(
            image_size=(32, 32),
            epochs=100,
            batch_size=128,
            lr=1e-3,
            warmup_epochs=5,
            weight_decay=0.05,
            schedule="none",
            clip=5.0,
            drop_path=0.1,
            ema=0.999,
            mixup=0.2,
            cutmix=1.0,
            randaugment="rand-m5-mstd0.5-inc1",
            smallest_crop=0.5,
            test_crop=1.0,
        ),
        "digits": TrainRecipe(
            image_size=(32, 32),
            epochs=20,
            batch_size=64,
            lr=1e-3,
            warmup_epochs=2,
            weight_decay=0.05,
            schedule="80-140",
            clip=5.0,
            drop_path=0.1,
            ema=0.99,
            smallest_crop=0.7,
            flip=0.0,
            test_crop=1.0,
        ),
        "smoke": TrainRecipe(
            image_size=(32, 32),
            epochs=3,
            batch_size=16,
            lr=1e-3,
            warmup_epochs=1,
            weight_decay=0.05,
            schedule="120-210",
            drop_path=0.1,
            ema=0.9,
            mixup=0.8,
            cutmix=1.0,
            randaugment="rand-m5-mstd0.5-inc1",
            random_erasing=0.25,
            test_crop=1.0,
        ),
    }
)
"""``imagenet``: the paper's batch, learning rate, decay, epochs, warm-up and augmentations; what it does not state
(strengths of the augmentations, stochastic depth, clipping) as is common for networks of this size. ``imagenette``,
``cifar10``: ours, for small sets of photographs. ``digits``: the quick start. ``smoke``: seconds, for tests."""
