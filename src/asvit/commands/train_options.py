"""Options of training: what they are called, what they mean, and where they stand in the help. Imports no torch."""

from typing import Annotated, Literal

from cyclopts import Group, Parameter

from asvit.commands.groups import OWN, REQUIRED, Options
from asvit.commands.options import RECIPES_OWN, VALUE_RANGE
from asvit.training.fitting import AUTO, AskedTraining
from asvit.training.recipe import RECIPES, TrainRecipe
from asvit.training.settings import ImageData, Running
from asvit.units import parse_image_size, parse_range

TrainRecipeName = Literal["auto", "imagenet", "imagenette", "cifar10", "digits", "smoke"]

Averaged = Annotated[
    bool,
    Parameter(
        negative="--raw",
        help="Use the moving average of the weights, where there is one; --raw: the weights themselves.",
    ),
]

DATA = Group("Images", sort_key=2)
TRAIN = Group("Training", sort_key=3)
RUNNING = Group("Running", sort_key=5)


class DataOptions(
    Options[ImageData],
    of=ImageData,
    take={"data": REQUIRED, "data_folder": OWN, "in_chans": OWN, "value_range": OWN},
    read={"value_range": parse_range},
    explain={"value_range": VALUE_RANGE},
    group=DATA,
):
    """Where images are, and how they are read."""


OF_ANY_TRAINING: dict[str, str] = dict.fromkeys(
    ("epochs", "batch_size", "lr", "warmup_epochs", "weight_decay", "drop_path"), RECIPES_OWN
)
"""Fields of :class:`~asvit.training.recipe.LoopRecipe` that are options."""


class TrainOptions(
    Options[TrainRecipe],
    of=TrainRecipe,
    take={
        **OF_ANY_TRAINING,
        "image_size": "",
        "mixup": RECIPES_OWN,
        "cutmix": RECIPES_OWN,
        "flip": RECIPES_OWN,
        "initialisation": RECIPES_OWN,
    },
    read={"image_size": parse_image_size},
    explain={
        "image_size": "Side of the images in pixels, or height x width such as 96x128 (default: that of the network's "
        "file; else the recipe's, in auto that of the images up to 224)."
    },
    group=TRAIN,
):
    """How to train a classifier."""

    schedule: Literal["none", "40-70", "80-140", "120-210"] | None = None
    """The paper's schedules of re-tokenization, named by the last of 300 epochs with 16 and 4 times fewer tokens
    (default: the recipe's)."""
    stage_epochs: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative=())] = ()
    """A schedule of one's own: epochs of each stage, coarsest first, each with twice the stride of the next."""

    def asked(self, recipe: str = AUTO) -> AskedTraining:
        """A recipe, and what was said in the place of its values."""
        changes = self.given | ({} if self.schedule is None else {"schedule": self.schedule})
        asked = AskedTraining(recipe=recipe, changes=changes, stage_epochs=self.stage_epochs)
        _ = asked.over(RECIPES.get(recipe, RECIPES["imagenet"]))  # refuses before images are opened
        return asked


LOADING = {"workers": "0 for digits, else the cores less one, at most 8"}
PRECISION = {"precision": "bfloat16 on a GPU, float32 on a CPU"}


class PrecisionOptions(Options[Running], of=Running, take=PRECISION, group=RUNNING):
    """How networks are computed."""


class LoadingOptions(Options[Running], of=Running, take=PRECISION | LOADING, group=RUNNING):
    """How images are loaded and networks computed."""


class ClassifierLoadingOptions(LoadingOptions, of=Running, take={"channels_last": OWN}, group=RUNNING):
    """How images are loaded and lie in memory, and how networks are computed."""


class RunningOptions(
    LoadingOptions,
    of=Running,
    take=dict.fromkeys(
        ("accumulate", "checkpointing", "checkpoint_minutes", "keep", "max_unreadable", "tensorboard"), OWN
    ),
    group=RUNNING,
):
    """What changes how long training takes, and of what is trained at most the rounding."""


class ClassifierRunningOptions(
    RunningOptions, of=Running, take=dict.fromkeys(("compile", "channels_last"), OWN), group=RUNNING
):
    """What changes how long the training of a classifier takes, and of the classifier at most the rounding."""
