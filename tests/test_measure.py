"""Measurements: repeats, seeds, validity, memory."""

import pytest
import torch
from torch import nn

from asvit.errors import UserError
from asvit.measure.estimates import Estimate
from asvit.measure.ledger import Cost, Entry, Ledger
from asvit.measure.measurer import Measurer
from asvit.measure.metrics import METRICS
from asvit.measure.photos import BuiltIn
from asvit.measure.probe import Draw, orthonormal_pair
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject, Subject, TimmSubject
from asvit.networks.architecture import Architecture, Task
from asvit.networks.building import create_in_timm
from asvit.networks.named import TimmModel

TASK = Task(image_size=(32, 32))
SETTINGS = Settings(repeats=2, angles=3, kernel_images=4)
TINY = ArchitectureSubject(Architecture.parse("4,2,2|2,1,2|2,1,2|2,1,2|16"), TASK)


class Toy(Subject):
    """A linear map whose weights are given; names make ledgers tell toys apart."""

    task = TASK
    params = macs = 1

    def __init__(self, name: str, scale: float, *, rank: int = 4) -> None:
        self._name, self.scale, self.rank = name, scale, rank

    @property
    def name(self) -> str:
        return self._name

    def network(self, seed: int, *, output: str = "features", initialisation: str = "normal") -> nn.Module:
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3072, self.rank), nn.Tanh(), nn.Linear(self.rank, 5))
        for parameter in network.parameters():
            parameter.data.mul_(self.scale)
        return network


def test_every_metric_is_measured_with_an_error_bar():
    task = Task(image_size=(64, 64))
    subject = ArchitectureSubject(TINY.architecture, task)
    measurement = Measurer(SETTINGS, task, metrics=list(METRICS))(subject)
    assert measurement.valid
    assert list(measurement.estimates) == list(METRICS)
    for name, estimate in measurement.estimates.items():
        assert len(estimate.values) == 2
        assert estimate.mean > 0
        assert (estimate.standard_error == 0) == METRICS[name].counted
    assert measurement.estimates["params"].mean == subject.params


def test_values_do_not_depend_on_which_metrics_are_asked_for():
    every = Measurer(SETTINGS, TASK, metrics=["curvature", "ntk", "length"])(TINY)
    for name in ("length", "ntk"):
        alone = Measurer(SETTINGS, TASK, metrics=[name])(TINY)
        assert alone.estimates[name] == every.estimates[name]


def test_repeats_differ_and_are_functions_of_seed_and_repeat():
    def values(seed: int, repeats: int) -> tuple[float, ...]:
        settings = Settings(repeats=repeats, angles=3, kernel_images=4)
        return Measurer(settings, TASK, seed=seed)(TINY).estimates["length"].values

    assert values(0, 3)[:2] == values(0, 2)
    assert values(0, 2) != values(1, 2)
    assert len(set(values(0, 3))) == 3


def test_a_draw_has_its_own_weights_circle_and_images_whatever_the_network():
    draws = [Draw.of(0, repeat, task=TASK, photographs=BuiltIn(), images=4) for repeat in (0, 1, 0)]
    assert draws[0].weights_seed == draws[2].weights_seed != draws[1].weights_seed
    assert torch.equal(draws[0].basis, draws[2].basis)
    assert torch.equal(draws[0].images, draws[2].images)
    assert not torch.equal(draws[0].basis, draws[1].basis)
    assert not torch.equal(draws[0].images, draws[1].images)


def test_the_basis_is_orthonormal():
    basis = orthonormal_pair(Task(image_size=(64, 96)), seed=1).flatten(1).double()
    torch.testing.assert_close(basis @ basis.T, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-6)


def test_radius_one_divides_the_speed_of_a_nearly_linear_network_by_root_n():
    paper = Measurer(SETTINGS, TASK, metrics=["length"])(TINY).estimates["length"].mean
    release = Measurer(Settings(repeats=2, angles=3, radius="one"), TASK, metrics=["length"])(TINY)
    assert paper / release.estimates["length"].mean == pytest.approx(3072**0.5, rel=0.05)


def test_a_singular_kernel_makes_the_network_invalid():
    # One hidden unit whose weights are all zero: no gradient reaches the inputs, every image looks the same.
    measurement = Measurer(SETTINGS, TASK)(Toy("dead", 0.0))
    assert not measurement.valid
    assert measurement.estimates == {}
    assert "ntk, repeat 0: the kernel is singular" in measurement.invalid


def test_an_infinite_output_makes_the_network_invalid():
    measurement = Measurer(SETTINGS, TASK)(Toy("infinite", float("inf")))
    assert not measurement.valid
    assert "repeat 0" in measurement.invalid


def test_a_ledger_remembers_and_saves_the_work(tmp_path, monkeypatch):
    first = Measurer(SETTINGS, TASK)
    first.remember_in(Ledger(tmp_path / "ledger.sqlite"))
    expected, invalid = first(TINY), first(Toy("dead", 0.0))
    second = Measurer(SETTINGS, TASK)
    second.remember_in(Ledger(tmp_path / "ledger.sqlite"))
    monkeypatch.setattr(ArchitectureSubject, "network", None)
    monkeypatch.setattr(Toy, "network", None)
    assert second(TINY) == expected
    assert second(Toy("dead", 0.0)) == invalid
    assert set(second.costs(TINY)) == {"length", "ntk"}


