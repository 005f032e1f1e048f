"""Models on devices: where their weights lie, and what of their activations is kept."""

import torch
from torch import nn


def memory_format(channels_last: bool) -> torch.memory_format:
    """Layout of images and of the weights of convolutions.

    >>> memory_format(channels_last=False)
    torch.contiguous_format
    """
    return torch.channels_last if channels_last else torch.contiguous_format


def place(model: nn.Module, device: torch.device, layout: torch.memory_format) -> nn.Module:
    """Move a model to a device, the weights of its convolutions to a layout, in place."""
    return model.to(device).to(memory_format=layout)  # pyright: ignore[reportCallIssue], missing in torch's stubs


def set_checkpointing(model: nn.Module) -> None:
    """Recompute activations in the backward pass rather than keep them."""
    model.set_grad_checkpointing()  # pyright: ignore[reportCallIssue]
