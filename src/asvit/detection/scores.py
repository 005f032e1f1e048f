"""How good a detector is: COCO's twelve numbers for boxes and for masks, by faster-coco-eval."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as rle
from torch import Tensor

from asvit.detection.coco import Coco, run_lengths

Kind = Literal["bbox", "segm"]
Detection = dict[str, Any]
"""Of COCO's results format: image_id, category_id, score, bbox, segmentation."""

MASK_THRESHOLD = 0.5
"""Probability from which a pixel belongs to an object."""


@dataclass(frozen=True, kw_only=True)
class CocoScores:
    """COCO's twelve numbers, from 0 to 1; None where there is no object to find."""

    ap: float | None
    """Average precision, a mean over overlaps from 0.50 to 0.95 and over categories."""
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    """Of objects under 32² pixels."""
    ap_medium: float | None
    ap_large: float | None
    """Of objects over 96² pixels."""
    ar_1: float | None
    """Average recall with one object an image."""
    ar_10: float | None
    ar_100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None


TWELVE = {
    "ap": "AP    overlap 0.50:0.95, all sizes",
    "ap50": "AP    overlap 0.50",
    "ap75": "AP    overlap 0.75",
    "ap_small": "AP    small objects, under 32²",
    "ap_medium": "AP    medium objects",
    "ap_large": "AP    large objects, over 96²",
    "ar_1": "AR    1 detection an image",
    "ar_10": "AR    10 detections an image",
    "ar_100": "AR    100 detections an image",
    "ar_small": "AR    small objects",
    "ar_medium": "AR    medium objects",
    "ar_large": "AR    large objects",
}
"""COCO's numbers, in COCO's order."""


def detections_of(found: dict[str, Tensor], coco: Coco, index: int) -> list[Detection]:
    """What a detector found in a picture, in COCO's results format.

    Args:
        found: boxes, labels, scores and masks in pixels of the picture.
        coco: of which the picture is.
        index: of the picture.
    """
    boxes = found["boxes"].cpu().double()
    boxes[:, 2:] -= boxes[:, :2]
    shapes = outlines(found["masks"])
    return [
        {
            "image_id": coco.pictures[index].id,
            "category_id": coco.categories[label - 1].id,
            "bbox": box,
            "score": score,
            "segmentation": shape,
        }
        for label, box, score, shape in zip(
            found["labels"].tolist(), boxes.tolist(), found["scores"].cpu().double().tolist(), shapes, strict=True
        )
    ]


def outlines(masks: Tensor) -> list[dict[str, Any]]:
    """Compressed run lengths of masks ``n x 1 x H x W`` of probabilities."""
    pixels = (masks[:, 0] > MASK_THRESHOLD).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    if not pixels.shape[2]:
        return []
    return [
        {"size": list(one["size"]), "counts": one["counts"].decode()} for one in rle.encode(np.asfortranarray(pixels))
    ]


def coco_scores(coco: Coco, detections: Sequence[Detection], seen: Sequence[int]) -> tuple[CocoScores, CocoScores]:
    """COCO's evaluation of boxes and of masks.

    Args:
        coco: the truth.
        detections: of any of its pictures.
        seen: ids of the pictures that count.
    """
    truth = COCO(ground_truth(coco))
    return evaluated(truth, detections, seen, "bbox"), evaluated(truth, detections, seen, "segm")


def evaluated(truth: COCO, detections: Sequence[Detection], seen: Sequence[int], kind: Kind) -> CocoScores:
    """COCO's evaluation of boxes (``bbox``) or masks (``segm``)."""
    left_out = "segmentation" if kind == "bbox" else "bbox"  # the area of what is found is that of the other's mask
    found = truth.loadRes([{key: x for key, x in one.items() if key != left_out} for one in detections])
    evaluation = COCOeval_faster(truth, found, kind, print_function=_silent)
    evaluation.params.imgIds = sorted(seen)
    evaluation.run()
    numbers = [float(x) for x in evaluation.stats[: len(fields(CocoScores))]]
    names = [field.name for field in fields(CocoScores)]
    return CocoScores(**{name: None if x < 0 else x for name, x in zip(names, numbers, strict=True)})


def ground_truth(coco: Coco) -> dict[str, Any]:
    """The truth as COCO's evaluation reads it; annotations are numbered from 1, since it takes 0 for none."""
    annotations = []
    for picture, objects in zip(coco.pictures, coco.objects, strict=True):
        for one in objects:
            shape = run_lengths(one, picture)
            entry = {"image_id": one.image_id, "category_id": one.category_id, "bbox": list(one.bbox)}
            area = float(rle.area(shape)) if one.area is None else one.area
            entry |= {"segmentation": shape, "area": area, "iscrowd": one.iscrowd, "id": len(annotations) + 1}
            annotations.append(entry)
    pictures = [{"id": p.id, "height": p.height, "width": p.width} for p in coco.pictures]
    categories = [{"id": category.id, "name": category.name} for category in coco.categories]
    return {"images": pictures, "annotations": annotations, "categories": categories}


def _silent(*words: Any) -> None:
    """What faster-coco-eval would print is returned instead."""
