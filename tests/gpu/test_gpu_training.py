"""Training steps on the device: the CPU's losses and weights, however they are run."""

from dataclasses import replace

import pytest
import torch
from on_device import CPU, EVERYTHING, ON_DEVICE, PLAIN, SIDE, Brightness, classifier, ignore, losses_of, weights_of

from asvit.training.classifier import ClassifierTraining
from asvit.training.evaluate import evaluate
from asvit.training.resident import Resident

pytestmark = [*ON_DEVICE, pytest.mark.usefixtures("exact")]

STEPS = 4
LOSSES = 1e-5
"""Largest relative difference of a loss in float32; 1e-7 where weights begin with other roundings, on the CPU."""
MOVED = 2e-3
"""Largest difference of the weights over how far they have moved; 2e-4 where they begin off by 1e-6, on the CPU."""
IN_BFLOAT16 = {"losses": 5e-3, "moved": 0.2}
"""The same in bfloat16; 3e-4 and 0.06 on the CPU."""


class Steps:
    """The first steps of a training: losses, and how the weights have moved."""

    def __init__(self, training: ClassifierTraining) -> None:
        begin = weights_of(training)
        self.losses = losses_of(training, STEPS)
        self.moved = weights_of(training) - begin

    def check(self, expected: "Steps", *, losses: float = LOSSES, moved: float = MOVED) -> None:
        """Within tolerances of another's."""
        assert self.losses == pytest.approx(expected.losses, rel=losses)
        assert self.moved.norm() > 0.1
        assert (self.moved - expected.moved).norm() < moved * expected.moved.norm()


@pytest.fixture(scope="module")
def on_cpu() -> Steps:
    return Steps(classifier(CPU))


def test_losses_and_weights_are_those_of_the_cpu(device, on_cpu):
    assert torch.equal(weights_of(classifier(device)), weights_of(classifier(CPU)))
    Steps(classifier(device)).check(on_cpu)


@pytest.mark.parametrize(
    "running",
    [{"workers": 1}, {"accumulate": 4}, {"checkpointing": True}, {"channels_last": True}],
    ids=["loaded by a worker and pinned", "accumulated", "recomputed", "channels last"],
)
def test_they_do_not_depend_on_how_a_training_is_run(running, device, on_cpu):
    Steps(classifier(device, **running)).check(on_cpu)


def test_losses_in_bfloat16_are_close(device, on_cpu):
    found = Steps(classifier(device, precision="bfloat16"))
    found.check(on_cpu, **IN_BFLOAT16)
    assert found.losses != on_cpu.losses


def test_images_are_mixed_alike(device):
    mixed = replace(PLAIN, mixup=0.8, cutmix=1.0, label_smoothing=0.1)
    Steps(classifier(device, mixed)).check(Steps(classifier(CPU, mixed)))


def test_what_is_drawn_on_the_device_is_a_function_of_the_seed(device):
    everything = replace(EVERYTHING, drop_path=0.5)
    first, second = (Steps(classifier(device, everything)) for _ in range(2))
    first.check(second)
    other = Steps(classifier(device, EVERYTHING))
    assert (first.moved - other.moved).norm() > 0.1 * other.moved.norm()


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
    def training(where: torch.device) -> ClassifierTraining:
        return classifier(where, sources=(resident(where, 64), resident(where, 24, first=1000, evaluation=True)))

    here, there = training(CPU), training(device)
    (seen, *_), (expected, *_) = there.train_loader, here.train_loader
    torch.testing.assert_close(seen.images.cpu(), expected.images, rtol=0, atol=1e-4)
    Steps(there).check(Steps(here))
