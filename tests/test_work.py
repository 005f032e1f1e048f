"""What is done at a time: bounded by memory, less where it runs out, the same in value."""

import gc
import subprocess
import sys
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asvit.complexity.cost import activation_bytes
from asvit.errors import UserError
from asvit.measure.measurer import Measurer
from asvit.measure.probe import Probe
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject
from asvit.measure.work import Work
from asvit.networks.architecture import Architecture, Task

TASK = Task(image_size=(64, 64))
SETTINGS = Settings(repeats=2, angles=5, kernel_images=4)
TINY = ArchitectureSubject(Architecture.parse("4,2,2|2,1,2|2,1,2|2,1,2|16"), TASK)
METRICS = ["length", "curvature", "ntk"]


@given(memory=st.integers(1, 10**9), activations=st.integers(1, 10**7), angles=st.integers(1, 40))
def test_the_work_stays_within_memory_or_is_the_least_there_is(memory: int, activations: int, angles: int):
    work = Work.within(memory, activations, Settings(angles=angles))
    assert 1 <= work.angles <= angles
    assert work.angles == 1 or 3 * work.angles * activations <= memory
    assert work.recompute == (1.5 * 16 * activations > memory)
    assert work.less().angles <= max(1, work.angles)


def test_less_ends():
    work = Work(angles=10, recompute=False)
    seen = [work]
    while work.less() != work:
        work = work.less()
        seen.append(work)
    assert [w.angles for w in seen] == [10, 5, 3, 2, 1]


def test_a_small_memory_splits_the_work_and_not_the_value():
    whole, split = (Measurer(SETTINGS, TASK, metrics=METRICS, work_memory=memory) for memory in (10**10, 1000))
    for name, estimate in whole(TINY).estimates.items():
        assert split(TINY).estimates[name].values == pytest.approx(estimate.values, rel=1e-4)
    assert {cost.work for cost in whole.costs(TINY).values()} == {"5 angles a pass"}
    assert {cost.work for cost in split.costs(TINY).values()} == {"1 angles a pass, blocks recomputed"}


def run_out_of_memory(monkeypatch: pytest.MonkeyPatch, *, above: int) -> None:
    """A device whose memory holds so many angles at most."""
    derivatives = Probe._derivatives

    def limited(probe: Probe, *, order):
        if probe.work.angles > above:
            raise torch.OutOfMemoryError("out of memory")
        return derivatives(probe, order=order)

    monkeypatch.setattr(Probe, "_derivatives", limited)


def test_out_of_memory_makes_the_work_smaller(monkeypatch):
    expected = Measurer(SETTINGS, TASK, metrics=METRICS)(TINY)
    run_out_of_memory(monkeypatch, above=2)
    measurer = Measurer(SETTINGS, TASK, metrics=METRICS)
    found = measurer(TINY)
    for name, estimate in expected.estimates.items():
        assert found.estimates[name].values == pytest.approx(estimate.values, rel=1e-4)
    assert {cost.work for cost in measurer.costs(TINY).values()} == {"2 angles a pass, blocks recomputed"}


def test_a_network_too_large_for_the_least_work_is_refused(monkeypatch):
    run_out_of_memory(monkeypatch, above=0)
    with pytest.raises(UserError, match="does not fit into the memory of cpu, even one angle and one block at a time"):
        Measurer(SETTINGS, TASK)(TINY)


def test_what_did_not_fit_is_gone_before_metrics_are_measured_one_by_one(monkeypatch):
    held, alive = [], []

    def derivatives(probe: Probe, *, order):
        activations = torch.zeros(1)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("out of memory")

    def kernel(probe: Probe):
        alive.extend(one for one in held if one() is not None)
        return torch.eye(4, dtype=torch.float64)

    monkeypatch.setattr(Probe, "_derivatives", derivatives)
    monkeypatch.setattr(Probe, "kernel", property(kernel))
    refused = {}
    gc.disable()
    try:
        found = Measurer(SETTINGS, TASK).repeat(TINY, 0, refused=refused)
    finally:
        gc.enable()
    assert set(found) == {"ntk"}
    assert "does not fit into the memory of cpu" in refused["length"]
    assert len(held) > 1
    assert alive == []


def test_activations_of_an_architecture_are_counted_without_its_weights():
    expected = activation_bytes(TINY.network(0), torch.zeros(1, 3, 64, 64))
    assert TINY.activations == expected
    assert activation_bytes(TINY.network(0), torch.zeros(2, 3, 64, 64)) == pytest.approx(2 * expected, rel=0.01)


MEASURE = """
import resource, sys
from asvit.networks.architecture import Architecture, Task
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject
task = Task(image_size=(224, 224))
for i in range(int(sys.argv[1])):
    measure = Measurer(Settings(repeats=1, angles=3, kernel_images=2), task, metrics=["length", "curvature", "ntk"])
    measure(ArchitectureSubject(Architecture.parse("4,8,2|2,4,2|2,2,2|2,1,2|16"), task))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_measuring_leaves_nothing_in_memory():
    def peak_of(repeats: int) -> int:
        command = [sys.executable, "-c", MEASURE, str(repeats)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert peak_of(16) < peak_of(4) + 60_000  # kilobytes; one repeat keeps 11 MB of activations


def test_measuring_loads_nothing_heavy_beyond_torch():
    program = (
        "import sys\n" + MEASURE + "print({'timm', 'torchvision', 'altair', 'scipy', 'pandas', 'torch._dynamo'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, "1"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
