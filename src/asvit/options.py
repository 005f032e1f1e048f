"""Options of the commands: what they are called, what they mean, and what they say together with a recipe.

Imports no torch, so that help and usage errors answer at once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from asvit.budget import Budget, Kind
from asvit.design.recipes import Recipe
from asvit.errors import UserError
from asvit.measure.settings import Carefulness, Output, Precision, Settings, Use
from asvit.networks.architecture import Initialisation, Task

RecipeName = Literal["paper", "quick", "smoke"]

_TASK = Group("Images and classes", sort_key=2)
_BUDGET = Group("Budgets", sort_key=3)
_MEASURE = Group("Measuring", sort_key=4)
_SCORE = Group("Score", sort_key=5)
_SEARCH = Group("Search", sort_key=6)
_GROWTH = Group("Growth", sort_key=7)
_USE = Group("Network in use", sort_key=8)
_AGAINST = Group("Side by side", sort_key=9)
_JOB = Group("Job", sort_key=10)


def parse_image_size(text: str) -> tuple[int, int]:
    """Height and width in pixels from ``224`` or ``96x128``.

    >>> parse_image_size("224"), parse_image_size("96x128")
    ((224, 224), (96, 128))
    """
    match = re.fullmatch(r"\s*(\d{1,5})(?:\s*[x×]\s*(\d{1,5}))?\s*", text)
    if match is None:
        raise UserError(f"cannot read the image size {text!r}: expected pixels such as 224, or height x width: 96x128")
    return int(match[1]), int(match[2] or match[1])


def joined_image_size(words: Sequence[str]) -> list[str]:
    """Words of a command line with ``--image-size 96 128`` as one size; a single number and other words stay.

    >>> joined_image_size(["describe", "--image-size", "96", "128", "small"])
    ['describe', '--image-size', '96x128', 'small']
    """
    joined = list(words)
    for i, word in enumerate(words[:-2]):
        height, width = words[i + 1 : i + 3]
        if word == "--image-size" and height.isdecimal() and width.isdecimal():
            joined[i + 1 : i + 3] = [f"{height}x{width}"]
            break
    return joined


@Parameter(name="*", group=_TASK)
@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What the networks are for."""

    image_size: str | None = None
    """Side of the images in pixels, or height and width: 96 128 or 96x128 (default: that of the file which names the
    network; else 224, 32 in recipe smoke)."""
    in_chans: int | None = None
    """Channels of the images (default: the file's, or 3)."""
    num_classes: int | None = None
    """Classes to tell apart (default: the file's, or 1000)."""

    def task(self, default: Task = Task()) -> Task:
        """What is given, and the default for the rest."""
        given = {name: value for name in ("in_chans", "num_classes") if (value := getattr(self, name)) is not None}
        if self.image_size is not None:
            given["image_size"] = parse_image_size(self.image_size)
        return replace(default, **given)


@Parameter(name="*", group=_MEASURE)
@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """How networks are measured; what is not given is the recipe's."""

    repeats: int | None = None
    """Draws of weights, circle and images that a measurement averages."""
    angles: int | None = None
    """Points of the circle."""
    kernel_images: int | None = None
    """Images that the kernel sees in one repeat."""
    norm: Literal["identity", "layer"] = "identity"
    """The network's norms while the curve is measured: taken out (as in the release), or kept."""
    radius: Literal["sqrt-n", "one"] = "sqrt-n"
    """Radius of the circle: √N (paper), or 1 (release)."""
    kernel_parameters: Literal["weights", "all"] = "weights"
    """Parameters of the kernel: those named weight (release), or all."""
    initialisation: Initialisation = "normal"
    """Linear weights of our networks: normal with σ = 0.02 (release), or with σ = 1/√fan_in."""
    output: Output = "features"
    """The function of the curve and the kernel: pooled features before the final norm (release), or class logits."""
    work_memory: str | None = None
    """Memory for activations at a time, such as 2GB (default: 2GB on a CPU, half of a GPU's)."""
    images: Path | None = None
    """Folder of images for the kernel (default: photographs that come with scikit-image)."""

    def settings(self, recipe: Carefulness) -> Settings:
        """Settings of the measure."""
        return Settings(
            repeats=recipe.repeats if self.repeats is None else self.repeats,
            angles=recipe.angles if self.angles is None else self.angles,
            kernel_images=recipe.kernel_images if self.kernel_images is None else self.kernel_images,
            norm=self.norm,
            radius=self.radius,
            kernel_parameters=self.kernel_parameters,
            initialisation=self.initialisation,
            output=self.output,
        )


