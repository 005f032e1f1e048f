"""TIFF files as arrays of height x width x channels: colours, planes and orientation as the file says."""

import logging
import lzma
import math
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from typing import Any

import numpy as np

from asvit.images.arrays import channels_last
from asvit.images.bounds import Unfit, check_values, damage_named
from asvit.images.pictures import ORIENTATION, opened_picture

MOST_PAGES = 4096
"""Pages of a file at most: a page may be a channel."""
NUMBERS = {0, 1, 2, 32803, 34892}
"""Photometric interpretations that are numbers as they stand: grey with 0 as white or black, RGB, and raw sensors.

Pillow makes RGB of the others: palettes, YCbCr and CIE L*a*b*.
"""
MIN_IS_WHITE, SEPARATED = 0, 5
DEFLATE, LZMA = (8, 32946, 50013), 34925
"""Compressions that make much of little."""
LARGEST_RATIO = 1032
"""Of bytes that deflate makes of a byte."""
SPARE = 2**26
"""Bytes that a strip may become, whatever the header says."""
PIECE = 2**20
"""Bytes of it that are decoded at a time while they are counted."""

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what is wrong with a file is said in one line here


def load_tiff(source: BufferedIOBase, channels: int | None = None) -> np.ndarray:
    """Numbers of a TIFF file, height x width x channels. Headers are checked before any are read.

    Args:
        source: open file.
        channels: channels that are expected; None: as the shape suggests, where the file does not say.

    Raises:
        One of :data:`~asvit.images.bounds.UNREADABLE`: it is damaged, too large, or compressed as nothing reads.
    """
    import tifffile

    with damage_named():
        pages = sum(1 for _ in page_offsets(source))
        if not pages:
            raise ValueError("it is no TIFF file, or has no pages")
        source.seek(0)
        # Other files that OME's XML names are not opened.
        with tifffile.TiffFile(source, _multifile=False) as tiff:  # pyright: ignore[reportArgumentType], its stubs
            series: Any = tiff.series[0]
            height, width = (series.sizes.get(side, 1) for side in ("height", "width"))
            check_values(height=height, width=width, channels=math.prod(series.shape) // max(1, height * width))
            page = series.keyframe
            for one in series.pages:
                _check_expansion(source, one, page)
            if not _by_tifffile(page):
                if len(series.pages) > 1:
                    raise Unfit(f"its {len(series.pages)} pages are stored as {_stored(page)}: {_REMEDY}")
                return _by_pillow(source, page)
            array = series.asarray()
            orientation = _tag(page, ORIENTATION, 1)
        named = next((axis for axis in "SC" if axis in series.axes), None)
        if named is not None and array.ndim == 3:
            array = np.moveaxis(array, series.axes.index(named), 2)
        else:
            array = channels_last(array, channels)
        return turned(_black_as_zero(array, page), orientation)


_REMEDY = "`pip install imagecodecs` reads it, or store it without compression"


def page_offsets(source: BufferedIOBase) -> Iterator[int]:
    """Where the pages of a TIFF file begin; none where it is no TIFF file.

    Raises:
        ValueError: a page points back to an earlier one, or there are too many.
    """
    size = source.seek(0, 2)
    source.seek(0)
    start = source.read(16)
    order = {b"II": "little", b"MM": "big"}.get(start[:2])
    version = int.from_bytes(start[2:4], order) if order else 0  # pyright: ignore[reportArgumentType]
    if version not in (42, 43):
        return

    def number(place: int, length: int) -> int:
        source.seek(place)
        return int.from_bytes(source.read(length), order)  # pyright: ignore[reportArgumentType]

    # Classic TIFF counts entries of 12 bytes in 2 bytes, offsets have 4; BigTIFF those of 20 in 8, offsets have 8.
    counter, entry, pointer, first = (2, 12, 4, 4) if version == 42 else (8, 20, 8, 8)
    seen = set[int]()
    offset = number(first, pointer)
    while 0 < offset < size:
        if offset in seen or len(seen) >= MOST_PAGES:
            raise ValueError("damaged: its pages form a loop" if offset in seen else f"more than {MOST_PAGES:,} pages")
        seen.add(offset)
        yield offset
        offset = number(offset + counter + entry * number(offset, counter), pointer)


def _by_tifffile(page: Any) -> bool:
    """Whether tifffile gives the numbers as they are meant; it lacks codecs without imagecodecs."""
    from tifffile import TIFF

    plain = page.photometric in NUMBERS or (page.photometric == SEPARATED and page.samplesperpixel != 4)
    return (
        plain
        and page.dtype is not None
        and page.bitspersample in (8, 16, 32, 64)
        and page.compression in TIFF.DECOMPRESSORS
        and page.predictor in TIFF.UNPREDICTORS
    )


def _check_expansion(source: BufferedIOBase, page: Any, like: Any) -> None:
    """Refuse strips or tiles that would become far larger than the header says; tifffile decodes them whole.

    Args:
        source: open file.
        page: where the strips are; None where the page is empty.
        like: a page that says how they are stored.

    Raises:
        ValueError: one would.
    """
    if page is None or like.compression not in (*DEFLATE, LZMA) or like.dtype is None:
        return
    size = source.seek(0, 2)
    if sum(page.databytecounts) > size:
        raise ValueError("damaged: its strips have more bytes than the file")
    most = max(SPARE, math.prod(like.chunks) * like.dtype.itemsize)
    for offset, stored in zip(page.dataoffsets, page.databytecounts, strict=True):
        if like.compression != LZMA and stored * LARGEST_RATIO <= most:
            continue
        source.seek(offset)
        if _expanded(source.read(stored), like.compression, most) > most:
            raise ValueError(f"damaged: {stored:,} bytes become more than {most:,}, which its header does not say")


def _expanded(content: bytes, compression: int, most: int) -> int:
    """Bytes that compressed ones become, counted piece by piece until there are too many."""
    decompressor = lzma.LZMADecompressor() if compression == LZMA else zlib.decompressobj()
    total = 0
    while not decompressor.eof and total <= most:
        piece = decompressor.decompress(content, PIECE)
        content = b"" if isinstance(decompressor, lzma.LZMADecompressor) else decompressor.unconsumed_tail
        total += len(piece)
        if not piece:
            break
    return total


def _by_pillow(source: BufferedIOBase, page: Any) -> np.ndarray:
    """Numbers of a single page as Pillow decodes it, which turns it upright itself."""
    source.seek(0)
    try:
        with opened_picture(source) as image:
            image.load()
            if image.mode == "1":
                array = np.asarray(image.convert("L"))
            elif page.bitspersample > 8 and not image.mode.startswith(("I", "F")):
                raise Unfit(f"it is stored as {_stored(page)}, of which 8 bits would be left: {_REMEDY}")
            elif image.mode in ("L", "LA", "RGB", "RGBA", "I", "F"):
                array = np.asarray(image)
            elif image.mode.startswith("I;16"):
                array = np.asarray(image).astype(np.uint16)
                array = 65535 - array if page.photometric == MIN_IS_WHITE else array
            else:
                array = np.asarray(image.convert("RGB"))
    except ValueError as error:
        if "identify" not in str(error):
            raise
        raise Unfit(f"it is stored as {_stored(page)}: {_REMEDY}") from error
    return array[:, :, None] if array.ndim == 2 else array


def _stored(page: Any) -> str:
    """How a page is stored, in TIFF's words."""
    names = (getattr(value, "name", str(value)) for value in (page.compression, page.photometric))
    return f"{', '.join(names)}, {page.samplesperpixel} samples of {page.bitspersample} bits"


def _black_as_zero(array: np.ndarray, page: Any) -> np.ndarray:
    if page.photometric != MIN_IS_WHITE:
        return array
    if array.dtype.kind != "u":
        raise Unfit(f"its white is 0, but it is {array.dtype}, which has no black: store it with black as 0")
    return np.iinfo(array.dtype).max - array


def _tag(page: Any, code: int, otherwise: int) -> int:
    tag = page.tags.get(code)
    return tag.value if tag is not None and isinstance(tag.value, int) else otherwise


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """An array of height x width x channels upright, by its TIFF or EXIF orientation from 1 to 8.

    >>> turned(np.array([[[1], [2]]]), 6).tolist()
    [[[1]], [[2]]]
    """
    match orientation:
        case 2:
            return array[:, ::-1]
        case 3:
            return array[::-1, ::-1]
        case 4:
            return array[::-1]
        case 5:
            return array.swapaxes(0, 1)
        case 6:
            return array.swapaxes(0, 1)[:, ::-1]
        case 7:
            return array.swapaxes(0, 1)[::-1, ::-1]
        case 8:
            return array.swapaxes(0, 1)[::-1]
        case _:
            return array
