"""What can be measured: an architecture, any classifier of timm, or what a function of the user's own makes.

Builds one random network of it at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asvit.complexity.cost import activation_bytes, count_macs, count_params
from asvit.errors import NotAdmitted
from asvit.measure.activations import kept_bytes
from asvit.measure.settings import Output, Use
from asvit.networks.architecture import Architecture, Initialisation, Task
from asvit.networks.building import check_in_timm, create_in_timm
from asvit.networks.callables import Make, digest, find_classifier, load_callable, make_network
from asvit.networks.named import Network, NetworkFunction, TimmModel
from asvit.networks.refusing import refusing


class Subject(ABC):
    """A family of networks that differ in their weights: a name, its size, and a draw of it."""

    task: Task
    can_be_sent = True
    """Whether it can be measured in another process."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in records; with the task it says all there is to know."""

    @property
    def key(self) -> str:
        """Name under which a ledger keeps the measurements."""
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

    def in_use(self) -> nn.Module:
        """The classifier as it is used, at full size, with some weights."""
        return self.network(0, output="logits")

    def check(self, initialisation: Initialisation) -> None:  # noqa: B027
        """Refuse what cannot be drawn, or not with an initialisation."""

    @cached_property
    def activations(self) -> int:
        """Bytes that the backward pass of one image keeps, counted on a network."""
        with refusing(self.name):
            return activation_bytes(self.network(0), torch.zeros(1, self.task.in_chans, *self.task.image_size))


class MeasuredAsViT(nn.Module):
    """Images to the pooled last map of an AsViT before its final norm, the output of Section 3.2, or to its logits.

    All its layers have their rules in :mod:`asvit.measure.taylor` and :mod:`asvit.complexity.layerwise`.

    >>> network = MeasuredAsViT(Architecture.parse("seed"), Task(image_size=(32, 32)), "features")
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 256])
    """

    output_fmt = "NHWC"

    def __init__(self, architecture: Architecture, task: Task, output: Output) -> None:
        super().__init__()
        from asvit.networks.model import AsViT

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
    """Divisor of the width: the network that is measured has the architecture's width over this (release: 4)."""

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

    @cached_property
    def activations(self) -> int:
        """Bytes that the backward pass of one image through the network that is measured keeps, in closed form."""
        return kept_bytes(self.architecture.proxy(self.width_divisor), self.task)

    def network(
        self, seed: int, *, output: Output = "features", initialisation: Initialisation = "normal"
    ) -> MeasuredAsViT:
        """A random network of the architecture or its proxy, without position embedding.

        With either output, a seed gives the same weights; the classifier's come last.
        """
        network = self.outline(output).to_empty(device="cpu")
        network.model.initialise(torch.Generator().manual_seed(seed), initialisation=initialisation)
        return network

    def outline(self, output: Output) -> MeasuredAsViT:
        """The network that is measured, without weights: on the meta device, so that nothing is drawn twice."""
        with torch.device("meta"):
            return MeasuredAsViT(self.architecture.proxy(self.width_divisor), self.task, output).eval()

    def in_use(self) -> nn.Module:
        """The whole network, position embedding included."""
        from asvit.networks.model import AsViT

        size = {"image_size": self.task.image_size, "in_chans": self.task.in_chans}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return AsViT(self.architecture, num_classes=self.task.num_classes, **size).eval()


class ModelSubject(Subject):
    """Networks that bring an initialisation of their own, and of which no more is known than how to draw one."""

    @abstractmethod
    def draw(self, output: Output) -> nn.Module:
        """One network, to be evaluated, with weights out of torch's stream of random numbers."""

    def check(self, initialisation: Initialisation) -> None:
        """Refuse all but the normal one, with which a model's own is left in place."""
        if initialisation != "normal":
            raise NotAdmitted(
                f"{self.name} keeps its own initialisation, not {initialisation}: expected an architecture of asvit; "
                "leave --initialisation out for it"
            )

    def network(
        self, seed: int, *, output: Output = "features", initialisation: Initialisation = "normal"
    ) -> nn.Module:
        """The model, without its classifier or with it, freshly drawn."""
        self.check(initialisation)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.draw(output)

    @property
    def params(self) -> int:
        """Parameters, counted on the model."""
        return self._params

    @property
    def macs(self) -> int:
        """Multiply-adds, counted on the model."""
        return self._macs

    @cached_property
    def _params(self) -> int:
        return count_params(self.in_use())

    @cached_property
    def _macs(self) -> int:
        with refusing(self.name, "counted"):
            return count_macs(self.in_use(), torch.zeros(1, self.task.in_chans, *self.task.image_size))


