"""The network to train: an architecture of ours or a classifier of timm, by the same name everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from asvit.architecture import Architecture, Task
from asvit.errors import UserError
from asvit.subject import TIMM, TimmSubject, one_line


def build(name: str, task: Task, *, drop_path: float = 0.0) -> nn.Module:
    """A freshly drawn network.

    Args:
        name: text form of an architecture, or ``timm:NAME``.
        task: size, channels and classes.
        drop_path: stochastic depth; where a timm model has none, 0 is expected.

    >>> build("seed", Task(image_size=(32, 32), num_classes=10)).num_classes
    10
    """
    if name.startswith(TIMM):
        options = {"drop_path_rate": drop_path} if drop_path else {}
        return TimmSubject(name.removeprefix(TIMM), task).create(task.num_classes, **options).train()
    from asvit.zoo import AsViTForTimm

    return AsViTForTimm(
        Architecture.parse(name),
        img_size=task.image_size,
        in_chans=task.in_chans,
        num_classes=task.num_classes,
        drop_path_rate=drop_path,
    )


def set_checkpointing(model: nn.Module) -> None:
    """Recompute activations in the backward pass rather than keep them."""
    model.set_grad_checkpointing()  # pyright: ignore[reportCallIssue]


@dataclass(frozen=True)
class Trained:
    """A trained network and what one needs to know to use it."""

    model: nn.Module
    task: Task
    classes: tuple[str, ...]
    looking: dict[str, Any]
    """Of :func:`asvit.training.augment.evaluation_transform`: how it looks at an image, its size aside."""


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
    return Trained(model, task, tuple(names), looking)


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
