"""The network to train: an architecture of ours or a classifier of timm, by the same name everywhere."""

import torch
from torch import nn

from asvit.measure.subject import TIMM, TimmSubject
from asvit.networks.architecture import Architecture, Task


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


def place(model: nn.Module, device: torch.device, memory_format: torch.memory_format) -> nn.Module:
    """Move a model to a device, the weights of its convolutions to a memory format, in place."""
    return model.to(device).to(memory_format=memory_format)  # pyright: ignore[reportCallIssue], missing in torch's stubs
