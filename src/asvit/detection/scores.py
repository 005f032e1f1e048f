"""How good a detector is: COCO's twelve numbers and each class's, for boxes and for masks, by faster-coco-eval."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as rle
from jaxtyping import Float
from torch import Tensor

from asvit.detection.annotations import run_lengths
from asvit.detection.coco import Coco
from asvit.detection.results import LEAST_IOU, ClassScores, CocoScores

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


@dataclass(frozen=True)
class Scored:
    """COCO's evaluation of what was found."""

    boxes: CocoScores
    masks: CocoScores
    by_class: tuple[ClassScores, ...]
    """Average precision of every class, label 1 first."""


def coco_scores(coco: Coco, detections: Sequence[Detection], seen: Sequence[int]) -> Scored:
    """COCO's evaluation of boxes and of masks.

    Args:
        coco: the truth.
        detections: what was found in any of its pictures.
        seen: ids of the pictures that count.
    """
    truth, counted = COCO(ground_truth(coco)), frozenset(seen)
    boxes, masks = (evaluated(truth, detections, seen, kind) for kind in ("bbox", "segm"))
    objects = Counter(
        entry["category_id"] for entry in truth.anns.values() if entry["image_id"] in counted and not entry["iscrowd"]
    )
    by_class = tuple(
        ClassScores(name=category.name, objects=objects[category.id], boxes=box, masks=mask)
        for category, box, mask in zip(coco.categories, precisions(boxes), precisions(masks), strict=True)
    )
    return Scored(twelve(boxes), twelve(masks), by_class)


def evaluated(truth: COCO, detections: Sequence[Detection], seen: Sequence[int], kind: Kind) -> COCOeval_faster:
    """COCO's evaluation of boxes (``bbox``) or masks (``segm``)."""
    evaluation = asked(truth, detections, seen, kind)
    evaluation.run()
    return evaluation


def asked(truth: COCO, detections: Sequence[Detection], seen: Sequence[int], kind: Kind) -> COCOeval_faster:
    """An evaluation that has not been run; it numbers detections from 1."""
    left_out = "segmentation" if kind == "bbox" else "bbox"  # the area of what is found is that of the other's mask
    results = truth.loadRes([{key: x for key, x in entry.items() if key != left_out} for entry in detections])
    evaluation = COCOeval_faster(truth, results, kind, print_function=_silent)
    evaluation.params.imgIds = sorted(seen)
    return evaluation


def twelve(evaluation: COCOeval_faster) -> CocoScores:
    """COCO's numbers of an evaluation."""
    numbers = [float(x) for x in evaluation.stats[: len(fields(CocoScores))]]
    names = [field.name for field in fields(CocoScores)]
    return CocoScores(**{name: None if x < 0 else x for name, x in zip(names, numbers, strict=True)})


def precisions(evaluation: COCOeval_faster) -> list[float | None]:
    """Average precision of every category by ascending id: over overlaps and recalls, of all sizes, 100 an image."""
    # Overlaps x recalls x categories x sizes x most detections, -1 where there is no object: the first size is all.
    by_category = evaluation.eval["precision"][:, :, :, 0, -1].transpose(2, 0, 1)
    valid = (values[values > -1] for values in by_category)
    return [float(values.mean()) if values.size else None for values in valid]


def objects_found(truth: COCO, detections: Sequence[Detection], seen: Sequence[int]) -> dict[int, int]:
    """Which object each detection has found, the likeliest detection first.

    It is the one, of those of its category that are not found yet, whose box has the highest intersection over union
    with its own, from :data:`asvit.detection.results.LEAST_IOU` on.

    Args:
        truth: the objects, crowds among them.
        detections: what was found.
        seen: ids of the pictures that count.

    Returns:
        Places in the sequence of detections, each with the id of an annotation.
    """
    evaluation = asked(truth, detections, seen, "bbox")
    # With a single overlap and a single size, what faster-coco-eval calls matched is one object a detection.
    evaluation.params.iouThrs = np.array([LEAST_IOU])
    evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:1], ["all"]
    evaluation.params.maxDets = [max(1, len(detections))]
    evaluation.evaluate()
    evaluation.accumulate()
    pairs = (map(int, pair.split("_")) for pair in evaluation.eval["matched"])
    return {detection - 1: annotation for detection, annotation in pairs}


def ground_truth(coco: Coco) -> dict[str, Any]:
    """The truth as COCO's evaluation reads it; annotations are numbered from 1, since it takes 0 for none."""
    annotations = []
    for picture, objects in zip(coco.pictures, coco.objects, strict=True):
        for annotation in objects:
            shape = run_lengths(annotation, picture)
            entry = {"image_id": annotation.image_id, "category_id": annotation.category_id}
            area = float(rle.area(shape)) if annotation.area is None else annotation.area
            entry |= {"bbox": list(annotation.bbox), "segmentation": shape, "area": area}
            entry |= {"iscrowd": int(annotation.iscrowd), "id": len(annotations) + 1}
            annotations.append(entry)
    pictures = [{"id": p.id, "height": p.height, "width": p.width} for p in coco.pictures]
    categories = [{"id": category.id, "name": category.name} for category in coco.categories]
    return {"images": pictures, "annotations": annotations, "categories": categories}


def _silent(*words: Any) -> None:
    """What faster-coco-eval would print is returned instead."""
