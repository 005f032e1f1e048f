"""All repeats at once, as on a GPU: the values of one by one."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from asvit.measure import measurer as measuring
from asvit.measure import taylor
from asvit.measure.ledger import Ledger
from asvit.measure.measurer import Measurer
from asvit.measure.metrics import METRICS
from asvit.measure.settings import Settings
from asvit.measure.stacked import StackedConv2d, StackedLinear, parameters_of, stack_into
from asvit.measure.subject import ArchitectureSubject, TimmSubject
from asvit.measure.together import Together
from asvit.networks.architecture import Architecture, Task
from asvit.networks.named import TimmModel

TASK = Task(image_size=(32, 32))
ARCHITECTURES = ["4,2,2|2,1,2|2,1,2|2,1,2|16", "7,4,6,2|3,2,3,1|2,1,4,2|4,1,5,1|16,20"]
COUNTED = {name for name, metric in METRICS.items() if metric.counted or metric.in_use}


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(measuring, "TOGETHER", {"cpu"})


def subject(text: str, divisor: int = 1) -> ArchitectureSubject:
    return ArchitectureSubject(Architecture.parse(text), TASK, divisor)


@pytest.mark.parametrize("text", ARCHITECTURES)
@pytest.mark.parametrize(
    "settings",
    [
        Settings(repeats=3, angles=3, kernel_images=4),
        Settings(repeats=2, angles=4, kernel_images=3, norm="layer", radius="one", kernel_parameters="all"),
        Settings(repeats=2, angles=2, kernel_images=4, output="logits", initialisation="fan-in"),
    ],
)
def test_values_are_those_of_one_by_one(text, settings, monkeypatch):
    metrics = ["length", "length_with_norms", "curvature", "length_of_curvature", "ntk"]
    expected = Measurer(settings, TASK, metrics=metrics)(subject(text))
    monkeypatch.setattr(measuring, "TOGETHER", {"cpu"})
    monkeypatch.setattr(Measurer, "evaluate", None)
    found = Measurer(settings, TASK, metrics=metrics)(subject(text))
    for name, tolerance in (
        ("length", 1e-5),
        ("length_with_norms", 1e-5),
        ("curvature", 1e-4),
        ("length_of_curvature", 1e-4),
        ("ntk", 1e-3),
    ):
        assert found.estimates[name].values == pytest.approx(expected.estimates[name].values, rel=tolerance)
        assert len(set(found.estimates[name].values)) == settings.repeats


def test_every_metric_is_measured_so(at_once, monkeypatch):
    settings = Settings(repeats=2, angles=2, kernel_images=4)
    monkeypatch.setattr(measuring, "TOGETHER", set())
    expected = Measurer(settings, TASK, metrics=[*METRICS])(subject(ARCHITECTURES[0]))
    monkeypatch.setattr(measuring, "TOGETHER", {"cpu"})
    found = Measurer(settings, TASK, metrics=[*METRICS])(subject(ARCHITECTURES[0]))
    assert list(found.estimates) == list(METRICS)
    for name in METRICS.keys() - {"latency", "throughput"}:
        assert found.estimates[name].values == pytest.approx(expected.estimates[name].values, rel=1e-3)


def test_the_ledger_is_filled_with_what_is_missing_only(at_once, tmp_path, monkeypatch):
    alone = Measurer(Settings(repeats=2, angles=2), TASK, metrics=["length"])
    alone.remember_in(Ledger(tmp_path / "ledger.sqlite"))
    first = alone(subject(ARCHITECTURES[0]))
    seen = []
    together = Together.probes
    monkeypatch.setattr(Together, "probes", lambda self, use: seen.append(len(self.draws)) or together(self, use))
    more = Measurer(Settings(repeats=5, angles=2), TASK, metrics=["length"])
    more.remember_in(Ledger(tmp_path / "ledger.sqlite"))
    found = more(subject(ARCHITECTURES[0]))
    assert seen == [3]
    assert found.estimates["length"].values[:2] == first.estimates["length"].values
    again = more(subject(ARCHITECTURES[0]))
    assert seen == [3]
    assert again == found


def test_out_of_memory_measures_one_by_one(at_once, monkeypatch):
    settings = Settings(repeats=2, angles=2, kernel_images=4)
    monkeypatch.setattr(measuring, "TOGETHER", set())
    expected = Measurer(settings, TASK)(subject(ARCHITECTURES[0]))
    monkeypatch.setattr(measuring, "TOGETHER", {"cpu"})

    def run_out(self, *, order):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Together, "_derivatives", run_out)
    assert Measurer(settings, TASK)(subject(ARCHITECTURES[0])) == expected


def test_a_small_memory_takes_fewer_angles_and_keeps_less(at_once):
    settings = Settings(repeats=2, angles=5, kernel_images=4)
    whole, split = (Measurer(settings, TASK, work_memory=memory) for memory in (10**10, 1000))
    for name, estimate in whole(subject(ARCHITECTURES[0])).estimates.items():
        assert split(subject(ARCHITECTURES[0])).estimates[name].values == pytest.approx(estimate.values, rel=1e-3)
    works = [{cost.work for cost in m.costs(subject(ARCHITECTURES[0])).values()} for m in (whole, split)]
    assert works == [{"5 angles a pass, 2 repeats"}, {"1 angles a pass, blocks recomputed, 2 repeats"}]


def test_models_of_others_are_measured_one_by_one(at_once, monkeypatch):
    monkeypatch.setattr(Together, "probes", None)
    model = TimmSubject(TimmModel("resnet18"), Task(image_size=(32, 32)))
    assert Measurer(Settings(repeats=2, angles=2), model.task, metrics=["length"])(model).valid


class Operators(TorchDispatchMode):
    """Counts operators: on a GPU each is a launch, or several."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def operators(repeats: int) -> int:
    measurer = Measurer(Settings(repeats=repeats, kernel_images=4), TASK)
    draws, network = measurer.draws, subject("seed")
    probes = Together(network, draws, measurer.settings, measurer.device, measurer.work_memory)
    _ = probes.network, probes.work
    with Operators() as counted:
        _ = probes.velocity, probes.kernel
    return counted.count


