"""What a detector finds, drawn on the picture."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from asvit.detection.scores import MASK_THRESHOLD

COLOURS = (
    (230, 25, 75), (60, 180, 75), (0, 130, 200), (245, 130, 48), (145, 30, 180), (70, 240, 240), (240, 50, 230),
    (210, 245, 60), (250, 190, 212), (0, 128, 128), (170, 110, 40), (128, 0, 0), (128, 128, 0), (0, 0, 128),
)  # fmt: skip
"""Colours of objects, one after the other."""


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


def write(
    picture: Image.Image, words: str, corner: tuple[float, float], colour: tuple[int, int, int], size: int
) -> None:
    """Words on a ground of a colour, above a corner of a box or, at an edge, within the picture."""
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    left, top, right, bottom = pen.textbbox((0, 0), words, font=font)
    width, height = right - left + 4, bottom - top + 4
    x = min(max(corner[0], 0), max(picture.width - width, 0))
    y = min(max(corner[1] - height, 0), max(picture.height - height, 0))
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    dark = sum(colour) > 450  # a light ground wants dark words
    pen.text((x + 2 - left, y + 2 - top), words, fill="black" if dark else "white", font=font)
