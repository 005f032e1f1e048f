"""Objects that fill their boxes, in pictures of which no file is there, and detections of them."""

from pathlib import Path
from typing import Any

from faster_coco_eval.core import mask as rle

from asvit.detection.annotations import Annotation, Category, Picture
from asvit.detection.coco import Coco

Square = tuple[int, float, float, float, float]
"""Category, left, top, width and height of an object that fills its box."""


def squares(categories: dict[int, str], pictures: list[list[Square]], *, crowds: int = 0, side: int = 100) -> Coco:
    """Pictures of which no file is there, each with its objects; the last ones of the last picture are crowds."""
    objects, number = [], 0
    for image, some in enumerate(pictures):
        objects.append([])
        for category, *box in some:
            objects[-1].append(Annotation(number, image, category, (*box,), [rectangle(*box)]))
            number += 1
    for annotation in objects[-1][len(objects[-1]) - crowds :]:
        annotation.iscrowd = 1
    return Coco(
        path=Path("squares.json"),
        folder=Path("squares"),
        pictures=tuple(Picture(image, f"{image}.png", side, side) for image in range(len(pictures))),
        objects=objects,
        categories=tuple(Category(*category) for category in sorted(categories.items())),
        left_out=(),
        digest="",
    )


def detection_of(image: int, category: int, score: float, *box: float, side: int = 100) -> dict[str, Any]:
    """A detection that fills its box, as it is found in :func:`squares`."""
    runs = rle.segmToRle([rectangle(*box)], side, side)
    found = {"image_id": image, "category_id": category, "score": score, "bbox": list(box)}
    return found | {"segmentation": {"size": list(runs["size"]), "counts": runs["counts"].decode()}}


def rectangle(left: float, top: float, width: float, height: float) -> list[float]:
    """Outline of a box."""
    right, bottom = left + width, top + height
    return [left, top, right, top, right, bottom, left, bottom]