@Parameter(name="*", group=_USE)
@dataclass(frozen=True, kw_only=True)
class UseOptions:
    """How networks are used while latency, throughput and memory are measured."""

    batch_size: int | None = None
    """Images at a time where latency, throughput and memory are measured (default: 1)."""
    precision: Precision | None = None
    """Of a forward pass where they are measured: float32 (default), or bfloat16 under autocast."""

    def use(self, default: Use = Use()) -> Use:
        """What is given, and the default for the rest."""
        given = {name: value for name in ("batch_size", "precision") if (value := getattr(self, name)) is not None}
        return replace(default, **given)


@Parameter(name="*", group=_AGAINST)
@dataclass(frozen=True, kw_only=True)
class SideBySideOptions:
    """What a designed family is put beside."""

    against: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = ()
    """Networks to measure beside the family, as asvit measure takes them: timm:swin_tiny_patch4_window7_224 small
    my.module:net. Without it nothing is measured, and pages are drawn from what was."""
    metrics: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """Columns of the table, any measures of asvit measure with commas (default: params, macs, latency, throughput,
    memory, length, ntk)."""
    images: Path | None = None
    """Folder of images for the kernel, where the run had one: the same."""


@Parameter(name="*", group=_SCORE)
@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """What networks are chosen by."""

    score: str = "length,ntk"
    """Any measure of asvit measure, or several with commas: their rank sum; weights such as length:2,ntk."""


@Parameter(name="*", group=_SEARCH)
@dataclass(frozen=True, kw_only=True)
class SpaceOptions:
    """What topologies are chosen from (Table 1)."""

    base_stride: Literal[4, 2, 1] = 4
    """Pixels between tokens of the first stage: 4 (the paper), or 2 or 1 for small images, with kernels and attention
    splits to match."""


@Parameter(name="*", group=_SEARCH)
@dataclass(frozen=True, kw_only=True)
class SearchOptions(SpaceOptions):
    """How the policy is trained (Algorithm 1)."""

    steps: int | None = None
    """Topologies sampled (default: the recipe's)."""
    range_window: int | None = None
    """Steps over which a measure's range is taken (default: all so far, the paper; 20: the release)."""


@Parameter(name="*", group=_GROWTH)
@dataclass(frozen=True, kw_only=True)
class GrowthOptions:
    """How networks grow (Algorithm 2)."""

    width_divisor: int = 4
    """Networks are measured at their width over this while they grow (release: 4); 1 for full width."""


@Parameter(name="*", group=_BUDGET)
@dataclass(frozen=True, kw_only=True)
class BudgetOptions(UseOptions):
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
        if (self.batch_size, self.precision) != (None, None) and not (self.latency or self.memory):
            raise UserError(
                "--batch-size and --precision say how latency and memory are measured: give --latency or --memory"
            )

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
        return _together(asked) if self.together else tuple(chain.from_iterable(asked))


def _together(kinds: Sequence[Sequence[Budget]]) -> tuple[Budget, ...]:
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


@Parameter(name="*", group=_JOB)
@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Where a job runs and how it answers."""

    device: str = "auto"
    """auto (the first CUDA GPU, else the CPU), cpu, cuda, cuda:i or mps (Apple's GPU, which auto never takes)."""
    threads: int | None = None
    """Threads on the CPU (default: torch's, or those of the run that is continued)."""
    json: Annotated[bool, Parameter(negative=())] = False
    """Print the result record as JSON on stdout and nothing else."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise UserError(f"threads is {self.threads}: expected at least 1")


@Parameter(name="*", group=_JOB)
@dataclass(frozen=True, kw_only=True)
class RunOptions(DeviceOptions):
    """Where a job runs and what it writes."""

    out: Path | None = None
    """Run directory (default: runs/, named after the configuration)."""
    seed: int = 0
    """Of everything random."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}: expected at least 0")
