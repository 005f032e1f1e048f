"""How good a detector is: COCO's twelve numbers for boxes and for masks, by faster-coco-eval."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as rle
from jaxtyping import Float
from torch import Tensor

from asvit.detection.coco import Coco, run_lengths
from asvit.detection.results import CocoScores

Kind = Literal["bbox", "segm"]
Detection = dict[str, Any]
"""A detection in COCO's results format: ``image_id``, ``category_id``, ``score``, ``bbox`` (left, top, width and height
in pixels) and ``segmentation`` (compressed run lengths)."""

MASK_THRESHOLD = 0.5
"""Probability from which a pixel belongs to an object."""


def detections_of(found: dict[str, Tensor], coco: Coco, index: int) -> list[Detection]:
    """What a detector found in a picture, in COCO's results format.

    Args:
        found: boxes, labels, scores and masks in pixels of the picture.
        coco: data set of the picture.
        index: number of the picture in it.
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


def outlines(masks: Float[Tensor, "n 1 H W"]) -> list[dict[str, Any]]:
    """Compressed run lengths of masks of probabilities."""
    pixels = (masks[:, 0] > MASK_THRESHOLD).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    if not pixels.shape[2]:
        return []
    return [
        {"size": list(shape["size"]), "counts": shape["counts"].decode()}
        for shape in rle.encode(np.asfortranarray(pixels))
    ]


def coco_scores(coco: Coco, detections: Sequence[Detection], seen: Sequence[int]) -> tuple[CocoScores, CocoScores]:
    """COCO's evaluation of boxes and of masks.

    Args:
        coco: the truth.
        detections: what was found in any of its pictures.
        seen: ids of the pictures that count.
    """
    truth = COCO(ground_truth(coco))
    return evaluated(truth, detections, seen, "bbox"), evaluated(truth, detections, seen, "segm")


def evaluated(truth: COCO, detections: Sequence[Detection], seen: Sequence[int], kind: Kind) -> CocoScores:
    """COCO's evaluation of boxes (``bbox``) or masks (``segm``)."""
    left_out = "segmentation" if kind == "bbox" else "bbox"  # the area of what is found is that of the other's mask
    results = truth.loadRes([{key: x for key, x in entry.items() if key != left_out} for entry in detections])
    evaluation = COCOeval_faster(truth, results, kind, print_function=_silent)
    evaluation.params.imgIds = sorted(seen)
    evaluation.run()
    numbers = [float(x) for x in evaluation.stats[: len(fields(CocoScores))]]
    names = [field.name for field in fields(CocoScores)]
    return CocoScores(**{name: None if x < 0 else x for name, x in zip(names, numbers, strict=True)})


def ground_truth(coco: Coco) -> dict[str, Any]:
    """The truth as COCO's evaluation reads it; annotations are numbered from 1, since it takes 0 for none."""
    annotations = []
    for picture, objects in zip(coco.pictures, coco.objects, strict=True):
        for annotation in objects:
            shape = run_lengths(annotation, picture)
            entry = {"image_id": annotation.image_id, "category_id": annotation.category_id}
            area = float(rle.area(shape)) if annotation.area is None else annotation.area
            entry |= {"bbox": list(annotation.bbox), "segmentation": shape, "area": area}
            entry |= {"iscrowd": annotation.iscrowd, "id": len(annotations) + 1}
            annotations.append(entry)
    pictures = [{"id": p.id, "height": p.height, "width": p.width} for p in coco.pictures]
    categories = [{"id": category.id, "name": category.name} for category in coco.categories]
    return {"images": pictures, "annotations": annotations, "categories": categories}


def _silent(*words: Any) -> None:
    """What faster-coco-eval would print is returned instead."""