def test_five_repeats_take_about_as_many_operators_as_one(monkeypatch):
    monkeypatch.setitem(taylor.BLOCK, "cpu", taylor.BLOCK["cuda"])
    assert operators(5) < 1.02 * operators(1)


@pytest.mark.parametrize("bias", [True, False])
def test_a_stacked_convolution_is_each_network_on_its_own_rows(bias):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 5, (3, 2), (2, 1), padding=(1, 0), dilation=(1, 2), bias=bias) for _ in range(3)]
    x = torch.randn(3, 2, 3, 9, 8)
    expected = torch.stack([layer(rows) for layer, rows in zip(layers, x, strict=True)])
    torch.testing.assert_close(
        StackedConv2d(layers[0], parameters_of([*layers]))(x.flatten(0, 1)), expected.flatten(0, 1)
    )


def test_a_stacked_linear_layer_is_each_network_on_its_own_rows():
    torch.manual_seed(0)
    layers = [nn.Linear(4, 6, bias=False) for _ in range(3)]
    x = torch.randn(3, 2, 5, 7, 4)
    expected = torch.stack([layer(rows) for layer, rows in zip(layers, x, strict=True)])
    torch.testing.assert_close(
        StackedLinear(layers[0], parameters_of([*layers]))(x.flatten(0, 1)), expected.flatten(0, 1)
    )


def test_norms_that_differ_are_not_stacked():
    networks = [nn.Sequential(nn.LayerNorm(4)) for _ in range(2)]
    nn.init.normal_(networks[1][0].weight)
    with pytest.raises(ValueError, match="only linear layers and convolutions may"):
        stack_into(networks[0], parameters_of([*networks]))
