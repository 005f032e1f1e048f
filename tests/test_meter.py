"""Latency and memory of architectures: measured as networks are used, and remembered."""

import pytest
import torch

from asvit.complexity.speed import computing_threads, peak_memory, processor_name
from asvit.complexity.usage import Usage
from asvit.design.budget import Budget
from asvit.design.family import FamilySettings
from asvit.design.job import check_measured_budgets
from asvit.errors import UserError
from asvit.measure import meter as module
from asvit.measure.ledger import Ledger
from asvit.measure.meter import UsageMeter
from asvit.measure.settings import Use
from asvit.networks.architecture import ARCHITECTURES, Task
from asvit.networks.model import AsViT

SEED = ARCHITECTURES["seed"]
TASK = Task(image_size=(32, 64), in_chans=5, num_classes=12)
CPU = torch.device("cpu")


@pytest.fixture
def runs(monkeypatch) -> list[tuple]:
    """What was asked of the device: each time another latency, and the shape of the images."""
    asked = []

    def usage(network, images, *, precision, runs):
        asked.append((network.architecture, tuple(images.shape), precision, runs))
        return Usage(
            0.01 * len(asked), 0.001, 10**6, len(images), precision, processor_name(CPU), computing_threads(CPU)
        )

    monkeypatch.setattr(module, "usage", usage)
    return asked


def test_a_network_is_measured_whole_with_its_classifier():
    model = AsViT(SEED, image_size=(32, 64), in_chans=5, num_classes=12)
    found = UsageMeter(TASK, use=Use(batch_size=3))(SEED, 2)
    assert found.memory == peak_memory(model, torch.zeros(3, 5, 32, 64))
    assert found.latency > 0
    assert found.spread >= 0
    assert (found.batch_size, found.precision, found.threads) == (3, "float32", torch.get_num_threads())


def test_random_state_is_left_alone():
    before = torch.get_rng_state()
    UsageMeter(TASK)(SEED, 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_usage_is_measured_once_and_found_in_the_ledger_by_another_process(runs, tmp_path):
    first = UsageMeter(TASK)
    first.remember_in(Ledger(tmp_path / "ledger"))
    found = first(SEED, 10)
    assert first(SEED, 10) == found
    later = UsageMeter(TASK)
    later.remember_in(Ledger(tmp_path / "ledger"))
    assert later(SEED, 10) == found
    assert runs == [(SEED, (1, 5, 32, 64), "float32", 10)]
    assert (found.latency, found.spread, found.memory) == (0.01, 0.001, 10**6)


def test_a_latency_is_refused_for_the_moment_and_never_once_a_run_has_begun(runs):
    meter, budget = UsageMeter(TASK), Budget("latency", 0.001)
    family = FamilySettings(task=TASK, budgets=(budget,), limits=(budget,))
    with pytest.raises(UserError, match="1ms of latency is below the smallest network"):
        check_measured_budgets(family, meter)
    assert not meter.begun
    meter(SEED, 10)
    check_measured_budgets(family, meter)


def test_batch_size_precision_passes_task_and_threads_are_measured_apart(runs, monkeypatch):
    ledger = Ledger.in_memory()

    def found(task: Task = TASK, runs: int = 10, **options) -> Usage:
        meter = UsageMeter(task, use=Use(**options))
        meter.remember_in(ledger)
        return meter(SEED, runs)

    usages = [found(), found(runs=50), found(batch_size=2), found(precision="bfloat16"), found(Task((32, 64)))]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    usages.append(found())
    assert [usage.latency for usage in usages] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    assert (usages[2].batch_size, usages[3].precision, usages[5].threads) == (2, "bfloat16", 99)


def test_a_network_that_does_not_fit_the_device_is_refused(monkeypatch):
    def usage(network, images, **options):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(module, "usage", usage)
    with pytest.raises(UserError, match=r"with 4 images at a time does not fit .* smaller --batch-size"):
        UsageMeter(TASK, use=Use(batch_size=4))(SEED, 10)
