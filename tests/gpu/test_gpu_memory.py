"""Out of memory, the work is split and the values stay; and what a network in use takes, to the byte."""

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from on_device import CPU, ON_DEVICE
from torch import nn

from asvit.complexity.speed import peak_memory, usage
from asvit.errors import NotAdmitted
from asvit.measure.estimates import Measurement
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Settings, Use
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture, Task
from asvit.networks.model import PatchEmbedding

pytestmark = ON_DEVICE

METRICS = ["length", "curvature", "ntk"]
ANGLES = {"cpu": 6, "cuda": 48}
SIDE = {"cpu": 32, "cuda": 224}
MEBIBYTE = 2**20

Limit = Callable[[int], AbstractContextManager[None]]


class Case:
    """A network that is measured with little or much memory."""

    def __init__(self, device, photographs) -> None:
        self.device, self.photographs = device, photographs
        self.task = Task(image_size=(SIDE[device.type],) * 2)
        self.subject = ArchitectureSubject(Architecture.parse("4,2,2|2,1,2|2,1,2|2,1,2|16"), self.task)
        _ = self.subject.activations  # counted on the CPU, before its stand-in runs out of memory

    def measure(self, work_memory: int) -> tuple[Measurement, set[str]]:
        """What is found, and what was done at a time."""
        settings = Settings(repeats=2, angles=ANGLES[self.device.type], kernel_images=4)
        measurer = Measurer(
            settings,
            self.task,
            metrics=METRICS,
            photographs=self.photographs,
            device=self.device,
            work_memory=work_memory,
        )
        return measurer(self.subject), {cost.work for cost in measurer.costs(self.subject).values()}

    def peak(self, work_memory: int) -> int:
        """Bytes that a measurement takes of the device."""
        held = clean(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        self.measure(work_memory)
        return torch.cuda.max_memory_allocated(self.device) - held


def clean(device: torch.device) -> int:
    """Give back what nobody uses; returns the bytes that are in use."""
    gc.collect()
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated(device)


@contextmanager
def at_most(device: torch.device, more: int) -> Iterator[None]:
    """The device has only so many bytes more than are in use."""
    clean(device)
    index, total = device.index or 0, torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(device) + more) / total, index)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, index)


@contextmanager
def at_most_rows(monkeypatch: pytest.MonkeyPatch, rows: int) -> Iterator[None]:
    """The CPU's stand-in: networks take only so many images at a time."""
    forward = PatchEmbedding.forward

    def limited(self, images):
        if len(images) > rows:
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(PatchEmbedding, "forward", limited)
        yield


def test_a_device_that_is_full_is_asked_for_less_and_the_values_stay(device, photographs, monkeypatch):
    case = Case(device, photographs)
    expected, whole = case.measure(10**11)
    if device.type == "cuda":
        most, least = case.peak(10**11), case.peak(1)
        assert most > 8 * least  # or else one repeat might fit in between
        limited = at_most(device, round(math.sqrt(most * least)))
    else:
        limited = at_most_rows(monkeypatch, 6)  # two angles with both derivatives
    with limited:
        found, split = case.measure(10**11)
    assert split.isdisjoint(whole)
    for name in METRICS:
        assert found.estimates[name].values == pytest.approx(expected.estimates[name].values, rel=1e-4), name


def test_what_does_not_fit_at_all_is_refused_and_the_next_is_measured(device, photographs, monkeypatch):
    case = Case(device, photographs)
    limited = at_most(device, 0) if device.type == "cuda" else at_most_rows(monkeypatch, 0)
    with limited, pytest.raises(NotAdmitted, match=r"does not fit into the memory of .*, even one angle and one block"):
        case.measure(10**11)
    found, _ = case.measure(10**11)
    assert found.valid


def layers(device: torch.device) -> tuple[nn.Module, torch.Tensor]:
    """All of whose tensors fill whole blocks of the allocator, 512 bytes."""
    model = nn.Sequential(nn.Linear(128, 256, bias=False), nn.GELU(), nn.Linear(256, 128, bias=False))
    return model.to(device), torch.zeros(64, 128, device=device)


HELD = 4 * (2 * 128 * 256 + 64 * 128)
"""Weights and images."""


def test_memory_in_float32_is_weights_images_and_the_two_largest_maps(device):
    forget_workspaces(device)
    model, images = layers(device)
    assert peak_memory(model, images) == HELD + 4 * 2 * 64 * 256
    assert usage(model, images, runs=2).memory == HELD + 4 * 2 * 64 * 256


def test_memory_in_bfloat16_has_the_weights_once_more_at_half_the_size(device):
    forget_workspaces(device)
    found = usage(*layers(device), precision="bfloat16", runs=2)
    assert found.memory == HELD + 2 * (2 * 128 * 256 + 64 * 256 + 64 * 128)


def forget_workspaces(device: torch.device) -> None:
    """As in a process that has multiplied nothing yet: the first product takes memory that is not the network's."""
    if device.type == "cuda":
        torch._C._cuda_clearCublasWorkspaces()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_latency_throughput_and_memory_of_a_network(precision, device, photographs):
    task = Task(image_size=(64, 64), num_classes=10)
    subject = ArchitectureSubject(Architecture.parse("seed"), task)

    def measured(where: torch.device) -> dict[str, float]:
        measurer = Measurer(
            Settings(repeats=1, kernel_images=4),
            task,
            metrics=["latency", "throughput", "memory"],
            photographs=photographs,
            device=where,
            use=Use(batch_size=3, precision=precision),
        )
        return {name: estimate.mean for name, estimate in measurer(subject).estimates.items()}

    found = measured(device)
    assert 0 < found["latency"] < math.inf
    assert found["throughput"] == pytest.approx(3 / (1e-3 * found["latency"]))
    assert abs(found["memory"] - measured(CPU)["memory"]) < 32 * MEBIBYTE  # workspaces and other kernels' own
    assert found["memory"] > 4 * subject.params
