"""A topology with depths and width: the networks of the paper (Table 4) and their sizes in closed form."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from asvit.errors import UserError, check_whole, did_you_mean
from asvit.networks.space import STAGES, Topology, parse_fields, text_form
from asvit.units import ImageSize, count, height_and_width

MAX_STAGE_WIDTH = 1024
"""Channels double from stage to stage up to this cap; only with it has As-ViT-Large the published 88.1M parameters."""

MOST_CHANNELS, MOST_CLASSES = 10_000, 1_000_000
"""Channels of an image and outputs of a classifier."""

SEED_WIDTH = 32
"""Width ``C`` of the topologies that are searched and of the network that growth starts from (Algorithm 2)."""

Initialisation = Literal["normal", "fan-in"]
"""Linear weights: normal with σ = 0.02, or with σ = 1/√fan_in; both cut at ±2."""


@dataclass(frozen=True, init=False)
class Task:
    """The purpose of a network: the images it reads and the classes it tells apart.

    >>> str(Task(image_size=(96, 128), in_chans=5, num_classes=12)), Task(image_size=96).image_size
    ('96x128 images, 5 channels, 12 classes', (96, 96))
    """

    image_size: tuple[int, int] = (224, 224)
    """Height and width of an image in pixels."""
    in_chans: int = 3
    """Channels of an image."""
    num_classes: int = 1000
    """Outputs of the classifier."""

    def __init__(self, image_size: ImageSize = 224, in_chans: int = 3, num_classes: int = 1000) -> None:
        """Take a side in pixels for square images, or height and width."""
        for name, value in {
            "image_size": height_and_width(image_size),
            "in_chans": in_chans,
            "num_classes": num_classes,
        }.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    def __post_init__(self) -> None:
        if not all(8 <= side <= 8192 for side in self.image_size):
            raise UserError(
                f"image size is {self.image_size[0]}x{self.image_size[1]}: expected sides from 8 (the stride of the "
                "last stage, at a base stride of 1) to 8192 pixels, choose a size in between"
            )
        check_whole("in_chans", self.in_chans, 1, MOST_CHANNELS)
        check_whole("num_classes", self.num_classes, 1, MOST_CLASSES)

    def __str__(self) -> str:
        height, width = self.image_size
        return f"{height}x{width} images, {count(self.in_chans, 'channel')}, {count(self.num_classes, 'class')}"


@dataclass(frozen=True)
class Stage:
    """One stage of an architecture at one design size: what :meth:`Architecture.stages` yields.

    >>> stage = next(ARCHITECTURES["small"].stages(Task()))
    >>> stage.resolution, stage.dim, stage.window, stage.tokens, stage.head_dim
    ((56, 56), 88, (28, 28), 3136, 22)
    """

    resolution: tuple[int, int]
    """Height and width of the stage's map, in tokens."""
    dim: int
    """Channels ``C_i``."""
    depth: int
    """Attention blocks ``L_i``."""
    kernel: int
    """Side ``K_i`` of the (re-)embedding window."""
    stride: int
    """Stride of the (re-)embedding: the base stride, then 2."""
    window: tuple[int, int]
    """Height and width of an attention window, ``ceil(map / S_i)``."""
    heads: int
    """Attention heads."""
    expansion: int
    """FFN hidden channels over ``dim``."""

    @property
    def tokens(self) -> int:
        """Tokens of the stage's map."""
        return self.resolution[0] * self.resolution[1]

    @property
    def head_dim(self) -> int:
        """Channels of one head, ``dim // heads``."""
        return self.dim // self.heads


