"""Image files by their names: what a path, or an open file with a suffix, decodes to."""

from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from asvit.errors import UserError
from asvit.files import open_regular
from asvit.images.arrays import from_channels_last, load_npy
from asvit.images.bounds import UNREADABLE, Unfit, why_unreadable
from asvit.images.pictures import open_raster
from asvit.images.tiffs import load_tiff
from asvit.listing import ARRAYS
from asvit.units import ValueRange


def open_image(path: Path, channels: int, value_range: ValueRange | None = None) -> Any:
    """Decode an image file by its path: a PIL image, or for an array file a tensor with values from 0 to 1.

    Raises:
        One of :data:`asvit.images.bounds.UNREADABLE`: it is missing, no regular file, damaged, too large or too small.
    """
    with open_regular(path) as file:
        return check_size(decode(file, path.suffix, channels, value_range))


def read_image(path: Path, channels: int, value_range: ValueRange | None = None) -> Any:
    """Read an image that a user named.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return open_image(path, channels, value_range)
    except UNREADABLE as error:
        raise UserError(f"cannot read the image {path}: {why_unreadable(error)}") from error


def decode(file: BufferedIOBase, suffix: str, channels: int, value_range: ValueRange | None = None) -> Any:
    """Decode an open image file: a PIL image of one or three channels, or for an array file a tensor from 0 to 1.

    What its EXIF data or its TIFF tag say about its orientation has been done.
    """
    if suffix.lower() in ARRAYS:
        return open_array(file, suffix, channels, value_range)
    if channels not in (1, 3):
        raise Unfit(
            f"it is a picture of at most three channels, but {channels} channels are read: give .npy or TIFF files"
        )
    return open_raster(file, "RGB" if channels == 3 else "L")


def open_array(
    source: Path | BufferedIOBase, suffix: str, channels: int, value_range: ValueRange | None = None
) -> Float[Tensor, "channels H W"]:
    """Decode a ``.npy`` or TIFF file of height x width x channels, with values from 0 to 1.

    Raises:
        One of :data:`asvit.images.bounds.UNREADABLE`: the file is damaged, of another shape or not finite.
    """
    return from_channels_last(load_array(source, suffix, channels), channels, value_range)


def load_array(source: Path | BufferedIOBase, suffix: str, channels: int | None = None) -> np.ndarray:
    """Numbers of a ``.npy`` or TIFF file, height x width x channels; one of two dimensions gets a channel.

    Args:
        source: path, or open file.
        suffix: end of its name, which tells the two apart.
        channels: channels that are expected; None: as its shape suggests.

    Raises:
        One of :data:`asvit.images.bounds.UNREADABLE`: the file is damaged, too large, or of another shape.
    """
    if isinstance(source, Path):
        with open_regular(source) as file:
            return load_array(file, suffix, channels)
    return load_npy(source, channels) if suffix.lower() == ".npy" else load_tiff(source, channels)


def check_size(image: Any) -> Any:
    """Return an image unchanged, and refuse one with a side of less than 2 pixels."""
    height, width = image.shape[-2:] if isinstance(image, Tensor) else (image.height, image.width)
    if min(height, width) < 2:
        raise Unfit(f"it is {height}x{width} pixels: too small")
    return image
