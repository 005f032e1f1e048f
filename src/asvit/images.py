"""Image files: which ones are read, how they are decoded, and how values are normalised.

One rule for all commands: what an image is, and what is no readable one.
"""

import struct
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asvit.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image


RASTER = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".gif"}
ARRAYS = {".npy", ".tif", ".tiff"}
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError)
"""Exceptions that decoding a damaged file may raise."""

# Mean and standard deviation of ImageNet's channels, and of its grey values for other than three channels.
RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY_MEAN, GREY_STD = 0.449, 0.226


def read_raster(path: Path, mode: str) -> Float[Tensor, "channels H W"]:
    """Image file converted to ``mode``, as values from 0 to 1."""
    try:
        pixels = np.asarray(open_raster(path, mode), dtype=np.float32) / 255
    except UNREADABLE as error:
        raise UserError(f"cannot read the image {path}: {error}; remove or replace the file") from error
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)


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


def read_array(path: Path, channels: int) -> Float[Tensor, "channels H W"]:
    """Array of height x width x channels; whole numbers are divided by the largest of their type."""
    try:
        return open_array(path, path.suffix, channels)
    except UNREADABLE as error:
        raise UserError(f"cannot read the image {path}: {error}; remove or replace the file") from error


def open_array(source: Path | BufferedIOBase, suffix: str, channels: int) -> Float[Tensor, "channels H W"]:
    """Decode a ``.npy`` or TIFF file of height x width x channels, with values from 0 to 1.

    Raises:
        One of :data:`UNREADABLE`: the file is damaged, of another shape or not finite.
    """
    return from_array(load_array(source, suffix), channels)


def from_array(array: np.ndarray, channels: int) -> Float[Tensor, "channels H W"]:
    """Numbers of height x width x channels as values from 0 to 1; whole ones are divided by the largest of their type.

    Raises:
        ValueError: it has another shape, or values that are no finite numbers.

    >>> from_array(np.full((2, 3, 1), 255, dtype=np.uint8), channels=1)
    tensor([[[1., 1., 1.],
             [1., 1., 1.]]])
    """
    if array.ndim != 3 or array.shape[2] != channels or array.dtype.kind not in "uif":
        raise ValueError(
            f"it is an array of {array.shape} {array.dtype}, but the network reads {channels} channels: "
            f"expected numbers of height x width x {channels}"
        )
    scale = 1 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    values = array.astype(np.float32) / scale
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


def mean_and_std(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """ImageNet's mean and standard deviation by channel; of grey values for other than three channels.

    >>> mean_and_std(3)[0], mean_and_std(2)
    ((0.485, 0.456, 0.406), ((0.449, 0.449), (0.226, 0.226)))
    """
    if channels == 3:
        return RGB_MEAN, RGB_STD
    return (GREY_MEAN,) * channels, (GREY_STD,) * channels


def normalise(images: Float[Tensor, "n channels H W"]) -> Float[Tensor, "n channels H W"]:
    """Subtract the channels' mean and divide by their standard deviation, those of :func:`mean_and_std`."""
    mean, std = (images.new_tensor(values).reshape(-1, 1, 1) for values in mean_and_std(images.shape[1]))
    return (images - mean) / std


def open_image(path: Path, channels: int) -> Any:
    """Decode an image file by its path: a PIL image, or for an array file a tensor with values from 0 to 1.

    Raises:
        One of :data:`asvit.images.UNREADABLE`: it is missing, damaged or too small.
    """
    with open(path, "rb") as file:
        return check_size(decode(file, path.suffix, channels))


def read_image(path: Path, channels: int) -> Any:
    """Read an image that a user named.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return open_image(path, channels)
    except UNREADABLE as error:
        raise UserError(f"cannot read the image {path}: {error}; expected a JPEG, PNG, .npy or TIFF file") from error


def check_size(image: Any) -> Any:
    """Return an image unchanged, and refuse one with a side of less than 2 pixels."""
    height, width = image.shape[-2:] if isinstance(image, Tensor) else (image.height, image.width)
    if min(height, width) < 2:
        raise ValueError(f"it is {height}x{width} pixels: too small")
    return image


def decode(file: BufferedIOBase, suffix: str, channels: int) -> Any:
    """Decode an open image file: a PIL image of one or three channels, or for an array file a tensor from 0 to 1."""
    if suffix.lower() in ARRAYS:
        return open_array(file, suffix, channels)
    if channels not in (1, 3):
        raise ValueError(f"it holds at most three channels, but the network reads {channels}")
    return open_raster(file, "RGB" if channels == 3 else "L")