@dataclass(frozen=True)
class Architecture:
    """A topology, the blocks of each stage and the width of the first: everything that fixes a network's weights.

    Text form: ``K,S,E,L`` per stage, then ``heads,C``, then the base stride where it is not 4.

    >>> small = Architecture.parse("8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,88")
    >>> small == ARCHITECTURES["small"], small.dims, small.heads
    (True, (88, 176, 352, 704), (4, 8, 16, 32))
    >>> small.params(), small.macs()
    (29051296, 5132134656)
    """

    topology: Topology
    depths: tuple[int, int, int, int] = (1, 1, 1, 1)
    """``L1..L4``: attention blocks of each stage."""
    width: int = SEED_WIDTH
    """``C``: channels of the first stage."""
    max_stage_width: int = MAX_STAGE_WIDTH
    """Cap on the channels of a stage; differs from the default in proxies only and is not part of the text form."""

    def __post_init__(self) -> None:
        if min(self.depths) < 1:
            raise UserError(f"depths are {self.depths}, but every stage needs at least one block: write 1 or more")
        for stage, (dim, heads) in enumerate(zip(self.dims, self.heads, strict=True), start=1):
            if heads > dim:
                raise UserError(
                    f"stage {stage} has {heads} heads but {dim} channels: "
                    f"expected a width C of at least {self.topology.heads // 8}, widen it or choose fewer heads"
                )

    @property
    def dims(self) -> tuple[int, ...]:
        """Channels of the four stages: ``min(C · 2^i, cap)``."""
        return tuple(min(self.width * 2**i, self.max_stage_width) for i in range(STAGES))

    @property
    def heads(self) -> tuple[int, ...]:
        """Heads of the four stages: the final heads over 8, 4, 2 and 1 (Table 4)."""
        return tuple(self.topology.heads // 2 ** (STAGES - 1 - i) for i in range(STAGES))

    def proxy(self, divisor: int) -> "Architecture":
        """The proxy that growth measures in its place: this network at ``1 / divisor`` of its width and cap.

        >>> ARCHITECTURES["large"].proxy(4).dims
        (45, 90, 180, 256)
        """
        if self.width % divisor:
            raise UserError(
                f"a proxy of 1/{divisor} width needs a width that is a multiple of {divisor}, "
                f"not {self.width}: choose another width, or measure at full width (--width-divisor 1)"
            )
        return replace(self, width=self.width // divisor, max_stage_width=self.max_stage_width // divisor)

    def stages(self, task: Task) -> Iterator[Stage]:
        """The four stages at the task's image size.

        The image is padded to a multiple of the base stride and each map to even sides, so a map is the rounded-up
        half of the one before; a window is ``ceil(map / S_i)``.

        >>> [s.resolution for s in ARCHITECTURES["seed"].stages(Task(image_size=(56, 60)))]
        [(14, 15), (7, 8), (4, 4), (2, 2)]

        Raises:
            UserError: a side of the image is below the stride of the last stage.
        """
        topology = self.topology
        height, width = task.image_size
        if min(height, width) < (last := topology.base_stride * 2 ** (STAGES - 1)):
            raise UserError(
                f"image size is {height}x{width}, but the last stage of {self} has a stride of {last}: expected sides "
                f"from {last}, or a smaller base stride"
            )
        for i in range(STAGES):
            stride = topology.base_stride if i == 0 else 2
            height, width = -(-height // stride), -(-width // stride)
            yield Stage(
                resolution=(height, width),
                dim=self.dims[i],
                depth=self.depths[i],
                kernel=topology.kernels[i],
                stride=stride,
                window=(-(-height // topology.splits[i]), -(-width // topology.splits[i])),
                heads=self.heads[i],
                expansion=topology.expansions[i],
            )

    def params(self, task: Task = Task(), *, position_embedding: bool = True) -> int:
        """Trainable parameters, counted in closed form."""
        total, channels = 0, task.in_chans
        for i, stage in enumerate(self.stages(task)):
            unfolded = stage.kernel**2 * channels
            if i == 0:
                total += unfolded * stage.dim + stage.dim + 2 * stage.dim  # convolution with bias, norm
                total += stage.tokens * stage.dim * position_embedding
            else:
                total += 2 * unfolded + unfolded * stage.dim  # norm over the unfolded vector, linear without bias
            total += stage.depth * block_params(stage)
            channels = stage.dim
        return total + 2 * channels + linear_params(channels, channels) + linear_params(channels, task.num_classes)

    def macs(self, task: Task = Task()) -> int:
        """Multiply-adds of convolutions, linear layers and the two attention products for one image."""
        total, channels = 0, task.in_chans
        for stage in self.stages(task):
            total += stage.tokens * stage.kernel**2 * channels * stage.dim
            total += stage.depth * block_macs(stage)
            channels = stage.dim
        return total + channels * channels + channels * task.num_classes

    @classmethod
    def parse(cls, text: str) -> "Architecture":
        """Architecture from a published name or a text form; a bare topology gets one block a stage and ``C = 32``."""
        if text in ARCHITECTURES:
            return ARCHITECTURES[text]
        if "|" not in text:
            names, hint = ", ".join(ARCHITECTURES), did_you_mean(text, ARCHITECTURES)
            raise UserError(
                f"unknown architecture {text!r}: {hint}expected one of {names}, a text form such as "
                f"{ARCHITECTURES['small']}, or the path of a result file"
            )
        if text.split("|")[0].count(",") < 3:
            return cls(Topology.parse(text))
        fields, base_stride = parse_fields(text, (4, 4, 4, 4, 2), expected="8,2,3,1|4,1,2,1|4,1,4,1|4,1,6,1|32,32")
        kernels, splits, expansions, depths = zip(*fields[:STAGES], strict=True)
        heads, width = fields[STAGES]
        return cls(Topology(kernels, splits, expansions, heads, base_stride), depths, width)

    def __str__(self) -> str:
        t = self.topology
        stages = zip(t.kernels, t.splits, t.expansions, self.depths, strict=True)
        return text_form(stages, (t.heads, self.width), t.base_stride)


def block_params(stage: Stage) -> int:
    """Parameters of one block: two norms, qkv and projection with bias, two FFN layers with bias.

    >>> block_params(next(ARCHITECTURES["seed"].stages(Task())))
    10624
    """
    inner = stage.heads * stage.head_dim
    hidden = stage.expansion * stage.dim
    attention = linear_params(stage.dim, 3 * inner) + linear_params(inner, stage.dim)
    ffn = linear_params(stage.dim, hidden) + linear_params(hidden, stage.dim)
    return 4 * stage.dim + attention + ffn


def block_macs(stage: Stage) -> int:
    """Multiply-adds of one block for one image; windows on the border are counted whole, as they are computed.

    >>> block_macs(next(ARCHITECTURES["seed"].stages(Task())))
    189464576
    """
    inner = stage.heads * stage.head_dim
    linear = stage.tokens * (4 * stage.dim * inner + 2 * stage.expansion * stage.dim**2)
    (height, width), (window_h, window_w) = stage.resolution, stage.window
    windows = -(-height // window_h) * -(-width // window_w)
    return linear + 2 * windows * (window_h * window_w) ** 2 * inner


def linear_params(inputs: int, outputs: int) -> int:
    """Parameters of a linear layer with bias.

    >>> linear_params(3, 2)
    8
    """
    return inputs * outputs + outputs


_SEED = Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32")

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "seed": Architecture(_SEED),
        "small": Architecture(_SEED, (3, 1, 4, 2), 88),
        "base": Architecture(_SEED, (3, 1, 5, 2), 116),
        "large": Architecture(_SEED, (5, 2, 5, 2), 180),
    }
)
"""The published networks (Table 4)."""


def plane(architecture: Architecture) -> tuple[int, int]:
    """Total depth, the number of blocks, and total width, the sum of their output channels (Fig. 3).

    >>> plane(Architecture.parse("small"))
    (10, 3256)
    """
    depths = architecture.depths
    return sum(depths), sum(depth * dim for depth, dim in zip(depths, architecture.dims, strict=True))