@pytest.mark.parametrize(
    "change",
    [
        {"angles": 4},
        {"norm": "layer"},
        {"radius": "one"},
        {"kernel_parameters": "all"},
        {"kernel_images": 5},
        {"initialisation": "fan-in"},
        {"output": "logits"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_ledger_keeps_settings_apart(tmp_path, change):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    base, other = (
        Measurer(SETTINGS, TASK),
        Measurer(Settings(**{"repeats": 2, "angles": 3, "kernel_images": 4, **change}), TASK),
    )
    base.remember_in(ledger)
    other.remember_in(ledger)
    assert base(TINY).estimates != other(TINY).estimates


def test_proxies_have_entries_of_their_own():
    seed = Architecture.parse("seed")
    assert ArchitectureSubject(seed, TASK).key != ArchitectureSubject(seed, TASK, 4).key


def test_a_damaged_ledger_is_a_user_error(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database, but long enough to look at" * 40)
    with pytest.raises(UserError, match="cannot use the ledger"):
        Ledger(tmp_path / "ledger.sqlite")


def test_ledger_round_trip():
    ledger = Ledger.in_memory()
    a, b = ledger.context({"x": 1}), ledger.context({"x": 2})
    assert ledger.context({"x": 1}) == a != b
    entries = {"length": Entry(0.1 + 0.2, None, 1.0, "3 angles a pass"), "ntk": Entry(None, "singular", 2.0, "")}
    ledger.write(a, "seed", {0: entries})
    assert ledger.read(a, "seed", 0) == entries
    assert ledger.read(b, "seed", 0) == ledger.read(a, "seed", 1) == {}
    ledger.write(a, "seed", {1: {"length": Entry(0.5, None, 2.0, "2 angles a pass")}})
    assert ledger.costs(a, "seed") == {
        "length": Cost(3.0, "3 angles a pass,2 angles a pass"),
        "ntk": Cost(2.0, ""),
    }


def test_fan_in_gives_every_linear_weight_its_own_spread():
    network = TINY.network(0, initialisation="fan-in")
    normal = TINY.network(0)
    for (name, layer), usual in zip(network.named_modules(), normal.modules(), strict=True):
        if isinstance(layer, nn.Linear) and layer.weight.numel() > 5000:
            assert layer.weight.std().item() == pytest.approx(layer.in_features**-0.5, rel=0.05), name
            assert usual.weight.std().item() == pytest.approx(0.02, rel=0.05)
        elif isinstance(layer, nn.Conv2d):
            assert torch.equal(layer.weight, usual.weight)


@pytest.mark.parametrize("subject", [TINY, TimmSubject(TimmModel("vit_tiny_patch16_224"), Task(image_size=(64, 64)))])
def test_length_and_kernel_of_logits(subject):
    features, logits = (
        Measurer(Settings(repeats=2, angles=3, kernel_images=4, output=output), subject.task)(subject)
        for output in ("features", "logits")
    )
    assert features.valid
    assert logits.valid
    assert features.estimates["length"] != logits.estimates["length"]
    assert features.estimates["ntk"] != logits.estimates["ntk"]


def test_timm_keeps_its_own_initialisation():
    task = Task(image_size=(64, 64))
    with pytest.raises(UserError, match="timm:resnet18 keeps its own initialisation, not fan-in"):
        Measurer(Settings(repeats=1, initialisation="fan-in"), task)(TimmSubject(TimmModel("resnet18"), task))


def test_timm_models_are_measured_with_fused_attention_off():
    task = Task(image_size=(64, 64))
    subject = TimmSubject(TimmModel("vit_tiny_patch16_224"), task)
    measurement = Measurer(SETTINGS, task, metrics=["length", "ntk", "curvature", "params", "macs"])(subject)
    assert measurement.valid
    assert measurement.estimates["params"].mean == sum(
        p.numel() for p in create_in_timm(subject.model, task, num_classes=1000).parameters()
    )


def test_timm_refusals():
    with pytest.raises(UserError, match="no model named 'vit_tinyy'"):
        TimmSubject(TimmModel("vit_tinyy"), TASK)
    task = Task(image_size=(64, 64))
    resnet = TimmSubject(TimmModel("resnet18"), task)
    layer = Settings(repeats=1, angles=2, kernel_images=2, norm="layer")
    assert Measurer(layer, task, metrics=["length"])(resnet).valid
    with pytest.raises(UserError, match="BatchNorm2d"):
        Measurer(layer, task, metrics=["curvature"])(resnet)


def test_estimates():
    assert Estimate.of([1.0, 2.0, 3.0]).standard_error == pytest.approx(1 / 3**0.5)
    assert Estimate.of([2.0]).standard_error is None


def test_unknown_metrics_and_settings_are_refused():
    with pytest.raises(UserError, match="unknown metrics size"):
        Measurer(SETTINGS, TASK, metrics=["size"])
    with pytest.raises(UserError, match="repeats is 0"):
        Settings(repeats=0)
