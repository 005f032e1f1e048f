"""What can be measured: an architecture, or any classifier of timm. Builds one random network of it at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asvit.architecture import Architecture, Task
from asvit.complexity.cost import activation_bytes, count_macs, count_params
from asvit.errors import UserError
from asvit.settings import Initialisation, Output

TIMM = "timm:"


class Subject(ABC):
    """A family of networks that differ in their weights: a name, its size, and a draw of it."""

    task: Task

    @property
    @abstractmethod
    def name(self) -> str:
        """Text form; with the task it says all there is to know."""

    @property
    def key(self) -> str:
        """What a ledger keeps its measurements under."""
        return self.name

    @property
    @abstractmethod
    def params(self) -> int:
        """Trainable parameters with classifier."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-adds for one image, with classifier."""

    @abstractmethod
    def network(
        self, seed: int, *, output: Output = "features", initialisation: Initialisation = "normal"
    ) -> nn.Module:
        """Network from images to pooled features or logits ``B x D``, every parameter drawn anew, to be evaluated."""

    def check(self, initialisation: Initialisation) -> None:  # noqa: B027
        """Refuse an initialisation that the networks cannot be drawn with."""

    @cached_property
    def activations(self) -> int:
        """Bytes that the backward pass of one image keeps."""
        with refusing(self.name):
            return activation_bytes(self.network(0), torch.zeros(1, self.task.in_chans, *self.task.image_size))


class MeasuredAsViT(nn.Module):
    """Images to the pooled last map of an AsViT before its final norm, the output of Section 3.2, or to its logits.

    All its layers have their rules in :mod:`asvit.taylor` and :mod:`asvit.complexity.layerwise`.

    >>> network = MeasuredAsViT(Architecture.parse("seed"), Task(image_size=(32, 32)), "features")
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 256])
    """

    output_fmt = "NHWC"

    def __init__(self, architecture: Architecture, task: Task, output: Output) -> None:
        super().__init__()
        from asvit.model import AsViT

        self.output = output
        self.model = AsViT(
            architecture,
            image_size=task.image_size,
            in_chans=task.in_chans,
            num_classes=0 if output == "features" else task.num_classes,
            position_embedding=False,
        )

    def forward(self, images: Float[Tensor, "B channels H W"]) -> Float[Tensor, "B D"]:
        """Pooled features or logits."""
        return self.model.pooled_features(images) if self.output == "features" else self.model(images)

    def forward_features(self, images: Float[Tensor, "B channels H W"]) -> Float[Tensor, "B h w C"]:
        """Last map, channels-last."""
        return self.model.forward_features(images)

    def recompute_blocks(self, recompute: bool) -> None:
        """Whether the backward pass computes each block's activations again instead of keeping them."""
        self.model.checkpointing = recompute


@dataclass(frozen=True)
class ArchitectureSubject(Subject):
    """An architecture, measured itself or through a proxy of a fraction of its width.

    >>> subject = ArchitectureSubject(Architecture.parse("small"), Task(image_size=(32, 32)), width_divisor=4)
    >>> subject.key, subject.network(seed=0)(torch.zeros(2, 3, 32, 32)).shape
    ('8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,88 at 1/4 width', torch.Size([2, 176]))
    """

    architecture: Architecture
    task: Task
    width_divisor: int = 1
    """The network that is measured has the architecture's width over this (Algorithm 2 in the release: 4)."""

    @property
    def name(self) -> str:
        """The architecture's text form."""
        return str(self.architecture)

    @property
    def key(self) -> str:
        """The text form, and the width at which it is measured."""
        return self.name if self.width_divisor == 1 else f"{self.name} at 1/{self.width_divisor} width"

    @property
    def params(self) -> int:
        """Parameters at full width, position embedding included."""
        return self.architecture.params(self.task)

    @property
    def macs(self) -> int:
        """Multiply-adds at full width."""
        return self.architecture.macs(self.task)

    def network(
        self, seed: int, *, output: Output = "features", initialisation: Initialisation = "normal"
    ) -> nn.Module:
        """A random network of the architecture or its proxy, without position embedding.

        With either output, a seed gives the same weights; the classifier's come last.
        """
        with torch.device("meta"):  # nothing is drawn twice
            network = MeasuredAsViT(self.architecture.proxy(self.width_divisor), self.task, output)
        network = network.to_empty(device="cpu").eval()
        network.model.initialise(torch.Generator().manual_seed(seed), initialisation=initialisation)
        return network