@dataclass(frozen=True)
class TimmSubject(ModelSubject):
    """A classifier of timm with timm's own initialisation.

    >>> subject = TimmSubject(TimmModel("resnet18"), Task(image_size=(32, 32)))
    >>> subject.name, subject.params
    ('timm:resnet18', 11689512)
    """

    model: TimmModel
    task: Task

    def __post_init__(self) -> None:
        check_in_timm(self.model)

    @property
    def name(self) -> str:
        """The model's name, ``timm:NAME``."""
        return str(self.model)

    def draw(self, output: Output) -> nn.Module:
        """One model, freshly drawn; pooled features are what timm returns without classes."""
        num_classes = 0 if output == "features" else self.task.num_classes
        return create_in_timm(self.model, self.task, num_classes=num_classes)


@dataclass(frozen=True)
class CallableSubject(ModelSubject):
    """Networks that a function of the user's own makes, by the convention of :mod:`asvit.networks.callables`.

    >>> subject = CallableSubject(NetworkFunction("torchvision.models:resnet18"), Task(image_size=(32, 32)))
    >>> subject.name, subject.params
    ('torchvision.models:resnet18', 11689512)
    """

    function: NetworkFunction
    task: Task
    can_be_sent = False

    def __post_init__(self) -> None:
        _ = self._make  # refuses what cannot be imported

    @property
    def name(self) -> str:
        """The function's name, ``package.module:callable``."""
        return str(self.function)

    @property
    def key(self) -> str:
        """The name, and the state of the code behind it."""
        return f"{self.name} {self._digest}"

    @cached_property
    def activations(self) -> int:
        """Bytes that the backward pass of one image keeps, up to the logits: features may not be there."""
        with refusing(self.name):
            return activation_bytes(self.in_use(), torch.zeros(1, self.task.in_chans, *self.task.image_size))

    @cached_property
    def _digest(self) -> str:
        return digest(self._make, self.in_use())

    @cached_property
    def _make(self) -> Make:
        return load_callable(self.function)

    @cached_property
    def _classifier(self) -> str | None:
        """Name of the layer that makes the logits; looks at one network, and refuses what is none."""
        network, other = (make_network(self._make, self.name, self.task) for _ in range(2))
        if network is other:
            raise NotAdmitted(f"{self.name} returned the same network twice: expected a new one from every call")
        return find_classifier(network, self.name, self.task)

    def check(self, initialisation: Initialisation) -> None:
        """Refuse another initialisation, and a function that does not make classifiers of the task's images."""
        super().check(initialisation)
        with torch.random.fork_rng(devices=[]):
            _ = self._classifier

    def draw(self, output: Output) -> nn.Module:
        """One network, freshly drawn; pooled features are the input of the linear layer that makes the logits."""
        network = make_network(self._make, self.name, self.task)
        if output == "features":
            if self._classifier is None:
                raise NotAdmitted(
                    f"{self.name} makes its logits by no linear layer, before which features could be seen: "
                    "measure with --output logits"
                )
            network.set_submodule(self._classifier, nn.Identity())
        return network


def subject_of(network: Network, task: Task) -> Subject:
    """The subject that measures a network, on images and classes of a task.

    >>> subject_of(Architecture.parse("small"), Task()).params
    29051296
    """
    match network:
        case TimmModel():
            return TimmSubject(network, task)
        case NetworkFunction():
            return CallableSubject(network, task)
    return ArchitectureSubject(network, task)


@contextmanager
def fitting(name: str, use: Use, device: torch.device) -> Iterator[None]:
    """Refuse a network that does not fit into a device's memory as it is used.

    >>> with fitting("net", Use(batch_size=8), torch.device("cpu")):
    ...     raise torch.OutOfMemoryError("out of memory")
    Traceback (most recent call last):
    asvit.errors.NotAdmitted: net with 8 images at a time does not fit the memory of cpu: choose a smaller --batch-size
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise NotAdmitted(
            f"{name} with {use.batch_size} images at a time does not fit the memory of {device}: choose a smaller "
            "--batch-size"
        ) from error
