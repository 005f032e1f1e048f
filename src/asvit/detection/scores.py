"""How good a detector is: COCO's twelve numbers for boxes and for masks, by faster-coco-eval."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as rle
from torch import Tensor

from asvit.detection.coco import Coco, run_lengths
from asvit.detection.results import CocoScores

Kind = Literal["bbox", "segm"]
Detection = dict[str, Any]
"""Of COCO's results format: image_id, category_id, score, bbox, segmentation."""

MASK_THRESHOLD = 0.5
"""Probability from which a pixel belongs to an object."""


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
