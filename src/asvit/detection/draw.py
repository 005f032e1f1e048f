"""What a detector finds or misses, drawn on the picture."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from faster_coco_eval.core import mask as rle
from jaxtyping import Float
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from asvit.detection.scores import MASK_THRESHOLD
from asvit.errors import harmless, shortened

COLOURS = (
    (230, 25, 75), (60, 180, 75), (0, 130, 200), (245, 130, 48), (145, 30, 180), (70, 240, 240), (240, 50, 230),
    (210, 245, 60), (250, 190, 212), (0, 128, 128), (170, 110, 40), (128, 0, 0), (128, 128, 0), (0, 0, 128),
)  # fmt: skip
"""Colours of objects, one after the other."""
MOST_LETTERS = 80
"""Of a name on a picture: a longer one would cover it, and take long to draw."""
TINT = 0.25
"""Share of its colour in the pixels of an object."""

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""


@dataclass(frozen=True)
class Mark:
    """An object as it is marked on a picture."""

    words: str
    entry: dict[str, Any]
    """The object in COCO's format: ``bbox``, and ``segmentation`` in compressed run lengths."""
    colour: Colour
    dashed: bool = False
    """Whether its box is dashed, and its pixels have no tint."""


def draw(image: Float[Tensor, "C H W"], found: dict[str, Tensor], classes: Sequence[str]) -> Image.Image:
    """Outlines, boxes, classes and scores on a picture, the likeliest object on top.

    Args:
        image: pixels from 0 to 1; of other than three channels, their mean is drawn in grey.
        found: boxes, labels, scores and masks in pixels of the picture, the likeliest first.
        classes: names, label 1 first.
    """
    if image.shape[0] != 3:
        image = image.mean(0, keepdim=True).expand(3, -1, -1)
    canvas = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    boxes, labels, scores, masks = (found[name].flip(0) for name in ("boxes", "labels", "scores", "masks"))
    if not len(boxes):
        return to_pil_image(canvas)
    colours = [COLOURS[i % len(COLOURS)] for i in reversed(range(len(boxes)))]
    size = max(10, min(canvas.shape[1:]) // 25)
    canvas = draw_segmentation_masks(canvas, masks[:, 0] > MASK_THRESHOLD, alpha=0.45, colors=[*colours])
    canvas = draw_bounding_boxes(canvas, boxes, colors=[*colours], width=max(1, size // 8))
    picture = to_pil_image(canvas)
    for box, label, score, colour in zip(boxes.tolist(), labels.tolist(), scores.tolist(), colours, strict=True):
        write(picture, f"{classes[label - 1]} {score:.2f}", (box[0], box[1]), colour, size)
    return picture


def draw_marks(picture: Image.Image, marks: Iterable[Mark], side: int) -> Image.Image:
    """A picture in colour whose longer side is given, with marks drawn on it, the last on top.

    Args:
        picture: the picture in the size that the marks are of.
        marks: objects.
        side: pixels.
    """
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    marked = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    size, boxes = max(10, side // 36), []
    for mark in marks:
        # One mask at a time: each is as large as the picture was.
        pixels = Image.fromarray(255 * rle.decode(mark.entry["segmentation"])).resize(marked.size)
        if not mark.dashed:
            marked.paste(mark.colour, mask=pixels.point([round(TINT * value) for value in range(256)]))
        marked.paste(mark.colour, mask=ImageChops.subtract(pixels, pixels.filter(ImageFilter.MinFilter(3))))
        left, top, across, down = (scale * x for x in mark.entry["bbox"])
        boxes.append((mark, (left, top, left + across, top + down)))
    for mark, box in boxes:
        outline(marked, box, mark.colour, width=max(2, size // 6), dashed=mark.dashed)
    write_apart(marked, reversed(boxes), size)
    return marked


def outline(picture: Image.Image, box: Box, colour: Colour, *, width: int, dashed: bool) -> None:
    """A rectangle, where it lies within the picture."""
    pen = ImageDraw.Draw(picture)
    left, right = (min(max(x, 0), picture.width - 1) for x in box[::2])
    top, bottom = (min(max(y, 0), picture.height - 1) for y in box[1::2])
    if not dashed:
        pen.rectangle((left, top, right, bottom), outline=colour, width=width)
        return
    for start, end in dashes(left, right, 4 * width):
        for y in (top, bottom):
            pen.line((start, y, end, y), fill=colour, width=width)
    for start, end in dashes(top, bottom, 4 * width):
        for x in (left, right):
            pen.line((x, start, x, end), fill=colour, width=width)


def dashes(start: float, end: float, length: int) -> Iterator[tuple[float, float]]:
    """Beginnings and ends of dashes with gaps as long as they are.

    >>> list(dashes(0.0, 45.0, 10))
    [(0.0, 10.0), (20.0, 30.0), (40.0, 45.0)]
    """
    for dash in np.arange(start, end, 2 * length).tolist():
        yield dash, min(dash + length, end)


def write_apart(picture: Image.Image, boxes: Iterable[tuple[Mark, Box]], size: int) -> None:
    """Words of marks above their boxes, within or below them; where they would cover others' words, none.

    Args:
        picture: what to write on.
        boxes: marks with their boxes, those that matter most first.
        size: size of the letters in pixels.
    """
    taken: list[Box] = []
    for mark, (left, top, _, bottom) in boxes:
        _, start, _, end = ground_of(picture, mark.words, (left, top), size)
        for y in (top, top + end - start, bottom + end - start):
            corner = (left, y)
            ground = ground_of(picture, mark.words, corner, size)
            if not any(meet(ground, other) for other in taken):
                taken.append(ground)
                write(picture, mark.words, corner, mark.colour, size)
                break


def meet(one: Box, other: Box) -> bool:
    """Whether two boxes overlap.

    >>> meet((0.0, 0.0, 9.0, 9.0), (8.0, 8.0, 20.0, 20.0)), meet((0.0, 0.0, 9.0, 9.0), (9.0, 0.0, 20.0, 9.0))
    (True, False)
    """
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def write(picture: Image.Image, words: str, corner: tuple[float, float], colour: Colour, size: int) -> None:
    """Words in one line on a ground of a colour, above a corner of a box or, at an edge, within the picture."""
    words = shown_words(words)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    left, top, _, _ = pen.textbbox((0, 0), words, font=font)
    ground = ground_of(picture, words, corner, size)
    pen.rectangle(ground, fill=colour)
    dark = sum(colour) > 450  # a light ground wants dark words
    pen.text((ground[0] + 2 - left, ground[1] + 2 - top), words, fill="black" if dark else "white", font=font)


def shown_words(words: str) -> str:
    """Words as they are drawn: a class may have any name.

    >>> shown_words("two\\nlines 0.50")
    'two␊lines 0.50'
    """
    return shortened(harmless(words), MOST_LETTERS)


def ground_of(picture: Image.Image, words: str, corner: tuple[float, float], size: int) -> Box:
    """What words above a corner cover."""
    words = shown_words(words)
    left, top, right, bottom = ImageDraw.Draw(picture).textbbox((0, 0), words, font=ImageFont.load_default(size))
    width, height = right - left + 4, bottom - top + 4
    x = min(max(corner[0], 0.0), float(max(picture.width - width, 0)))
    y = min(max(corner[1] - height, 0.0), float(max(picture.height - height, 0)))
    return x, y, x + width, y + height
