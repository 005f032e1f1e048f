"""Options that several commands have: what they are called, what they mean, and where they stand in the help.

Imports no torch, so that help and usage errors answer at once.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from asvit.commands.groups import OWN, Options
from asvit.commands.said import repeat_command
from asvit.design.budget import KINDS, Budget
from asvit.design.grow import GrowthSettings
from asvit.design.ranking import Objective, parse_score
from asvit.design.recipes import Recipe
from asvit.design.search import SearchSettings
from asvit.errors import UserError
from asvit.measure.metrics import METRICS, parse_metrics
from asvit.measure.settings import Carefulness, Measuring, Settings, Use
from asvit.networks.architecture import Task
from asvit.networks.space import PAPER, Space, SpaceName, space_for
from asvit.runs.job import Computer, Job
from asvit.units import Kind, ValueRange, parse_image_size, parse_memory, parse_range

RecipeName = Literal["paper", "quick", "smoke"]
RECIPES_OWN = "the recipe's"
SIDES = "Side of the images in pixels, or height and width: 96 128 or 96x128"
VALUE_RANGE = (
    "Values of arrays that become 0 and 1: the largest, such as 4095, or both: =-1:1 (default: 0 and the largest of "
    "the type of whole numbers, or 1)."
)

BUDGET = Group("Budgets", sort_key=1)
TASK = Group("Images and classes", sort_key=2)
RECIPE = Group("Recipe", sort_key=3)
MEASURE = Group("Measuring", sort_key=4)
SCORE = Group("Score", sort_key=5)
SEARCH = Group("Search", sort_key=6)
GROWTH = Group("Growth", sort_key=7)
USE = Group("Network in use", sort_key=8)
AGAINST = Group("Side by side", sort_key=9)
JOB = Group("Job", sort_key=10)


def split_names(groups: Sequence[str]) -> tuple[str, ...]:
    """Names out of options with several each.

    >>> split_names(["length,ntk", "params"])
    ('length', 'ntk', 'params')
    """
    return tuple(name.strip() for group in groups for name in group.split(","))


class TaskOptions(
    Options[Task],
    of=Task,
    take={"image_size": "", "in_chans": "the file's, or 3", "num_classes": "the file's, or 1000"},
    read={"image_size": parse_image_size},
    explain={"image_size": f"{SIDES} (default: that of the file which names the network, or 224)."},
    group=TASK,
):
    """What a network is for."""


class DesignTaskOptions(
    TaskOptions,
    of=Task,
    take={
        "image_size": "",
        "in_chans": "the file's, those of --images, or 3",
        "num_classes": "the file's, those of --images, or 1000",
    },
    read={"image_size": parse_image_size},
    explain={
        "image_size": f"{SIDES} (default: that of the file which names the network; else 224, 32 in recipe smoke)."
    },
    group=TASK,
):
    """What networks are designed or measured for, where images may say it."""


WITHOUT_NORMS = ("length", "curvature", "length_of_curvature")
OF_CURVE = (*WITHOUT_NORMS, "length_with_norms")
OF_IMAGES = ("ntk", "gradient_norm", "snip", "naswot", "zico", "attention_entropy", "token_entropy", "layer_entropy")
CHANGED: Mapping[str, tuple[str, ...]] = {
    "angles": OF_CURVE,
    "norm": WITHOUT_NORMS,
    "radius": OF_CURVE,
    "output": (*OF_CURVE, "ntk"),
    "kernel_images": OF_IMAGES,
    "kernel_parameters": ("ntk",),
}
"""Metrics that an option of measuring changes, where it does not change all."""
BUILT_IN = frozenset(METRICS)
"""Metrics of which that is known; users may register others."""


class MeasureOptions(
    Options[Settings],
    of=Settings,
    take={
        "repeats": RECIPES_OWN,
        "angles": RECIPES_OWN,
        "kernel_images": RECIPES_OWN,
        "norm": OWN,
        "radius": OWN,
        "kernel_parameters": OWN,
        "initialisation": OWN,
        "output": OWN,
    },
    group=MEASURE,
):
    """How networks are measured."""

    work_memory: str | None = None
    """Memory for activations at a time, such as 2GB; on a CPU every thread takes up to 0.8GB (default: that for each
    thread, half of a GPU's)."""
    images: Path | None = None
    """Folder of images for the kernel, which also says how many channels and, as a training set with a folder train,
    how many classes there are (default: photographs that come with scikit-image)."""

    def refuse_unused(self, metrics: Sequence[str]) -> None:
        """Refuse options that change nothing of what is measured.

        >>> MeasureOptions(kernel_parameters="all").refuse_unused(["params"])
        Traceback (most recent call last):
        asvit.errors.UserError: --kernel-parameters changes nothing of params: leave it out, or measure one of ntk
        """
        for name in self.given:
            changed = CHANGED.get(name, METRICS)
            if not any(metric in changed or metric not in BUILT_IN for metric in metrics):
                raise UserError(
                    f"--{name.replace('_', '-')} changes nothing of {', '.join(metrics)}: leave it out, or measure "
                    f"one of {', '.join(changed)}"
                )

    def measuring(self, recipe: Carefulness, value_range: ValueRange | None = None) -> Measuring:
        """How a job measures: as the recipe says, but for what was asked."""
        return Measuring(
            settings=self.over(recipe.settings()),
            images=self.images,
            value_range=value_range,
            work_memory=None if self.work_memory is None else parse_memory(self.work_memory),
        )


class MeasureOwnOptions(MeasureOptions, group=MEASURE):
    """How networks are measured, with images that no other option is about."""

    value_range: Annotated[str | None, Parameter(help=VALUE_RANGE)] = None

    def own(self, recipe: Carefulness, metrics: Sequence[str]) -> Measuring:
        """How a job measures some metrics: as the recipe says, but for what was asked."""
        self.refuse_unused(metrics)
        if self.value_range is not None and self.images is None:
            raise UserError("--value-range says how arrays among --images are read: give --images, or leave it out")
        return self.measuring(recipe, None if self.value_range is None else parse_range(self.value_range))


class UseOptions(Options[Use], of=Use, take={"batch_size": OWN, "precision": OWN}, group=USE):
    """How networks are used while latency, throughput and memory are measured."""

    def use_for(self, metrics: Sequence[str], default: Use = Use()) -> Use:
        """How networks are used; refused where no metric of the network in use is asked for.

        >>> UseOptions(batch_size=8).use_for(["latency"])
        Use(batch_size=8, precision='float32')
        >>> UseOptions(batch_size=4).use_for(["latency"], default=Use(batch_size=8, precision="bfloat16"))
        Use(batch_size=4, precision='bfloat16')
        """
        if self.given and not any(metric.in_use for metric in parse_metrics(metrics)):
            raise UserError(
                f"--{min(self.given).replace('_', '-')} says how latency, throughput and memory are measured, and no "
                "one asked for them: add one of them to --metrics"
            )
        return self.over(default)


class SideBySideOptions(Options, group=AGAINST):
    """What a designed family is put beside."""

    against: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = ()
    """Networks to measure beside the family, as asvit measure takes them: timm:swin_tiny_patch4_window7_224 small
    my.module:net. Without it nothing is measured, and pages are drawn from what was."""
    metrics: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """Columns of the table, any measures of asvit measure with commas (default: params, macs, latency, throughput,
    memory, length, ntk)."""
    images: Path | None = None
    """Folder of images for the kernel, where the run had one: the same."""


class ScoreOptions(Options, group=SCORE):
    """What networks are chosen by."""

    score: str = "length,ntk"
    """Any measure of asvit measure, or several with commas: their rank sum; weights such as length:2,ntk."""

    def __post_init__(self) -> None:
        _ = self.objectives  # refuses, before a command has begun with anything

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The measures and their weights."""
        return parse_score(self.score)

    @property
    def metrics(self) -> list[str]:
        """What has to be measured."""
        return [objective.name for objective in self.objectives]


class SpaceOptions(Options[SearchSettings], group=SEARCH):
    """What topologies are chosen from."""

    base_stride: Literal[4, 2, 1] = 4
    """Pixels between tokens of the first stage: 4 (the paper), or 2 or 1 for small images, with kernels and attention
    splits to match."""

    space: SpaceName = PAPER
    """paper: Table 1. wide: kernels of the re-embeddings up to 6 and FFN expansions up to 8 as well."""

    def space_for(self, task: Task) -> Space:
        """The space for images of a size."""
        return space_for(task.image_size, self.base_stride, self.space)


class SearchOptions(
    SpaceOptions,
    of=SearchSettings,
    take={"steps": RECIPES_OWN, "range_window": OWN},
    explain={
        "range_window": "Steps over which a measure's range is taken (default: all so far, the paper; 20: the release)."
    },
    group=SEARCH,
):
    """How the policy is trained (Algorithm 1)."""


class GrowthOptions(Options[GrowthSettings], of=GrowthSettings, take={"width_divisor": OWN}, group=GROWTH):
    """How networks grow (Algorithm 2)."""


class BudgetOptions(UseOptions, group=BUDGET):
    """The sizes of the family; each option may be given several times."""

    params: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """Parameters of a member, such as 3M (default: 30M, 55M and 90M, the paper's small, base and large)."""
    macs: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """Multiply-adds of a member for one image, such as 5G."""
    latency: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """Time of a forward pass on this device, with --threads threads, such as 8ms: the median over passes."""
    memory: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """Memory of a forward pass on this device, such as 200MB: weights, images and activations that live at a time."""
    together: Annotated[bool, Parameter(negative=())] = False
    """One member meets the first budget of every kind at the same time, another the second ones, and so on; a kind that
    is given once holds for all: --params 3M --params 6M --latency 8ms --together (default: a member for each)."""
    fit: Annotated[bool, Parameter(negative="--no-fit")] = True
    """Raise a member's width to the largest multiple of 4 within its budget."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.given and not (self.latency or self.memory):
            raise UserError(
                "--batch-size and --precision say how latency and memory are measured: give --latency or --memory"
            )

    @property
    def use(self) -> Use:
        """How networks are used while latency and memory are measured."""
        return self.over(Use())

    def budgets(self, recipe: Recipe) -> tuple[Budget, ...]:
        """The budgets asked for, or the recipe's."""
        texts: dict[Kind, tuple[str, ...]] = {
            "params": self.params,
            "macs": self.macs,
            "latency": self.latency,
            "memory": self.memory,
        }
        asked = [[Budget.parse(kind, text) for text in given] for kind, given in texts.items() if given]
        if not asked:
            asked = [list(recipe.budgets)]
        return budgets_together(asked) if self.together else tuple(chain.from_iterable(asked))


class FilledOptions(Options, group=BUDGET):
    """What every sampled network fills to 97 % or more; given together, they hold together."""

    params: str | None = None
    """Parameters, such as 2M: random topologies with random blocks, as wide as the budget admits."""
    macs: str | None = None
    """Multiply-adds for one image, such as 100M."""
    latency: str | None = None
    """Time of a forward pass of one image on this device, such as 8ms: the median over passes."""
    memory: str | None = None
    """Memory of a forward pass of one image on this device, such as 50MB."""

    @property
    def budget(self) -> Budget | None:
        """What every network fills."""
        bounds = [Budget.parse(kind, text) for kind in KINDS if (text := getattr(self, kind)) is not None]
        return Budget.together(bounds) if bounds else None


def budgets_together(kinds: Sequence[Sequence[Budget]]) -> tuple[Budget, ...]:
    """The first budgets of all kinds as one, the second ones as another; a kind with a single one has it in all."""
    members = max(map(len, kinds))
    if len(kinds) < 2 or any(len(budgets) not in (1, members) for budgets in kinds):
        counted = ", ".join(f"{len(budgets)} of {budgets[0].kind}" for budgets in kinds)
        raise UserError(
            f"--together joins budgets of several kinds, but there are {counted}: expected two kinds or more, each as "
            "often as the others or once, such as --params 3M --latency 8ms --together"
        )
    rows = (budgets if len(budgets) == members else [*budgets] * members for budgets in kinds)
    return tuple(Budget.together(row) for row in zip(*rows, strict=True))


class ComputerOptions(
    Options[Computer],
    of=Computer,
    take={"device": OWN, "threads": "torch's, or those of the run that is continued"},
    group=JOB,
):
    """Where a command computes, and how it answers."""

    json: Annotated[bool, Parameter(negative=())] = False
    """Print the result record as JSON on stdout and nothing else."""

    @property
    def job(self) -> Job:
        """Where the job runs, and the command that repeats it."""
        return Job(**self.given, command=repeat_command())


class RunOptions(
    ComputerOptions,
    of=Job,
    take={"out": "runs/, named after the configuration", "seed": OWN},
    group=JOB,
):
    """Where a job computes and writes."""
