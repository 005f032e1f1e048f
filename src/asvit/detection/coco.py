"""Pictures and objects in COCO's JSON format: read, checked, and found to fit each other before anything is done."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from faster_coco_eval.core import mask as rle
from jaxtyping import UInt8
from msgspec import Struct

from asvit.errors import UserError
from asvit.images import ARRAYS, UNREADABLE, load_array

SMALLEST_SIDE = 0.01
"""Pixels of a box within its picture that are still a side when it is resized in float32."""
FARTHEST = 10
"""Times a picture's longer side: an outline that goes beyond would take long to draw."""


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
    iscrowd: int = 0
    area: float | None = None


class Category(Struct):
    """An entry of ``categories``."""

    id: int
    name: str


class Document(Struct):
    """The whole file."""

    images: list[Picture]
    annotations: list[Annotation]
    categories: list[Category]


class Packed(Sequence[list[Annotation]]):
    """Annotations of every picture in one tensor, which loading processes share rather than copy."""

    def __init__(self, groups: Iterable[list[Annotation]]) -> None:
        """Pack the annotations of each picture.

        >>> Packed([[], [Annotation(1, 2, 3, (0.0, 0.0, 5.0, 5.0))]])[1][0].category_id
        3
        """
        # A list of objects would be copied into every loading process; a tensor's memory is shared.
        encoded = [msgspec.msgpack.encode(group) for group in groups]
        self.ends = torch.tensor([0, *map(len, encoded)]).cumsum(0)
        self.content = torch.frombuffer(bytearray(b"".join(encoded)), dtype=torch.uint8)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Packed(self[i] for i in range(*index.indices(len(self))))
        # A range knows what lists do with numbers from the end, and where there is none.
        start, end = self.ends[range(len(self))[index]], self.ends[range(1, len(self) + 1)[index]]
        return msgspec.msgpack.decode(self.content[start:end].numpy().data, type=list[Annotation])


@dataclass(frozen=True)
class Coco:
    """Pictures with their objects, which fit each other."""

    path: Path
    """JSON file."""
    folder: Path
    """Folder of the pictures."""
    pictures: tuple[Picture, ...]
    objects: Sequence[list[Annotation]]
    """Objects of every picture, crowds among them."""
    categories: tuple[Category, ...]
    """Categories by ascending id; the first is label 1."""
    left_out: tuple[str, ...]
    """Annotations that nothing can be learned from, each with the reason."""
    digest: str
    """Digest of the JSON file: equal digests, equal files."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the categories, in the order of the labels."""
        return tuple(category.name for category in self.categories)

    @cached_property
    def labels(self) -> dict[int, int]:
        """Labels, from 1, by the ids of the categories, which may have gaps."""
        return {category.id: label for label, category in enumerate(self.categories, start=1)}

    def learned(self, index: int) -> list[Annotation]:
        """Objects of a picture that a detector learns: crowds are left out."""
        # One outline around many objects teaches nothing about one; evaluation forgives what is found within it.
        return [annotation for annotation in self.objects[index] if not annotation.iscrowd]

    def masks(self, index: int) -> UInt8[np.ndarray, "n height width"]:
        """Outlines of :meth:`learned`, 0 or 1."""
        picture = self.pictures[index]
        size = picture.height, picture.width
        runs = [run_lengths(annotation, picture) for annotation in self.learned(index)]
        return np.ascontiguousarray(rle.decode(runs).transpose(2, 0, 1)) if runs else np.zeros((0, *size), np.uint8)


def run_lengths(annotation: Annotation, picture: Picture) -> dict[str, Any]:
    """Compressed run lengths of an object's mask."""
    shape: Any = annotation.segmentation
    if isinstance(shape, Rle):
        shape = {"size": list(shape.size), "counts": shape.counts}
    return rle.segmToRle(shape, picture.width, picture.height)


def read_coco(path: Path, folder: Path, *, max_left_out: int = 0) -> Coco:
    """Read a file of COCO's format and check that it fits its pictures.

    Args:
        path: JSON file.
        folder: where its ``file_name`` are.
        max_left_out: annotations that may be left out since nothing can be learned from them: boxes without area,
            boxes or outlines beside their picture, outlines that are missing. They are no part of the truth either.

    Raises:
        UserError: the file is damaged or refers to what is not there, a picture is missing or of another size, or more
            annotations would have to be left out.
    """
    document, digest = _decode(path)
    _refuse_twins(path, "images", (picture.id for picture in document.images))
    _refuse_twins(path, "annotations", (annotation.id for annotation in document.annotations))
    _refuse_twins(path, "categories", (category.id for category in document.categories))
    _refuse_twins(path, "names of categories", (category.name for category in document.categories))
    if not document.images or not document.categories:
        raise UserError(f"{path} has no {'categories' if document.images else 'images'}: expected COCO's JSON format")
    pictures = {picture.id: picture for picture in document.images}
    known = {category.id for category in document.categories}
    objects: dict[int, list[Annotation]] = {picture.id: [] for picture in document.images}
    left_out: list[str] = []
    for annotation in document.annotations:
        number, image, category = annotation.id, annotation.image_id, annotation.category_id
        if image not in pictures or category not in known:
            what = f"image {image}" if image not in pictures else f"category {category}"
            raise UserError(f"annotation {number} in {path} is of {what}, which the file does not have: mend the file")
        without_slivers(annotation)
        problem = problem_of(annotation, pictures[image])
        if problem is None:
            objects[image].append(annotation)
        else:
            left_out.append(f"annotation {number} of {pictures[image].file_name} {problem}")
    if len(left_out) > max_left_out:
        raise UserError(
            f"{len(left_out)} annotations in {path} cannot be used, the first: {left_out[0]}; mend the file, or leave "
            f"such annotations out with --max-left-out {len(left_out)} (now {max_left_out})"
        )
    for picture in document.images:
        _check_file(path, folder, picture)
    return Coco(
        path,
        folder,
        tuple(document.images),
        Packed(objects[picture.id] for picture in document.images),
        tuple(sorted(document.categories, key=lambda category: category.id)),
        tuple(left_out),
        digest,
    )


