"""Pictures and objects in COCO's JSON format: read, checked, and found to fit each other before anything is done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from faster_coco_eval.core import mask as rle
from jaxtyping import UInt8

from asvit.detection.annotations import (
    NO_OUTLINE,
    Annotation,
    Category,
    Document,
    Picture,
    bounds_of,
    problem_of_box,
    problem_of_outline,
    read_document,
    refuse_twin,
    run_lengths,
    without_slivers,
)
from asvit.detection.coordinates import Readings, refuse_shares
from asvit.detection.layouts import find_annotations, find_pictures
from asvit.detection.pictures import check_file, check_name, path_of
from asvit.errors import UserError
from asvit.listing import Split


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
    remarks: tuple[str, ...] = ()
    """What a user should know, in sentences without a full stop."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the categories, in the order of the labels."""
        return tuple(category.name for category in self.categories)

    @cached_property
    def labels(self) -> dict[int, int]:
        """Labels, from 1, by the ids of the categories, which may have gaps."""
        return {category.id: label for label, category in enumerate(self.categories, start=1)}

    def file(self, index: int) -> Path:
        """Path of a picture."""
        return path_of(self.folder, self.pictures[index].file_name)

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


def find_coco(root: Path, split: Split, *, max_left_out: int = 0) -> Coco:
    """A part of a data set that is laid out like COCO, or as annotation tools export it.

    Args:
        root: folder of the data set.
        split: train or val.
        max_left_out: as of :func:`read_coco`.

    Raises:
        UserError: there is no such part, or one of :func:`read_coco`.
    """
    file = find_annotations(root, split)
    document, digest = read_document(file)
    return fitted(file, document, digest, find_pictures(root, file, split, document.images), root, max_left_out)


def read_coco(path: Path, folder: Path, *, max_left_out: int = 0) -> Coco:
    """Read a file of COCO's format and check that it fits its pictures.

    Args:
        path: JSON file.
        folder: where its ``file_name`` are.
        max_left_out: annotations that may be left out since nothing can be learned from them: boxes without area,
            boxes or outlines beside their picture, outlines that are missing. They are no part of the truth either.

    Raises:
        UserError: the file is damaged or refers to what is not there, a picture is missing or of another size, boxes
            are not in pixels, or more annotations would have to be left out.
    """
    return fitted(path, *read_document(path), folder, folder, max_left_out)


def fitted(path: Path, document: Document, digest: str, folder: Path, root: Path, max_left_out: int) -> Coco:
    """Pictures with their objects, found to fit each other; ``root`` is the folder that none of them may be out of."""
    remarks = leave_groups_out(path, document)
    names: set[str] = set()
    for category in document.categories:
        refuse_twin(path, "names of categories", category.name, names)
    pictures = {picture.id: picture for picture in document.images}
    files: dict[Path, int] = {}
    for picture in document.images:
        check_name(path, root, folder, picture)
        file = path_of(folder, picture.file_name)
        if (other := files.setdefault(file, picture.id)) != picture.id:
            raise UserError(
                f"images {other} and {picture.id} in {path} are the same file {file}: expected each file once; give "
                "all of its annotations one image_id"
            )
    for file, number in files.items():
        check_file(path, file, pictures[number])
    objects, left_out = sort_out(path, document, pictures)
    refuse_too_many(path, document, left_out, max_left_out)
    return Coco(
        path,
        folder,
        tuple(document.images),
        Packed(objects[picture.id] for picture in document.images),
        tuple(sorted(document.categories, key=lambda category: category.id)),
        tuple(left_out),
        digest,
        remarks,
    )


def leave_groups_out(path: Path, document: Document) -> tuple[str, ...]:
    """Take out categories that only group others, as Roboflow writes one in front; returns what was taken out."""
    used = {annotation.category_id for annotation in document.annotations}
    above = [category.supercategory for category in document.categories]
    groups = [
        category
        for category in document.categories
        if category.supercategory == "none" and category.name in above and category.id not in used
    ]
    document.categories = [category for category in document.categories if category not in groups]
    return tuple(
        f"category {group.id} ({group.name}) in {path} is a group of others and has no object: it is no class"
        for group in groups
    )


def sort_out(
    path: Path, document: Document, pictures: Mapping[int, Picture]
) -> tuple[dict[int, list[Annotation]], list[str]]:
    """Annotations by picture, and those that nothing can be learned from, each with the reason.

    Args:
        path: JSON file.
        document: its content.
        pictures: its pictures by their ids.

    Raises:
        UserError: an annotation is of what is not there, or boxes are not in COCO's format.
    """
    known = {category.id for category in document.categories}
    objects: dict[int, list[Annotation]] = {picture.id: [] for picture in document.images}
    left_out: list[str] = []
    refuse_shares(path, document.annotations)
    readings = Readings()
    for annotation in document.annotations:
        number, image, category = annotation.id, annotation.image_id, annotation.category_id
        if image not in pictures or category not in known:
            what = f"image {image}" if image not in pictures else f"category {category}"
            raise UserError(f"annotation {number} in {path} is of {what}, which the file does not have: mend the file")
        picture = pictures[image]
        without_slivers(annotation)
        of_outline = problem_of_outline(annotation, picture)
        contradiction = None
        if of_outline in (None, NO_OUTLINE):
            contradiction = readings.look_at(annotation, picture, bounds_of(annotation, picture))
        problem = problem_of_box(annotation, picture) or of_outline or contradiction
        if problem is None:
            objects[image].append(annotation)
        else:
            left_out.append(f"annotation {number} of {picture.file_name} {problem}")
    readings.refuse_others(path)
    return objects, left_out


def refuse_too_many(path: Path, document: Document, left_out: Sequence[str], max_left_out: int) -> None:
    """Refuse annotations of which more would have to be left out than may be, or all.

    Raises:
        UserError: there are such, and what to do.
    """
    count = len(document.annotations)
    if sum(problem.endswith(NO_OUTLINE) for problem in left_out) == count > 0:
        raise UserError(
            f"the {count} annotations in {path} are boxes without outlines (segmentation), but a detector learns both: "
            "export polygons or masks from your annotation tool, or make each box its own outline, "
            "[[x, y, x + width, y, x + width, y + height, x, y + height]]"
        )
    if len(left_out) == count > 0:
        raise UserError(
            f"none of the {count} annotations in {path} can be used, the first: {left_out[0]}; mend the file"
        )
    if len(left_out) > max_left_out:
        raise UserError(
            f"{len(left_out)} annotations in {path} cannot be used, the first: {left_out[0]}; mend the file, or leave "
            f"such annotations out with --max-left-out {len(left_out)} (now {max_left_out})"
        )
