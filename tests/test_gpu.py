"""On a CUDA device: the same draws, values within float32 rounding of the CPU's."""

import pytest
import torch

from asvit.architecture import Architecture, Task
from asvit.measure import Measurer
from asvit.settings import Settings
from asvit.subject import ArchitectureSubject

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


def test_measures_agree_with_the_cpu():
    task = Task(image_size=(64, 64))
    subject = ArchitectureSubject(Architecture.parse("seed"), task)
    torch.backends.cudnn.allow_tf32 = False
    cpu, gpu = (
        Measurer(Settings(repeats=2, angles=4), task, metrics=["length", "ntk", "curvature"], device=device)(subject)
        for device in ("cpu", "cuda")
    )
    for metric, tolerance in (("length", 1e-4), ("curvature", 1e-3), ("ntk", 1e-2)):
        assert gpu.estimates[metric].values == pytest.approx(cpu.estimates[metric].values, rel=tolerance)
