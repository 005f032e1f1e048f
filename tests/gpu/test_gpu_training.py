"""Training steps on the device: the CPU's losses and weights, however they are run."""

from dataclasses import replace

import pytest
import torch
from on_device import CPU, EVERYTHING, ON_DEVICE, PLAIN, SIDE, Brightness, classifier, ignore, losses_of, weights_of

from asvit.training.evaluate import evaluate
from asvit.training.resident import Resident

pytestmark = [*ON_DEVICE, pytest.mark.usefixtures("exact")]

STEPS = 4
ROUNDED = 1e-5
"""Relative difference of losses in float32; float32 and float64 differ by 1e-6 on the CPU."""
MOVED = 1e-2
"""Difference of the weights over how far they have moved: AdamW makes full steps of gradients that are almost zero."""


@pytest.fixture(scope="module")
def on_cpu() -> list[float]:
    """Losses of the first steps."""
    return losses_of(classifier(CPU), STEPS)


def test_losses_and_weights_are_those_of_the_cpu(device, on_cpu):
    here, there = classifier(CPU), classifier(device)
    begin = weights_of(here)
    assert torch.equal(begin, weights_of(there))
    assert losses_of(here, STEPS) == on_cpu
    assert losses_of(there, STEPS) == pytest.approx(on_cpu, rel=ROUNDED)
    moved = (weights_of(here) - begin).norm()
    assert moved > 0.1
    assert (weights_of(there) - weights_of(here)).norm() < MOVED * moved


@pytest.mark.parametrize(
    ("running", "tolerance"),
    [
        ({"workers": 1}, ROUNDED),  # and pinned memory
        ({"accumulate": 4}, ROUNDED),
        ({"checkpointing": True}, ROUNDED),
        ({"channels_last": True}, ROUNDED),
        ({"precision": "bfloat16"}, 2e-2),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_losses_do_not_depend_on_how_a_training_is_run(running, tolerance, device, on_cpu):
    found = losses_of(classifier(device, **running), STEPS)
    assert found == pytest.approx(on_cpu, rel=tolerance)
    assert "precision" not in running or found != on_cpu


def test_images_are_mixed_alike(device):
    mixed = replace(PLAIN, mixup=0.8, cutmix=1.0, label_smoothing=0.1)
    expected = losses_of(classifier(CPU, mixed), STEPS)
    assert losses_of(classifier(device, mixed), STEPS) == pytest.approx(expected, rel=ROUNDED)
    assert expected != losses_of(classifier(CPU, replace(mixed, cutmix=0.0)), STEPS)


def test_what_is_drawn_on_the_device_is_a_function_of_the_seed(device):
    everything = replace(EVERYTHING, drop_path=0.5)
    first, second = (losses_of(classifier(device, everything), STEPS) for _ in range(2))
    assert first == pytest.approx(second, rel=ROUNDED)
    assert first != pytest.approx(losses_of(classifier(device, EVERYTHING), STEPS), rel=1e-3)


def test_an_epoch_ends_with_the_scores_of_the_cpu(device, tmp_path):
    recipe = replace(PLAIN, ema=0.5)
    here, there = (classifier(where, recipe, steps=STEPS) for where in (CPU, device))
    (expected,), (found,) = (one.run(tmp_path / str(i), ignore).epochs for i, one in enumerate((here, there)))
    for name in ("train_loss", "loss"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-4), name
    assert (found.macs, found.lr, found.epoch) == (expected.macs, expected.lr, 1)
    assert there.state == replace(here.state, epochs=(found,))


def test_the_same_weights_have_the_same_scores(device):
    """In the training's precision; float64 sums, with counts by class and by bin of confidence."""
    one = classifier(CPU)
    losses_of(one, STEPS)
    expected = evaluate(one.model.eval(), one.val_loader, classes=3, device=CPU)
    loader = classifier(device).val_loader
    found = evaluate(one.model.to(device), loader, classes=3, device=device)
    assert (found.images, found.top1, found.top5, found.confusion) == (24, expected.top1, 1.0, expected.confusion)
    assert (found.loss, found.calibration_error) == pytest.approx((expected.loss, expected.calibration_error), rel=1e-4)


def resident(device: torch.device, count: int, *, first: int = 0, evaluation: bool = False) -> Resident:
    return Resident(Brightness(count, first=first), (SIDE, SIDE), device, evaluation=evaluation)


def test_resident_images_are_those_that_are_loaded(device):
    train, val = resident(device, 64), resident(device, 24, first=1000, evaluation=True)
    assert train.images.device.type == device.type
    assert train.images.dtype == torch.uint8
    one, loaded = classifier(device, sources=(train, val)), classifier(CPU)
    seen, expected = next(iter(one.val_loader)), next(iter(loaded.val_loader))
    assert seen.images.device.type == device.type
    torch.testing.assert_close(seen.images.cpu(), expected.images, rtol=0, atol=1e-6)
    assert torch.equal(seen.labels.cpu(), expected.labels)
    seen, expected = next(iter(one.train_loader)), next(iter(loaded.train_loader))
    assert torch.equal(seen.labels.cpu(), expected.labels)


def test_resident_images_are_cropped_and_learned_as_on_the_cpu(device):
    def training(where: torch.device):
        return classifier(where, sources=(resident(where, 64), resident(where, 24, first=1000, evaluation=True)))

    here, there = training(CPU), training(device)
    (seen, *_), (expected, *_) = there.train_loader, here.train_loader
    torch.testing.assert_close(seen.images.cpu(), expected.images, rtol=0, atol=1e-4)
    assert losses_of(there, STEPS) == pytest.approx(losses_of(here, STEPS), rel=1e-4)