@dataclass(frozen=True)
class TimmSubject(Subject):
    """A classifier of timm with timm's own initialisation.

    >>> subject = TimmSubject("resnet18", Task(image_size=(32, 32)))
    >>> subject.name, subject.params
    ('timm:resnet18', 11689512)
    """

    model_name: str
    task: Task

    def __post_init__(self) -> None:
        import timm

        if not timm.is_model(self.model_name):
            close = ", ".join(timm.list_models(f"*{self.model_name}*")[:3])
            hint = f"did you mean {close}?" if close else "see timm.list_models()"
            raise UserError(f"timm has no model named {self.model_name!r}: {hint}")

    @property
    def name(self) -> str:
        """``timm:NAME``."""
        return TIMM + self.model_name

    def check(self, initialisation: Initialisation) -> None:
        """Refuse all but the normal one, with which timm's own is left in place."""
        if initialisation != "normal":
            raise UserError(
                f"{self.name} keeps timm's initialisation, not {initialisation}: expected an architecture of asvit; "
                "leave --initialisation out for it"
            )

    def create(self, num_classes: int, **options: Any) -> nn.Module:
        """The timm model for the task, laid out for its image size where the model needs to know it."""
        import timm

        config = timm.get_pretrained_cfg(self.model_name)
        if config is not None and config.fixed_input_size:
            options["img_size"] = self.task.image_size
        try:
            return timm.create_model(
                self.model_name, num_classes=num_classes, in_chans=self.task.in_chans, **options
            ).eval()
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            height, width = self.task.image_size
            raise UserError(
                f"timm cannot build {self.model_name} for {height}x{width} images of {self.task.in_chans} channels: "
                f"{one_line(error)}; choose the size and channels that the model expects"
            ) from error

    @cached_property
    def _size(self) -> tuple[int, int]:
        model = self.create(self.task.num_classes)
        images = torch.zeros(1, self.task.in_chans, *self.task.image_size)
        return count_params(model), count_macs(model, images)

    @property
    def params(self) -> int:
        """Parameters, counted on the model."""
        return self._size[0]

    @property
    def macs(self) -> int:
        """Multiply-adds, counted on the model."""
        return self._size[1]

    def network(
        self, seed: int, *, output: Output = "features", initialisation: Initialisation = "normal"
    ) -> nn.Module:
        """The model, without its classifier or with it, freshly drawn."""
        self.check(initialisation)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.create(num_classes=0 if output == "features" else self.task.num_classes)


def parse_subject(text: str, task: Task) -> Subject:
    """What ``text`` names: ``timm:NAME``, a published architecture or a text form.

    >>> parse_subject("small", Task()).params
    29051296
    """
    if text.startswith(TIMM):
        return TimmSubject(text.removeprefix(TIMM), task)
    return ArchitectureSubject(Architecture.parse(text), task)


@contextmanager
def refusing(
    name: str,
    done: str = "measured",
    advice: str = "choose other metrics, another image size or another network",
) -> Iterator[None]:
    """Refuse a network that lacks a derivative or does not take these images, naming torch's reason.

    >>> with refusing("net", "counted", "choose another network"):
    ...     raise RuntimeError("no such operator")
    Traceback (most recent call last):
    asvit.errors.UserError: net cannot be counted here: no such operator; choose another network
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:  # NotImplementedError is a RuntimeError
        raise UserError(f"{name} cannot be {done} here: {one_line(error)}; {advice}") from error


def one_line(error: BaseException) -> str:
    """First line of an error's message.

    >>> one_line(RuntimeError("first line\\nsecond"))
    'first line'
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
