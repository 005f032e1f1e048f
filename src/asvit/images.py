"""Image files: which ones are read, how they are decoded, and how values are normalised.

One rule for all commands: what an image is, and what is no readable one.
"""

import struct
import zlib
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asvit.errors import UserError, reason
from asvit.units import ValueRange

if TYPE_CHECKING:
    from PIL.Image import Image


RASTER = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".gif"}
ARRAYS = {".npy", ".tif", ".tiff"}
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError)
"""Exceptions that decoding a damaged file may raise."""
EXPECTED = "a whole JPEG, PNG, .npy or TIFF file"

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


def open_raster(source: Path | BufferedIOBase, mode: str) -> "Image":
    """Decode an image file to 8 bits a channel; grey values of 16 bits are scaled, not cut off.

    Raises:
        One of :data:`UNREADABLE`: the file is damaged, too large, or no image.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(source) as image:  # pyright: ignore[reportArgumentType], its stubs want IO[bytes]
            if image.mode.startswith("I"):
                grey = np.asarray(image).astype(np.float32) / 257  # 65535 becomes 255
                return Image.fromarray(grey.round().clip(0, 255).astype(np.uint8)).convert(mode)
            return image.convert(mode)
    except UnidentifiedImageError as error:  # names an object in memory, another one every time
        raise ValueError("cannot identify image file") from error
    except Image.DecompressionBombError as error:
        raise ValueError(error) from error


def open_array(
    source: Path | BufferedIOBase, suffix: str, channels: int, value_range: ValueRange | None = None
) -> Float[Tensor, "channels H W"]:
    """Decode a ``.npy`` or TIFF file of height x width x channels, with values from 0 to 1.

    Raises:
        One of :data:`UNREADABLE`: the file is damaged, of another shape or not finite.
    """
    return from_array(load_array(source, suffix), channels, value_range)


def from_array(
    array: np.ndarray, channels: int, value_range: ValueRange | None = None
) -> Float[Tensor, "channels H W"]:
    """Numbers of height x width x channels as values from 0 to 1.

    Args:
        array: numbers.
        channels: channels that are expected.
        value_range: values that become 0 and 1; None: 0 and, of whole numbers, the largest of their type, of others 1.

    Raises:
        ValueError: it has another shape, or values that are no finite numbers.

    >>> from_array(np.full((2, 3, 1), 255, dtype=np.uint8), channels=1)
    tensor([[[1., 1., 1.],
             [1., 1., 1.]]])
    >>> from_array(np.full((1, 1, 1), 1023, dtype=np.uint16), channels=1, value_range=(0, 4092))
    tensor([[[0.2500]]])
    """
    if array.ndim != 3 or array.shape[2] != channels or array.dtype.kind not in "uif":
        raise ValueError(
            f"it is an array of {array.shape} {array.dtype}, but {channels} channels are read: "
            f"expected numbers of height x width x {channels}"
        )
    low, high = value_range or (0, 1 if array.dtype.kind == "f" else np.iinfo(array.dtype).max)
    values = (array.astype(np.float32) - low) / (high - low)
    if not np.isfinite(values).all():
        raise ValueError("it has values that are not finite")
    return torch.from_numpy(values).permute(2, 0, 1)


def load_array(source: Path | BufferedIOBase, suffix: str) -> np.ndarray:
    """Numbers of a ``.npy`` or TIFF file; one of two dimensions gets a channel."""
    import tifffile

    try:
        array = np.load(source, allow_pickle=False) if suffix.lower() == ".npy" else tifffile.imread(source)  # pyright: ignore
    except (tifffile.TiffFileError, zlib.error, struct.error, LookupError, TypeError, RuntimeError) as error:
        raise ValueError(f"damaged: {error}") from error  # what tifffile raises on one
    return array[:, :, None] if array.ndim == 2 else array


def open_image(path: Path, channels: int, value_range: ValueRange | None = None) -> Any:
    """Decode an image file by its path: a PIL image, or for an array file a tensor with values from 0 to 1.

    Raises:
        One of :data:`asvit.images.UNREADABLE`: it is missing, damaged or too small.
    """
    with open(path, "rb") as file:
        return check_size(decode(file, path.suffix, channels, value_range))


def read_image(path: Path, channels: int, value_range: ValueRange | None = None) -> Any:
    """Read an image that a user named.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return open_image(path, channels, value_range)
    except UNREADABLE as error:
        raise UserError(f"cannot read the image {path}: {reason(error)}; expected {EXPECTED}") from error


def check_size(image: Any) -> Any:
    """Return an image unchanged, and refuse one with a side of less than 2 pixels."""
    height, width = image.shape[-2:] if isinstance(image, Tensor) else (image.height, image.width)
    if min(height, width) < 2:
        raise ValueError(f"it is {height}x{width} pixels: too small")
    return image


def decode(file: BufferedIOBase, suffix: str, channels: int, value_range: ValueRange | None = None) -> Any:
    """Decode an open image file: a PIL image of one or three channels, or for an array file a tensor from 0 to 1."""
    if suffix.lower() in ARRAYS:
        return open_array(file, suffix, channels, value_range)
    if channels not in (1, 3):
        raise ValueError(f"it is a picture of at most three channels, but {channels} channels are read")
    return open_raster(file, "RGB" if channels == 3 else "L")


def to_tensor(image: Any) -> Float[Tensor, "channels H W"]:
    """PIL image, or tensor from 0 to 1, as a tensor from 0 to 1."""
    if isinstance(image, Tensor):
        return image
    pixels = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)