def _decode(path: Path) -> tuple[Document, str]:
    try:
        content = path.read_bytes()
        return msgspec.json.decode(content, type=Document), hashlib.sha256(content).hexdigest()[:16]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; expected a file of COCO's JSON format") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not of COCO's format: {error}; expected images, annotations, categories") from error


def _refuse_twins(path: Path, what: str, ids: Iterable[Any]) -> None:
    seen: set[Any] = set()
    for name in ids:
        if name in seen:
            raise UserError(f"{path} has two {what} {name!r}: expected each once")
        seen.add(name)


def without_slivers(one: Annotation) -> None:
    """Take polygons of fewer than three points out of an outline, in place; COCO has some."""
    if isinstance(one.segmentation, list):
        one.segmentation = [polygon for polygon in one.segmentation if len(polygon) >= 6 and len(polygon) % 2 == 0]


def problem_of(one: Annotation, picture: Picture) -> str | None:
    """Why nothing can be learned from an annotation, or None."""
    left, top, width, height = one.bbox
    if not (width > 0 and height > 0):
        return f"has a box of {width:g} by {height:g} pixels: expected an area"
    # Asked before anything is drawn, which takes long where an outline is far away.
    far = FARTHEST * max(picture.width, picture.height)
    if any(abs(x) > far for x in one.bbox):
        return f"has a box far beyond its picture of {picture.width} by {picture.height} pixels"
    across, down = (
        min(start + side, most) - max(start, 0)
        for start, side, most in ((left, width, picture.width), (top, height, picture.height))
    )
    if 0 < min(across, down) < SMALLEST_SIDE:
        return f"has a box of {across:g} by {down:g} pixels within its picture: expected an area"
    if min(across, down) <= 0:
        return f"has a box beside its picture of {picture.width} by {picture.height} pixels"
    shape = one.segmentation
    if isinstance(shape, Rle):
        if shape.size != (picture.height, picture.width):
            height, width = shape.size
            return f"has a mask of {width} by {height} pixels, its picture {picture.width} by {picture.height}"
        if isinstance(shape.counts, list) and (
            min(shape.counts, default=0) < 0 or sum(shape.counts) != picture.height * picture.width
        ):
            return "has a mask whose runs do not add up to its picture"
        try:
            rle.decode([run_lengths(one, picture)])
        except (RuntimeError, ValueError, TypeError) as error:
            return f"has a mask that cannot be decoded: {error}"
        return None
    if not shape:
        return "has no outline: expected polygons of three points or more, or run lengths"
    if any(abs(x) > far for polygon in shape for x in polygon):
        return f"has an outline far from its picture of {picture.width} by {picture.height} pixels"
    if not any(_touches(picture, *_bounds(polygon)) for polygon in shape):
        return f"has an outline beside its picture of {picture.width} by {picture.height} pixels"
    return None


def _bounds(polygon: Sequence[float]) -> tuple[float, float, float, float]:
    x, y = polygon[::2], polygon[1::2]
    return min(x), min(y), max(x), max(y)


def _touches(picture: Picture, left: float, top: float, right: float, bottom: float) -> bool:
    return left < picture.width and top < picture.height and right > 0 and bottom > 0


def _check_file(path: Path, folder: Path, picture: Picture) -> None:
    """Refuse a picture that is missing or of another size; one that is damaged is found when it is decoded."""
    file = folder / picture.file_name
    try:
        size = image_size(file)
    except FileNotFoundError as error:
        raise UserError(f"there is no {file}, which {path} names: choose the folder of its images") from error
    except UNREADABLE:
        return
    if size != (picture.height, picture.width):
        raise UserError(
            f"{file} has {size[1]} by {size[0]} pixels, but {path} says {picture.width} by {picture.height}: "
            "expected the images that were annotated"
        )


def image_size(file: Path) -> tuple[int, int]:
    """Height and width of an image file, of which only the head is read where it can be."""
    from PIL import Image

    if file.suffix.lower() in ARRAYS:
        height, width, *_ = load_array(file, file.suffix).shape
        return height, width
    try:
        with Image.open(file) as image:
            return image.height, image.width
    except Image.DecompressionBombError as error:
        raise ValueError(error) from error


def find_coco(root: Path, split: str, *, max_left_out: int = 0) -> Coco:
    """The part of a data set that is laid out like COCO: ``annotations/*train*.json``, ``*val*.json`` and pictures.

    The pictures are in a folder named after the JSON file (``train2017`` for ``instances_train2017.json``), the split
    or ``images``, or in one of the former within ``images``.
    """
    files = sorted((root / "annotations").glob(f"instances_*{split}*.json")) or sorted(
        (root / "annotations").glob(f"*{split}*.json")
    )
    if len(files) != 1:
        present = ", ".join(path.name for path in files) or "none"
        raise UserError(
            f"expected one JSON file for {split} in {root / 'annotations'}, such as instances_{split}2017.json, "
            f"found {present}: choose a folder laid out like COCO"
        )
    name = files[0].stem.removeprefix("instances_")
    folders = [root / name, root / "images" / name, root / split, root / "images" / split, root / "images"]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise UserError(f"there is no folder of images for {files[0]}: expected {root / name} or {root / 'images'}")
    return read_coco(files[0], folder, max_left_out=max_left_out)
