"""Numbers in float64, which most devices have and Apple's GPUs have not, and float32 that is no less than that."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Float64
from torch import Tensor


def float64_device(device: torch.device) -> torch.device:
    """The device that computes in float64 with numbers of another: the same one, or the CPU where it has no float64.

    >>> float64_device(torch.device("mps")), float64_device(torch.device("cuda", 1))
    (device(type='cpu'), device(type='cuda', index=1))
    """
    return torch.device("cpu") if device.type == "mps" else device


def in_float64(x: Float[Tensor, "*shape"]) -> Float64[Tensor, "*shape"]:
    """A tensor's numbers in float64, on a device that has it.

    >>> in_float64(torch.ones(2)).dtype
    torch.float64
    """
    return x.to(float64_device(x.device)).double()  # in this order: the first device may not know the second's numbers


def total(x: Float[Tensor, "..."]) -> float:
    """Sum of a tensor's entries, added in float64.

    >>> total(torch.tensor([1e8, 1.0, -1e8]))
    1.0
    """
    return x.to(float64_device(x.device)).sum(dtype=torch.float64).item()


@contextmanager
def full_float32() -> Iterator[None]:
    """Context in which float32 numbers are multiplied as such, whatever a GPU or the program around it prefers.

    TF32, which torch allows cuDNN's convolutions, keeps three digits.

    >>> torch.set_float32_matmul_precision("medium")
    >>> with full_float32():
    ...     torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    ('highest', False)
    >>> torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    ('medium', True)
    >>> torch.set_float32_matmul_precision("highest")
    """
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions
