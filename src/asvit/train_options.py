"""Options of training and evaluation: what they are called, what they mean, and what they say together with a recipe.

Imports no torch, so that help and usage errors answer at once.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from asvit.errors import UserError
from asvit.measure.settings import Precision
from asvit.options import parse_image_size
from asvit.training.recipe import TrainRecipe

TrainRecipeName = Literal["imagenet", "imagenette", "cifar10", "digits", "smoke"]

Averaged = Annotated[
    bool,
    Parameter(
        negative="--raw",
        help="Use the moving average of the weights, where there is one; --raw: the weights themselves.",
    ),
]

_DATA = Group("Images", sort_key=2)
_TRAIN = Group("Training", sort_key=3)
_RUNNING = Group("Running", sort_key=5)


@Parameter(name="*", group=_DATA)
@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where the images are."""

    data: str
    """Folder or tar file with a part for train and one for val, each with a folder a class (JPEG, PNG, .npy, TIFF);
    wds:FOLDER (WebDataset shards), hf:NAME (Hugging Face), torch:NAME (torchvision), or digits (scikit-learn's)."""
    data_folder: Path | None = None
    """Where Hugging Face or torchvision keep their files."""
    in_chans: Literal[1, 3] | None = None
    """Read images in grey (1) or colour (3; default). Arrays have the channels they have."""


@Parameter(name="*", group=_TRAIN)
@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How to train anything; what is not given is the recipe's."""

    epochs: int | None = None
    """Passes over the training images."""
    batch_size: int | None = None
    """Images of one optimiser step, over all processes."""
    lr: float | None = None
    """Learning rate after the warm-up."""
    warmup_epochs: int | None = None
    """Epochs over which the learning rate rises."""
    weight_decay: float | None = None
    """Of matrices and convolutions."""
    drop_path: float | None = None
    """Stochastic depth of the last block."""


@Parameter(name="*", group=_TRAIN)
@dataclass(frozen=True, kw_only=True)
class TrainOptions(LoopOptions):
    """How to train a classifier; what is not given is the recipe's."""

    image_size: str | None = None
    """Side of the images in pixels, or height x width such as 96x128."""
    mixup: float | None = None
    """Parameter of Mixup; 0: off."""
    cutmix: float | None = None
    """Parameter of CutMix; 0: off."""
    schedule: Literal["none", "40-70", "80-140", "120-210"] | None = None
    """The paper's schedules of re-tokenization, named by the last of 300 epochs with 16 and 4 times fewer tokens."""
    stage_epochs: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative=())] = ()
    """A schedule of one's own: epochs of each stage, coarsest first, each with twice the stride of the next."""

    def recipe(self, recipe: TrainRecipe) -> TrainRecipe:
        """A recipe with what was asked in its place."""
        if self.stage_epochs and (self.epochs is not None or self.schedule is not None):
            raise UserError("--stage-epochs says epochs and schedule: leave --epochs and --schedule out")
        given: dict[str, Any] = {
            name: value
            for name, value in vars(self).items()
            if value is not None and name not in ("image_size", "stage_epochs")
        }
        if self.image_size is not None:
            given["image_size"] = parse_image_size(self.image_size)
        if self.stage_epochs:
            given |= {"epochs": sum(self.stage_epochs), "schedule": "own"}
        return replace(recipe, **given)


@Parameter(name="*", group=_RUNNING)
@dataclass(frozen=True, kw_only=True)
class PrecisionOptions:
    """How networks are computed."""

    precision: Precision | None = None
    """Of matrix products (default: bfloat16 on a GPU, float32 on a CPU)."""

    def on(self, device_type: str) -> Precision:
        """On a kind of device."""
        return self.precision or ("bfloat16" if device_type == "cuda" else "float32")


@Parameter(name="*", group=_RUNNING)
@dataclass(frozen=True, kw_only=True)
class LoadingOptions(PrecisionOptions):
    """The same, and how images are loaded."""

    workers: int | None = None
    """Processes that load images (default: 0 for digits, else the cores less one, at most 8)."""


@Parameter(name="*", group=_RUNNING)
@dataclass(frozen=True, kw_only=True)
class ClassifierLoadingOptions(LoadingOptions):
    """The same, and how images lie in memory."""

    channels_last: Annotated[bool, Parameter(negative=())] = False
    """Keep images pixel by pixel in memory."""


@Parameter(name="*", group=_RUNNING)
@dataclass(frozen=True, kw_only=True)
class RunningOptions:
    """What changes how long training takes, and of what is trained at most the rounding."""

    accumulate: int = 1
    """Passes over parts of a batch for one optimiser step, to fit memory."""
    checkpointing: Annotated[bool, Parameter(negative=())] = False
    """Compute activations again in the backward pass rather than keep them."""
    checkpoint_minutes: float = 10.0
    """Time between checkpoints within an epoch."""
    keep: int = 2
    """Checkpoints that stay beside the best."""
    max_unreadable: int = 10
    """Training images that may be replaced because they cannot be read."""
    tensorboard: Annotated[bool, Parameter(negative=())] = False
    """Write TensorBoard files as well."""


@Parameter(name="*", group=_RUNNING)
@dataclass(frozen=True, kw_only=True)
class ClassifierRunningOptions(RunningOptions):
    """The same, and compilation."""

    compile: Annotated[bool, Parameter(negative=())] = False
    """Use torch.compile."""
