"""Every measure on the device: the CPU's value, and float64's where TF32 could not reach it."""

import math

import pytest
import torch
from on_device import CPU, ON_DEVICE, TINY

from asvit.complexity import curve
from asvit.measure.differentiable import remove_norms, write_out_attention
from asvit.measure.measurer import Measurer
from asvit.measure.metric_functions import FUNCTIONS
from asvit.measure.metrics import METRICS, Metric
from asvit.measure.probe import Draw, Probe
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject, Subject, TimmSubject
from asvit.networks.architecture import Architecture, Task
from asvit.networks.named import TimmModel

pytestmark = ON_DEVICE

TASK = Task(image_size=(64, 64), num_classes=10)
SETTINGS = Settings(repeats=2, angles=4, kernel_images=4)
TOLERANCES = {
    "length": 1e-5,
    "length_with_norms": 1e-5,
    "curvature": 1e-5,
    "length_of_curvature": 1e-5,
    "ntk": 1e-4,
    "gradient_norm": 1e-5,
    "snip": 1e-5,
    "synflow": 1e-7,  # in float64
    "dss": 1e-7,  # in float64
    "naswot": 1e-3,  # signs of what is almost zero
    "zico": 3e-2,  # one over differences that are almost zero
    "attention_entropy": 1e-6,
    "token_entropy": 1e-5,
    "layer_entropy": 1e-5,
    "params": 0,
    "macs": 0,
    "depth": 0,
    "width": 0,
    "expansion": 0,
    "kernel": 0,
}
"""Largest relative difference from the CPU. Weights of the networks below that are off in their last bit move all but
SynFlow and ZiCo by 8e-7 at most, and ZiCo by 1e-3."""
OF_ANY = [name for name in TOLERANCES if name not in ("depth", "width", "expansion", "kernel")]
WITHOUT_ATTENTION = [name for name in OF_ANY if name not in ("attention_entropy", "dss", "token_entropy")]
SUBJECTS: dict[str, tuple[Subject, list[str]]] = {
    "one window a stage": (ArchitectureSubject(Architecture.parse(TINY), TASK), [*TOLERANCES]),
    "many windows": (
        ArchitectureSubject(Architecture.parse("8,2,3,2|4,1,2,1|2,1,4,1|3,1,6,1|16,16"), TASK),
        [*TOLERANCES],
    ),
    "padded windows": (
        ArchitectureSubject(Architecture.parse("4,2,2|2,4,2|3,2,2|2,1,2|16"), Task(image_size=(72, 40))),
        ["length", "curvature", "length_of_curvature", "ntk", "attention_entropy"],
    ),
    "proxy": (ArchitectureSubject(Architecture.parse("small"), Task(image_size=(32, 32)), 4), ["length", "ntk"]),
    "transformer of timm": (TimmSubject(TimmModel("test_vit"), TASK), OF_ANY),
    "convolutions of timm": (TimmSubject(TimmModel("test_convnext"), TASK), WITHOUT_ATTENTION),
}


def test_every_metric_of_an_untrained_network_has_a_tolerance():
    assert set(TOLERANCES) == {name for name, metric in METRICS.items() if not metric.in_use}


@pytest.mark.parametrize(("subject", "metrics"), SUBJECTS.values(), ids=SUBJECTS)
def test_values_are_those_of_the_cpu(subject, metrics, device, photographs):
    there, here = (
        Measurer(SETTINGS, subject.task, metrics=metrics, photographs=photographs, device=where)(subject)
        for where in (device, CPU)
    )
    assert here.valid
    for name in metrics:
        assert there.estimates[name].values == pytest.approx(here.estimates[name].values, rel=TOLERANCES[name]), name
        assert len(there.estimates[name].values) == 2


@pytest.mark.parametrize(
    "settings",
    [
        Settings(repeats=2, angles=4, kernel_images=4, norm="layer", kernel_parameters="all"),
        Settings(repeats=2, angles=4, kernel_images=4, output="logits", initialisation="fan-in"),
    ],
    ids=["norms and all parameters", "logits"],
)
def test_other_settings_too(settings, device, photographs):
    subject, names = SUBJECTS["many windows"][0], ["length", "curvature", "ntk"]
    there, here = (
        Measurer(settings, TASK, metrics=names, photographs=photographs, device=where)(subject)
        for where in (device, CPU)
    )
    for name in names:
        assert there.estimates[name].values == pytest.approx(here.estimates[name].values, rel=TOLERANCES[name]), name


class Seen:
    """A metric that keeps the velocities of the probes that it is given."""

    def __init__(self) -> None:
        self.velocities: list[torch.Tensor] = []

    def __call__(self, probe: Probe) -> float:
        self.velocities.append(probe.velocity.cpu().double())
        return 1.0


def velocity_in_float64(subject: Subject, draw: Draw) -> torch.Tensor:
    """By nested products of the network as it is written, on the CPU."""
    network = subject.network(draw.weights_seed).double().requires_grad_(False)
    remove_norms(network)
    write_out_attention(network)
    image = curve.image_of_circle(network, draw.basis.double(), math.sqrt(draw.basis[0].numel()))
    return curve.velocity(image, curve.angles(SETTINGS.angles, dtype=torch.float64))


@pytest.mark.parametrize("name", ["many windows", "convolutions of timm"])
@pytest.mark.parametrize("preferred", ["highest", "medium"])
def test_float32_is_not_less_than_float32(name, preferred, device, photographs, monkeypatch):
    """TF32, which torch leaves on in convolutions, and a program may have asked for in products, is off.

    Weights rounded as TF32 does move these velocities by 4e-4; in float32 a CPU's are off by 5e-7.
    """
    subject, seen = SUBJECTS[name][0], Seen()
    metric = Metric(name="seen", symbol="", title="", better="higher", source="")
    monkeypatch.setitem(METRICS, "seen", metric)
    monkeypatch.setitem(FUNCTIONS, "seen", seen)
    measurer = Measurer(SETTINGS, TASK, metrics=["seen"], photographs=photographs, device=device)
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision(preferred)
    try:
        measurer(subject)
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == (preferred, True)
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = before
    for found, draw in zip(seen.velocities, measurer.draws, strict=True):
        expected = velocity_in_float64(subject, draw)
        assert (found - expected).norm() < 2e-5 * expected.norm()
