"""Options of training: what they are called, what they mean, and where they stand in the help. Imports no torch."""

from dataclasses import replace
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from asvit.commands.groups import OWN, Options
from asvit.commands.options import RECIPES_OWN
from asvit.errors import UserError
from asvit.training.recipe import TrainRecipe
from asvit.training.schedule import Schedule, named_schedule, schedule_of
from asvit.training.settings import ImageData, Running
from asvit.units import parse_image_size

TrainRecipeName = Literal["imagenet", "imagenette", "cifar10", "digits", "smoke"]

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

Data = Annotated[ImageData, Parameter(name="*", group=DATA)]
"""Where images are: the options are the fields of the settings."""

OF_ANY_TRAINING: dict[str, str] = dict.fromkeys(
    ("epochs", "batch_size", "lr", "warmup_epochs", "weight_decay", "drop_path"), RECIPES_OWN
)
"""Fields of :class:`~asvit.training.recipe.LoopRecipe` that are options."""


class TrainOptions(
    Options[TrainRecipe],
    of=TrainRecipe,
    take={**OF_ANY_TRAINING, "image_size": "", "mixup": RECIPES_OWN, "cutmix": RECIPES_OWN},
    read={"image_size": parse_image_size},
    explain={"image_size": "Side of the images in pixels, or height x width such as 96x128 (default: the recipe's)."},
    group=TRAIN,
):
    """How to train a classifier."""

    schedule: Literal["none", "40-70", "80-140", "120-210"] | None = None
    """The paper's schedules of re-tokenization, named by the last of 300 epochs with 16 and 4 times fewer tokens
    (default: the recipe's)."""
    stage_epochs: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative=())] = ()
    """A schedule of one's own: epochs of each stage, coarsest first, each with twice the stride of the next."""

    def recipe(self, recipe: TrainRecipe) -> tuple[TrainRecipe, Schedule]:
        """A recipe with what was asked in its place, and the schedule of its epochs."""
        asked = self.given
        if self.stage_epochs:
            if "epochs" in asked or self.schedule is not None:
                raise UserError("--stage-epochs says epochs and schedule: leave --epochs and --schedule out")
            own = replace(recipe, **asked, epochs=sum(self.stage_epochs), schedule="own")
            return own, schedule_of(self.stage_epochs)
        chosen = replace(recipe, **asked, schedule=self.schedule or recipe.schedule)
        return chosen, named_schedule(chosen.schedule, chosen.epochs)


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
