"""Entries of COCO's JSON format, read one by one, and why nothing can be learned from some of them."""

import codecs
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from math import hypot
from pathlib import Path
from typing import Annotated, Any

import msgspec
from faster_coco_eval.core import mask as rle
from msgspec import Struct

from asvit.errors import UserError

SMALLEST_SIDE = 0.01
"""Pixels of a box within its picture that are still a side when it is resized in float32."""
FARTHEST = 10
"""Times a picture's longer side: an outline that goes beyond would take long to draw."""
LONGEST = 1_000_000
"""Pixels of an outline beyond which drawing it would take much memory."""
MOST_PIXELS = 2**28
"""Pixels of a picture above which one of its masks alone would take 256 MB."""
NO_OUTLINE = "has no outline: expected polygons of three points or more, or run lengths"
LARGEST_ID = 2**63 - 1
"""Ids are counted in 64 bits by COCO's evaluation."""


class Rle(Struct):
    """A mask by the lengths of its runs, column by column: numbers, or COCO's compressed text."""

    size: tuple[int, int]
    counts: list[int] | str


class Picture(Struct):
    """An entry of ``images``."""

    id: int
    file_name: str
    height: int
    width: int


class Annotation(Struct):
    """An entry of ``annotations``."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    """Left, top, width and height in pixels."""
    segmentation: list[list[float]] | Rle | None = None
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] | bool = 0
    area: float | None = None


class Category(Struct):
    """An entry of ``categories``."""

    id: int
    name: str
    supercategory: Any = None
    """Name of a group, if anything."""


class Document(Struct):
    """The whole file."""

    images: list[Picture]
    annotations: list[Annotation]
    categories: list[Category]


def read_document(path: Path) -> tuple[Document, str]:
    """The entries of a file, each id once, and the file's digest: equal digests, equal files.

    Raises:
        UserError: it is missing, no JSON, of another format, or has no images or categories.
    """
    try:
        content = path.read_bytes()
        document = msgspec.json.decode(in_utf8(content), type=Document)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; expected a file of COCO's JSON format") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UserError(f"{path} is not of COCO's format: {error}; expected images, annotations, categories") from error
    if not document.images or not document.categories:
        raise UserError(f"{path} has no {'categories' if document.images else 'images'}: expected COCO's JSON format")
    for what in ("images", "annotations", "categories"):
        _check_ids(path, what, (entry.id for entry in getattr(document, what)))
    for picture in document.images:
        if not (min(picture.height, picture.width) > 0 and picture.height * picture.width <= MOST_PIXELS):
            raise UserError(
                f"image {picture.id} in {path} is said to have {picture.width} by {picture.height} pixels: expected a "
                f"width and a height, and at most {MOST_PIXELS // 1_000_000} million pixels; mend the file"
            )
    return document, hashlib.sha256(content).hexdigest()[:16]


def in_utf8(content: bytes) -> bytes:
    r"""JSON without the byte order mark that some editors write in front, as UTF-8.

    >>> in_utf8(b"\xef\xbb\xbf{}"), in_utf8("{}".encode("utf-16"))
    (b'{}', b'{}')
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16").encode()
    return content.removeprefix(codecs.BOM_UTF8)


def _check_ids(path: Path, what: str, ids: Iterable[int]) -> None:
    seen: set[int] = set()
    for number in ids:
        if not -LARGEST_ID <= number <= LARGEST_ID:
            raise UserError(
                f"{path} has the id {str(number)[:30]} in {what}: expected whole numbers of at most 64 bits; number "
                f"the {what} anew, such as from 1"
            )
        refuse_twin(path, what, number, seen)


def refuse_twin(path: Path, what: str, name: int | str, seen: set[Any]) -> None:
    """Refuse what is there already, and remember it."""
    if name in seen:
        raise UserError(f"{path} has two {what} {name!r}: expected each once")
    seen.add(name)


def run_lengths(annotation: Annotation, picture: Picture) -> dict[str, Any]:
    """Compressed run lengths of an object's mask."""
    shape: Any = annotation.segmentation
    if isinstance(shape, Rle):
        shape = {"size": list(shape.size), "counts": shape.counts}
    return rle.segmToRle(shape, picture.width, picture.height)


def without_slivers(one: Annotation) -> None:
    """Take polygons of fewer than three points out of an outline, in place; COCO has some."""
    if isinstance(one.segmentation, list):
        one.segmentation = [polygon for polygon in one.segmentation if len(polygon) >= 6 and len(polygon) % 2 == 0]


def problem_of_box(one: Annotation, picture: Picture) -> str | None:
    """Why nothing can be learned from the box of an annotation, or None."""
    left, top, width, height = one.bbox
    if not (width > 0 and height > 0):
        return f"has a box of {width:g} by {height:g} pixels: expected an area"
    if any(abs(x) > FARTHEST * max(picture.width, picture.height) for x in one.bbox):
        return f"has a box far beyond its picture of {picture.width} by {picture.height} pixels"
    across, down = (
        min(start + side, most) - max(start, 0)
        for start, side, most in ((left, width, picture.width), (top, height, picture.height))
    )
    if 0 < min(across, down) < SMALLEST_SIDE:
        return f"has a box of {across:g} by {down:g} pixels within its picture: expected an area"
    if min(across, down) <= 0:
        return f"has a box beside its picture of {picture.width} by {picture.height} pixels"
    return None


