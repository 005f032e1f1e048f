"""Pictures that Pillow decodes: JPEG, PNG and the like, turned as their EXIF data say, to 8 bits a channel."""

import ctypes
import logging
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asvit.files import open_regular
from asvit.images.bounds import Unfit, check_values, damage_named

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "GIF", "TIFF")
"""Pillow's names. Whatever a file is called, it goes by the content, and for EPS would run Ghostscript."""
ORIENTATION = 0x0112
"""EXIF and TIFF tag that says how an image is turned."""


@contextmanager
def opened_picture(source: Path | BufferedIOBase) -> "Iterator[Image]":
    """A picture whose header has been read, and whose pixels are few enough to be decoded.

    Raises:
        One of :data:`~asvit.images.bounds.UNREADABLE`: it is damaged, too large, or none; also by what is done with it.
    """
    from PIL import Image, UnidentifiedImageError

    with damage_named(), warnings.catch_warnings(), _opened(source) as file:
        warnings.simplefilter("ignore")  # of sizes, which are checked here, and of metadata
        silence_decoders()
        try:
            image: Any = Image.open(file, formats=FORMATS)  # pyright: ignore[reportArgumentType], its stubs want IO[bytes]
        except UnidentifiedImageError as error:  # names an object in memory, another one every time
            raise ValueError("cannot identify image file") from error
        except Image.DecompressionBombError as error:
            raise ValueError(error) from error
        check_values(height=image.height, width=image.width, channels=3)
        yield image


@cache
def silence_decoders() -> None:
    """Let Pillow, and libtiff below it, write nothing to stderr: what is wrong with a file is said in one line here."""
    from PIL import _imaging

    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with suppress(AttributeError, OSError):  # where it is linked in another way
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)


def _opened(source: Path | BufferedIOBase) -> AbstractContextManager[BufferedIOBase]:
    return open_regular(source) if isinstance(source, Path) else nullcontext(source)


def open_raster(source: Path | BufferedIOBase, mode: str) -> "Image":
    """Decode an image file to 8 bits a channel; grey values of 16 bits are scaled, not cut off.

    Raises:
        One of :data:`~asvit.images.bounds.UNREADABLE`: the file is damaged, too large, or no image.
    """
    with opened_picture(source) as image:
        return as_mode(image, mode)


def as_mode(image: Any, mode: str) -> "Image":
    """A picture upright, in 8 bits a channel of a mode: L or RGB.

    >>> from PIL import Image
    >>> as_mode(Image.new("RGBA", (4, 2), "red"), "RGB").getpixel((0, 0))
    (255, 0, 0)
    """
    from PIL import Image

    if image.mode == "F":
        raise Unfit("its values are floats, which have no range in a picture: store a .npy or TIFF file")
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float32) / 257  # 65535 becomes 255
        return upright(Image.fromarray(grey.round().clip(0, 255).astype(np.uint8)), orientation_of(image)).convert(mode)
    return upright(image.convert(mode), orientation_of(image))


def orientation_of(image: Any) -> int:
    """How a picture is turned, by its EXIF data: from 1 (not at all) to 8."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged data about an image whose pixels may be whole
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def upright(image: Any, orientation: int) -> Any:
    """A picture turned and mirrored so that it is seen as it was taken; it says no longer that it has to be."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    if orientation == 1:
        return image
    seen = image.transpose(turns[orientation])
    seen.info.clear()  # EXIF data among it, by which it would be turned again
    return seen


def upright_size(image: Any) -> tuple[int, int]:
    """Height and width of a picture once it is upright.

    >>> from PIL import Image
    >>> upright_size(Image.new("L", (4, 2)))
    (2, 4)
    """
    height, width = image.height, image.width
    return (width, height) if orientation_of(image) >= 5 else (height, width)
