"""A detector on the device: losses, what it finds, its scores."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from coco_sets import coco_folder
from on_device import CPU, ON_DEVICE, TINY, ignore

from asvit.detection.coco import find_coco
from asvit.detection.data import Scenes
from asvit.detection.evaluate import evaluation_batches, find_all
from asvit.detection.recipe import RECIPES, Augmentation
from asvit.detection.scores import Detection
from asvit.detection.settings import Resize
from asvit.detection.trained import load_detector
from asvit.detection.training import DetectorTraining, plan
from asvit.networks.named import parse_network
from asvit.training.settings import Running

pytestmark = [*ON_DEVICE, pytest.mark.usefixtures("exact")]

SMOKE = RECIPES["smoke"]
EVERY_BOX = replace(
    SMOKE.detector, resize=Resize.to_square(64), anchor_samples=10**6, box_samples=10**6, proposals=10**4
)
PLAIN = replace(SMOKE, detector=EVERY_BOX, drop_path=0.0, ema=None, augmentation=Augmentation(flip=0.0))
"""Learns from all boxes, so that none is drawn on the device."""


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return coco_folder(tmp_path_factory.mktemp("coco"))


def training(root: Path, device: torch.device, recipe=PLAIN, **running) -> DetectorTraining:
    train, val = (Scenes(find_coco(root, split)) for split in ("train", "val"))
    spec = plan(parse_network(TINY), train, recipe)
    return DetectorTraining(spec, train, val, recipe, seed=0, device=device, running=Running(**running))


def first_losses(one: DetectorTraining, steps: int = 2) -> list[list[float]]:
    """Loss, norm of the gradient and parts of the loss."""
    one.stepping.train()
    loader = iter(one.train_loader)
    return [one.step(i, next(loader)).tolist() for i in range(steps)]


@pytest.fixture(scope="module")
def on_cpu(root) -> list[list[float]]:
    return first_losses(training(root, CPU))


def test_losses_are_those_of_the_cpu(root, device, on_cpu):
    """Up to boxes whose scores are so close that rounding changes which of them is taken."""
    found = first_losses(training(root, device))
    assert found[0][2] == pytest.approx(on_cpu[0][2], rel=1e-4)  # of the proposals, before any of them is taken
    for ours, theirs in zip(found, on_cpu, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-2)


def test_losses_in_bfloat16_are_close(root, device, on_cpu):
    found = first_losses(training(root, device, precision="bfloat16"))
    assert [step[0] for step in found] == pytest.approx([step[0] for step in on_cpu], rel=0.1)


@pytest.fixture(scope="module")
def trained(root, device, tmp_path_factory) -> tuple[Path, DetectorTraining]:
    """As `asvit detect train` does it there, everything drawn at random."""
    folder = tmp_path_factory.mktemp("detector")
    one = training(root, device, SMOKE, precision="bfloat16" if device.type == "cuda" else "float32")
    result = one.run(folder, ignore)
    return folder / Path(result.checkpoint).name, one


def test_it_trains_and_is_scored(trained):
    _, one = trained
    first, last = one.state.epochs
    assert all(0 < epoch.train_loss < 100 for epoch in (first, last))
    boxes, masks, left_out = one.evaluate()
    assert left_out == 0
    for scores, again in ((last.boxes, boxes), (last.masks, masks)):
        assert 0 <= scores.ap <= 1
        assert again.ap == pytest.approx(scores.ap, abs=0.01)


def alike(ours: Detection, theirs: Detection) -> bool:
    same = ours["image_id"] == theirs["image_id"] and ours["category_id"] == theirs["category_id"]
    close = ours["bbox"] == pytest.approx(theirs["bbox"], abs=0.05)
    return same and close and ours["score"] == pytest.approx(theirs["score"], abs=1e-4)


def test_the_same_weights_find_the_same(root, device, trained):
    scenes = Scenes(find_coco(root, "val"))

    def found(where: torch.device) -> list[Detection]:
        model, _ = load_detector(trained[0])
        loader = evaluation_batches(scenes, 2, Running(), where)
        return list(find_all(model.to(where), scenes.coco, loader, device=where).detections)

    there, here = found(device), found(CPU)
    assert len(there) == len(here) > 0
    for one in there:
        assert any(alike(one, other) for other in here), one