def problem_of_outline(one: Annotation, picture: Picture) -> str | None:
    """Why nothing can be learned from the outline of an annotation, or None."""
    shape = one.segmentation
    if not isinstance(shape, Rle):
        problem = _problem_of_polygons(shape, picture)
    elif shape.size != (picture.height, picture.width):
        height, width = shape.size
        problem = f"has a mask of {width} by {height} pixels, its picture {picture.width} by {picture.height}"
    else:
        problem = _problem_of_runs(shape, one, picture)
    if problem is None and not _fills(one, picture):
        return "has an outline that fills no pixel of its picture"
    return problem


def _fills(one: Annotation, picture: Picture) -> bool:
    """Whether an outline fills a pixel of its picture."""
    # Drawing takes most of the time of reading, and most outlines are thick.
    if isinstance(one.segmentation, list) and any(_is_thick(polygon, picture) for polygon in one.segmentation):
        return True
    return bool(rle.area(run_lengths(one, picture)))


def _is_thick(polygon: Sequence[float], picture: Picture) -> bool:
    """Whether a polygon lies within its picture and has more area than length, twice over: then it fills a pixel."""
    left, top, right, bottom = extent(polygon)
    if left < 0 or top < 0 or right > picture.width or bottom > picture.height:
        return False
    area = sum(a * d - b * c for a, b, c, d in _sides(polygon)) / 2
    # The number of whole points within a closed curve differs from its area by less than its length (Jarnik, 1924).
    return abs(area) > 2 * _length(polygon)


def _length(polygon: Sequence[float]) -> float:
    return sum(hypot(c - a, d - b) for a, b, c, d in _sides(polygon))


def _sides(polygon: Sequence[float]) -> Iterator[tuple[float, float, float, float]]:
    x, y = polygon[::2], polygon[1::2]
    return zip(x, y, [*x[1:], x[0]], [*y[1:], y[0]], strict=True)


def _problem_of_polygons(shape: list[list[float]] | None, picture: Picture) -> str | None:
    if not shape:
        return NO_OUTLINE
    # Asked before anything is drawn, which takes long where an outline is far away.
    far = FARTHEST * max(picture.width, picture.height)
    if any(abs(x) > far for polygon in shape for x in polygon):
        return f"has an outline far from its picture of {picture.width} by {picture.height} pixels"
    if not any(_touches(picture, *extent(polygon)) for polygon in shape):
        return f"has an outline beside its picture of {picture.width} by {picture.height} pixels"
    if (length := sum(map(_length, shape))) > LONGEST:
        return f"has an outline that is {length:,.0f} pixels long: expected one of an object"
    return None


def _problem_of_runs(shape: Rle, one: Annotation, picture: Picture) -> str | None:
    if isinstance(shape.counts, list) and (
        min(shape.counts, default=0) < 0 or sum(shape.counts) != picture.height * picture.width
    ):
        return "has a mask whose runs do not add up to its picture"
    try:
        rle.decode([run_lengths(one, picture)])
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        return f"has a mask that cannot be decoded: {error}"
    return None


Corners = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""


def corners(bbox: tuple[float, float, float, float]) -> Corners:
    """Corners of a box of COCO.

    >>> corners((8.0, 10.0, 30.0, 36.0))
    (8.0, 10.0, 38.0, 46.0)
    """
    left, top, width, height = bbox
    return left, top, left + width, top + height


def bounds_of(one: Annotation, picture: Picture) -> Corners | None:
    """The smallest box around an outline, within its picture where it is a mask; None where there is no outline."""
    if isinstance(one.segmentation, Rle):
        left, top, width, height = rle.toBbox(run_lengths(one, picture)).tolist()
        return left, top, left + width, top + height
    if not one.segmentation:
        return None
    return extent([x for polygon in one.segmentation for x in polygon])


def extent(polygon: Sequence[float]) -> Corners:
    """The smallest box around points that are given as x, y, x, y.

    >>> extent([3.0, 5.0, 9.0, 1.0])
    (3.0, 1.0, 9.0, 5.0)
    """
    x, y = polygon[::2], polygon[1::2]
    return min(x), min(y), max(x), max(y)


def overlap(one: Corners, other: Corners) -> float:
    """Intersection over union of two boxes, 0 where one of them has no area.

    >>> overlap((0.0, 0.0, 2.0, 2.0), (1.0, 0.0, 3.0, 2.0)) == 1 / 3
    True
    """
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return 0.0
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return across * down / (sum(areas) - across * down)


def _touches(picture: Picture, left: float, top: float, right: float, bottom: float) -> bool:
    return left < picture.width and top < picture.height and right > 0 and bottom > 0
