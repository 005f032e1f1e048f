"""How values are made ready for a network: from 0 to 1, then normalised by channel."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

# Mean and standard deviation of ImageNet's channels, and of its grey values for other than three channels.
RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY_MEAN, GREY_STD = 0.449, 0.226


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation by channel, which make values ready for a network: ``(value - mean) / std``.

    >>> Normalisation((0.5, 1.0), (0.5, 2.0))(torch.ones(2, 1, 1)).flatten()
    tensor([1., 0.])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def usual(cls, channels: int) -> "Normalisation":
        """ImageNet's by channel; of its grey values for other than three channels.

        >>> Normalisation.usual(3).mean, Normalisation.usual(2)
        ((0.485, 0.456, 0.406), Normalisation(mean=(0.449, 0.449), std=(0.226, 0.226)))
        """
        if channels == 3:
            return cls(RGB_MEAN, RGB_STD)
        return cls((GREY_MEAN,) * channels, (GREY_STD,) * channels)

    def __call__(self, images: Float[Tensor, "*n channels H W"]) -> Float[Tensor, "*n channels H W"]:
        """Subtract the mean and divide by the standard deviation."""
        mean, std = (images.new_tensor(values).reshape(-1, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std


def to_tensor(image: Any) -> Float[Tensor, "channels H W"]:
    """PIL image, or tensor from 0 to 1, as a tensor from 0 to 1."""
    if isinstance(image, Tensor):
        return image
    pixels = np.array(image, dtype=np.float32)
    pixels /= 255  # in place: a large picture would be in memory twice
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)
