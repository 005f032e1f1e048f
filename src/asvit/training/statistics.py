"""Mean and deviation of images that are not photographs, found out once from the training images."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from asvit.contents import Contents, spread
from asvit.errors import UserError
from asvit.images import UNREADABLE, Normalisation, to_tensor, why_unreadable

IMAGES = 1000
"""Images that are read for it at most, evenly spread."""
DIGITS = 6
"""Significant digits that are kept: one can write them down, and other processors, which add differently, agree."""
LEAST = 1e-6
"""Deviation below which a channel is taken to be constant."""


def normalisation_for(contents: Contents, name: str, images: int, read: Callable[[int], Any]) -> Normalisation:
    """ImageNet's mean and deviation for pictures, for arrays their own, as :func:`normalisation_of` finds them."""
    return normalisation_of(name, images, read) if contents.arrays else Normalisation.usual(contents.channels)


def normalisation_of(name: str, images: int, read: Callable[[int], Any]) -> Normalisation:
    """Mean and standard deviation by channel, over the pixels of at most :data:`IMAGES` images.

    A channel that never changes has the deviation 1. What cannot be read is left out.

    Args:
        name: what the images are called, for messages.
        images: number of images.
        read: gives an image by its number, as a PIL image or a tensor with values from 0 to 1.

    Raises:
        UserError: none of them can be read.

    >>> normalisation_of("a set", 2, lambda i: torch.full((1, 2, 2), float(i)))
    Normalisation(mean=(0.5,), std=(0.5,))
    """
    first = None
    sums, squares, pixels = torch.zeros(1).double(), torch.zeros(1).double(), 0
    for index in spread(range(images), IMAGES):
        try:
            values = to_tensor(read(index)).flatten(1).double()
        except UNREADABLE as error:
            first = first or error
            continue
        sums, squares, pixels = sums + values.sum(1), squares + values.square().sum(1), pixels + values.shape[1]
    if first is not None and not pixels:
        raise UserError(f"none of the images of {name} can be read, the first: {why_unreadable(first)}")
    mean = sums / pixels
    deviation = (squares / pixels - mean.square()).clamp(min=0).sqrt()
    return Normalisation(_rounded(mean), _rounded(deviation.where(deviation > LEAST, torch.ones_like(deviation))))


def _rounded(values: Float[Tensor, " channels"]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.tolist())
