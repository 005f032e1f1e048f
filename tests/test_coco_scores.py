"""COCO's numbers: the truth scores 1, and any detections score what pycocotools says."""

import contextlib
import io
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
import torch
from coco_sets import coco_folder
from coco_squares import detection_of, squares
from faster_coco_eval.core import mask as rle
from pycocotools.coco import COCO as Reference
from pycocotools.cocoeval import COCOeval as ReferenceEvaluation

from asvit.detection.annotations import run_lengths
from asvit.detection.coco import Coco, find_coco
from asvit.detection.scores import coco_scores, detections_of, ground_truth

SHARED = Path(__file__).parents[2] / "shared" / "data"


def as_found(coco: Coco) -> list[dict]:
    """The truth as if a detector had found it, crowds left out."""
    found = []
    for i in range(len(coco.pictures)):
        objects = [one for one in coco.objects[i] if not one.iscrowd]
        boxes = torch.tensor([one.bbox for one in objects], dtype=torch.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        output = {
            "boxes": boxes,
            "labels": torch.tensor([coco.labels[one.category_id] for one in objects], dtype=torch.long),
            "scores": torch.linspace(1, 0.5, len(objects)),
            "masks": torch.from_numpy(coco.masks(i))[:, None].float(),
        }
        found += detections_of(output, coco, i)
    return found


def disturbed(coco: Coco, seed: int) -> list[dict]:
    """Detections that are right, shifted, of another class, doubled or missing."""
    rng = np.random.default_rng(seed)
    found = []
    for i, picture in enumerate(coco.pictures):
        for one in coco.objects[i]:
            for _ in range(int(rng.integers(0, 3))):
                shift = rng.normal(0, 0.12 * one.bbox[2], 2)
                shape = run_lengths(one, picture)
                roll = tuple(round(s) for s in shift[::-1])
                moved = np.roll(rle.decode(shape), roll, (0, 1))
                runs = rle.encode(np.asfortranarray(moved))
                other = coco.categories[int(rng.integers(len(coco.categories)))].id
                found.append(
                    {
                        "image_id": picture.id,
                        "category_id": one.category_id if rng.random() < 0.8 else other,
                        "bbox": [one.bbox[0] + shift[0], one.bbox[1] + shift[1], one.bbox[2], one.bbox[3]],
                        "score": float(rng.random()),
                        "segmentation": {"size": list(runs["size"]), "counts": runs["counts"].decode()},
                    }
                )
    return found


def reference(coco: Coco, found: list[dict], kind: str) -> list[float]:
    """The same numbers by pycocotools, from the same truth."""
    left_out = "segmentation" if kind == "bbox" else "bbox"
    with contextlib.redirect_stdout(io.StringIO()):
        truth = Reference()
        truth.dataset = ground_truth(coco)
        truth.createIndex()
        detections = truth.loadRes([{key: x for key, x in one.items() if key != left_out} for one in found])
        evaluation = ReferenceEvaluation(truth, detections, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return list(evaluation.stats)


def numbers(coco: Coco, found: list[dict], kind) -> list[float]:
    scored = coco_scores(coco, found, ids(coco))
    return [-1.0 if x is None else x for x in astuple(scored.boxes if kind == "bbox" else scored.masks)]


def ids(coco: Coco) -> list[int]:
    return [picture.id for picture in coco.pictures]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Coco:
    return find_coco(coco_folder(tmp_path_factory.mktemp("coco"), train=30), "train")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Coco:
    archive = SHARED / "coco_mini_320.tar"
    if not archive.exists():
        pytest.skip("real photographs stand beside the project only while it is developed")
    import tarfile

    folder = tmp_path_factory.mktemp("real")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return find_coco(folder / "coco_mini_320", "val")


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("data", ["shapes", "photographs"])
def test_the_truth_scores_one(data, kind, request):
    coco = request.getfixturevalue(data)
    scored = coco_scores(coco, as_found(coco), ids(coco))
    scores = scored.boxes if kind == "bbox" else scored.masks
    exact = kind == "bbox" or data == "shapes"  # a few of the photographs' masks are nearly empty
    assert scores.ap == pytest.approx(1.0, abs=1e-9 if exact else 0.002)
    assert scores.ap50 == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("data", ["shapes", "photographs"])
def test_scores_are_those_of_pycocotools(data, kind, request):
    coco = request.getfixturevalue(data)
    found = disturbed(coco, 0)
    assert numbers(coco, found, kind) == pytest.approx(reference(coco, found, kind), abs=1e-6)
    assert 0.05 < numbers(coco, found, kind)[0] < 0.9


def test_nothing_found_scores_nothing_and_sizes_without_objects_have_no_score(shapes):
    scores = coco_scores(shapes, [], ids(shapes)).boxes
    assert (scores.ap, scores.ar_100) == (0.0, 0.0)
    assert scores.ap_large is None


@pytest.mark.parametrize("data", ["shapes", "photographs"])
def test_the_average_precision_is_the_mean_of_the_classes(data, request):
    coco = request.getfixturevalue(data)
    scored = coco_scores(coco, disturbed(coco, 0), ids(coco))
    assert tuple(one.name for one in scored.by_class) == coco.classes
    for kind in ("boxes", "masks"):
        known = [ap for one in scored.by_class if (ap := getattr(one, kind)) is not None]
        assert getattr(scored, kind).ap == pytest.approx(np.mean(known), abs=1e-9)
    crowds = sum(one.iscrowd for some in coco.objects for one in some)
    assert crowds > 0
    assert sum(one.objects for one in scored.by_class) == sum(map(len, coco.objects)) - crowds


def test_average_precision_by_class_as_computed_by_hand():
    """Of two cats one is found, of the owl a part; the elk is missed, and there is no bat. One picture is not seen."""
    cat, owl, bat, elk = 1, 2, 5, 9
    coco = squares(
        {cat: "cat", owl: "owl", bat: "bat", elk: "elk"},
        [
            [(cat, 0, 0, 50, 50), (owl, 50, 50, 50, 50)],
            [(cat, 10, 10, 50, 50), (elk, 0, 0, 30, 30)],
            [(cat, 0, 0, 9, 9)],
        ],
    )
    found = [
        detection_of(0, cat, 0.9, 0, 0, 50, 50),
        detection_of(1, cat, 0.8, 60, 60, 40, 40),
        detection_of(0, owl, 0.7, 50, 50, 39, 50)
        | {"segmentation": detection_of(0, owl, 1, 50, 50, 31, 50)["segmentation"]},
        detection_of(1, bat, 0.6, 0, 0, 50, 50),
    ]
    # Precision is 1 up to a recall of 1/2, so at 51 of the 101 recalls. The owl's box overlaps by 0.78, which is enough
    # for 6 of the 10 overlaps; its mask by 0.62, which is enough for 3.
    expected = [("cat", 2, 51 / 101, 51 / 101), ("owl", 1, 0.6, 0.3), ("bat", 0, None, None), ("elk", 1, 0.0, 0.0)]
    scored = coco_scores(coco, found, [0, 1])
    assert [(one.name, one.objects) for one in scored.by_class] == [row[:2] for row in expected]
    for one, (_, _, boxes, masks) in zip(scored.by_class, expected, strict=True):
        assert one.boxes == (None if boxes is None else pytest.approx(boxes, abs=1e-9)), one.name
        assert one.masks == (None if masks is None else pytest.approx(masks, abs=1e-9)), one.name
