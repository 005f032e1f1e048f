"""What a measured network keeps for its backward pass: the closed form is what is counted on the network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import asvit.measure.subject
from asvit.complexity.cost import activation_bytes
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import BASE_STRIDE, STAGES, STEM_KERNELS, Space, space_for, table_at


def counted(subject: ArchitectureSubject) -> int:
    return activation_bytes(subject.network(0), torch.zeros(1, subject.task.in_chans, *subject.task.image_size))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(data=st.data())
def test_the_closed_form_is_what_is_counted(data: st.DataObject):
    stride = data.draw(st.sampled_from(sorted(STEM_KERNELS)))
    topology = Space(table_at(stride), stride).sample(np.random.default_rng(data.draw(st.integers(0, 2**32))))
    depths = data.draw(st.tuples(*[st.integers(1, 2)] * STAGES))
    width = data.draw(st.integers(topology.heads // 8, 24)) * (divisor := data.draw(st.sampled_from([1, 2, 4])))
    sides = st.integers(stride * 2 ** (STAGES - 1), 20 * stride)
    task = Task(data.draw(st.tuples(sides, sides)), in_chans=data.draw(st.integers(1, 5)))
    subject = ArchitectureSubject(Architecture(topology, depths, width, 256), task, divisor)
    assert subject.activations == counted(subject)


@pytest.mark.parametrize(
    ("text", "size"),
    {
        "windows beside each other": ("4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|16,16", (64, 64)),
        "one window": ("4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|16,16", (8 * BASE_STRIDE, 8 * BASE_STRIDE)),
        "windows below each other": ("4,8,2,1|2,4,2,1|2,2,2,1|2,1,2,1|16,16", (64, 32)),
        "padded to the right": ("4,8,2,1|2,4,2,1|2,2,2,1|2,1,2,1|16,16", (64, 72)),
        "padded at the bottom": ("4,8,2,1|2,4,2,1|2,2,2,1|2,1,2,1|16,16", (72, 64)),
        "padded on both sides, heads with a rest": ("7,8,2,2|3,4,2,1|2,2,2,1|3,1,2,1|16,20", (36, 45)),
        "a wide kernel, stride 1": ("3,8,2,1|2,4,2,1|2,2,2,1|2,1,2,1|16,16|1", (9, 15)),
    }.values(),
)
def test_cases_of_the_closed_form(text: str, size: tuple[int, int]):
    subject = ArchitectureSubject(Architecture.parse(text), Task(size))
    assert subject.activations == counted(subject)


def test_nothing_is_counted_on_a_network_of_ours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(asvit.measure.subject, "activation_bytes")
    drawn = []
    network = ArchitectureSubject.network
    monkeypatch.setattr(ArchitectureSubject, "network", lambda *args, **kw: drawn.append(1) or network(*args, **kw))
    topology = space_for((32, 32)).sample(np.random.default_rng(0))
    Measurer(Settings(repeats=2, angles=2, kernel_images=2), Task(32))(
        ArchitectureSubject(Architecture(topology), Task(32))
    )
    assert len(drawn) == 2  # one a repeat
