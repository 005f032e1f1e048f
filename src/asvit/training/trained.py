"""A trained classifier: from a checkpoint of ours, or timm's pretrained weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from asvit.errors import UserError
from asvit.measure.subject import TIMM, one_line
from asvit.networks.architecture import Task
from asvit.training.checkpoint import Header, State, fill, load_weights
from asvit.training.network import build
from asvit.training.results import Epoch
from asvit.training.retokenize import enter


@dataclass(frozen=True, kw_only=True)
class ClassifierHeader(Header):
    """What a classifier's checkpoint says beside its weights."""

    schema: ClassVar[str] = "asvit-checkpoint-1"
    job: ClassVar[str] = "train"

    network: str
    """Text form of an architecture, or ``timm:NAME``."""
    task: Task
    classes: tuple[str, ...]
    test_crop: float
    coarseness: int
    """Of the tokens that the weights were last trained with."""
    state: State[Epoch] = field(default_factory=State)


@dataclass(frozen=True)
class Trained:
    """A trained network and what one needs to know to use it."""

    name: str
    """Text form of an architecture, or ``timm:NAME``."""
    model: nn.Module
    task: Task
    classes: tuple[str, ...]
    looking: dict[str, Any]
    """Of :func:`asvit.training.augment.evaluation_transform`: how it looks at an image, its size aside."""


def load_network(path: Path, *, averaged: bool = True) -> Trained:
    """The network of a checkpoint with its weights, in evaluation mode.

    Args:
        path: checkpoint, or the run directory of a training: then its best one.
        averaged: whether to take the moving average of the weights where there is one.
    """
    weights, header, file = load_weights(path, ClassifierHeader, averaged=averaged)
    model = build(header.network, header.task)
    fill(model, weights, file)
    if header.coarseness > 1:
        enter(model, header.coarseness)
    return Trained(header.network, model.eval(), header.task, header.classes, {"test_crop": header.test_crop})


def load_pretrained(model_name: str) -> Trained:
    """A pretrained timm model in evaluation mode.

    Raises:
        UserError: timm has no such model or weights, or cannot fetch them.
    """
    import timm
    from timm.data.imagenet_info import ImageNetInfo

    if not timm.is_model(model_name):
        raise UserError(f"timm has no model named {model_name!r}: see timm.list_models(pretrained=True)")
    try:
        model: Any = timm.create_model(model_name, pretrained=True).eval()
    except (RuntimeError, OSError, ValueError) as error:
        raise UserError(f"timm has no weights of {model_name} here: {one_line(error)}") from error
    config = model.pretrained_cfg
    in_chans, *size = config["input_size"]
    count = model.num_classes
    names = ImageNetInfo().label_names() if count == 1000 else map(str, range(count))
    task = Task(image_size=(size[0], size[1]), in_chans=in_chans, num_classes=count)
    looking = {key: config[key] for key in ("mean", "std", "interpolation")} | {"test_crop": config["crop_pct"]}
    return Trained(TIMM + model_name, model, task, tuple(names), looking)


def labels_of(classes: Sequence[str], outputs: Sequence[str], network: str) -> tuple[int, ...]:
    """Output of a network for every class of some images.

    >>> labels_of(["cat", "owl"], ["ant", "cat", "owl"], "a network")
    (1, 2)
    """
    place = {name: i for i, name in enumerate(outputs)}
    unknown = [name for name in classes if name not in place]
    if unknown:
        known = ", ".join(outputs[:5]) + (", ..." if len(outputs) > 5 else "")
        raise UserError(
            f"{network} does not know the class {unknown[0]}: expected images of its {len(outputs)} classes ({known})"
        )
    return tuple(place[name] for name in classes)
