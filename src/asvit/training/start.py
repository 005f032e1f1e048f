"""Weights that a training starts from: those of a trained network, in the place of random ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from asvit.errors import UserError
from asvit.networks.architecture import Task
from asvit.networks.named import Network, TimmModel
from asvit.training.source import Source
from asvit.training.trained import Looking, load_pretrained, read_classifier

START_TIMM = "timm"
"""Name of timm's own pretrained weights as a start."""


@dataclass(frozen=True)
class Start:
    """A trained classifier that a network starts from."""

    source: str
    """Where it was asked for: a file, a folder, or ``timm``."""
    network: str
    task: Task
    classes: tuple[str, ...]
    looking: Looking
    """How images were made ready for it."""
    weights: Mapping[str, Tensor]

    @property
    def name(self) -> str:
        """What it is, for messages."""
        return f"{self.source} ({self.network})"

    def knows(self, source: Source) -> bool:
        """Whether images are of the classes that it was trained on."""
        return source.classes == self.classes

    def remark(self, source: Source) -> str:
        """What it means for a training on some images."""
        if self.knows(source):
            return f"starts from the weights of {self.name}"
        return f"starts from the weights of {self.name}, but for its last layer: it was trained on other classes"

    def fill(self, network: nn.Module, *, without: frozenset[str] = frozenset()) -> None:
        """Give a network these weights; those that it has no use for are left out.

        Args:
            network: the same network, as a classifier or as a backbone.
            without: names of weights that stay as they were drawn.

        Raises:
            UserError: the weights are of another network.
        """
        wanted = {name: x.shape for name, x in network.state_dict().items() if name not in without}
        shapes = {name: x.shape for name, x in self.weights.items()}
        missing = [name for name, shape in wanted.items() if shapes.get(name) != shape]
        if missing:
            raise UserError(
                f"{self.name} has no fitting weights for {missing[0]}: expected the same network, for {self.task}"
            )
        network.load_state_dict({name: self.weights[name] for name in wanted}, strict=False)


def start_from(start: str | None, network: Network) -> Start | None:
    """What :func:`load_start` reads; None where nothing was asked for, and weights are random."""
    return None if start is None else load_start(start, network)


def load_start(start: str, network: Network) -> Start:
    """A trained classifier.

    Args:
        start: checkpoint or run directory of `asvit train`, folder that `asvit export` wrote, or ``timm`` for timm's
            own pretrained weights.
        network: network that it has to be.

    Raises:
        UserError: there is none, or it is of another network.
    """
    if start == START_TIMM:
        if not isinstance(network, TimmModel):
            raise UserError(f"timm has no weights of {network}: give a checkpoint of `asvit train`")
        trained = load_pretrained(network)
    else:
        trained = read_classifier(Path(start))
        if trained.network != network:
            raise UserError(f"{start} is a training of {trained.network}, not of {network}: expected the same network")
    weights = trained.model.state_dict()
    return Start(start, str(network), trained.task, trained.classes, trained.looking, weights)


def classifier_weights(network: Any) -> frozenset[str]:
    """Names of the weights of a classifier's last layer, or layers: what changes with the classes.

    >>> from asvit.networks.building import build_trainable
    >>> from asvit.networks.named import parse_network
    >>> sorted(classifier_weights(build_trainable(parse_network("seed"), Task(image_size=(32, 32), num_classes=10))))
    ['head.fc.bias', 'head.fc.weight']
    """
    last = network.get_classifier()
    layers = last if isinstance(last, tuple | list) else (last,)
    return frozenset(
        f"{name}.{weight}"
        for name, module in network.named_modules()
        if any(module is layer for layer in layers)
        for weight in module.state_dict()
    )
