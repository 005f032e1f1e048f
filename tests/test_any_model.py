"""Networks that a function of the user's own makes: the convention, features, derivatives, costs, refusals."""

import json
import sys
from pathlib import Path

import commands
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from asvit.commands.options import UseOptions
from asvit.complexity import curve
from asvit.complexity.speed import peak_memory
from asvit.complexity.usage import Usage
from asvit.errors import NotAdmitted, UserError
from asvit.measure import meter, probe
from asvit.measure.differentiable import differentiable_attention
from asvit.measure.ledger import Ledger
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Settings, Use
from asvit.measure.subject import CallableSubject, TimmSubject, subject_of
from asvit.networks.architecture import Task
from asvit.networks.attention import plain_attention
from asvit.networks.callables import arguments_for, blame
from asvit.networks.named import NetworkFunction, TimmModel, parse_network

TASK = Task(image_size=(32, 32), num_classes=7)
SETTINGS = Settings(repeats=2, angles=3, kernel_images=4)
NETS = """
import timm
import torch
import torch.nn.functional as F
from torch import nn

DIM = 16


def linear(num_classes, in_chans, hidden=5):
    first = nn.Linear(32 * 32 * in_chans, hidden, bias=False)
    return nn.Sequential(nn.Flatten(), first, nn.Linear(hidden, num_classes))


def resnet(num_classes):
    return timm.create_model("resnet10t", num_classes=num_classes)


class Vit(nn.Module):
    def __init__(self, num_classes, in_chans=3):
        super().__init__()
        self.patch = nn.Conv2d(in_chans, DIM, 8, 8)
        layer = nn.TransformerEncoderLayer(DIM, 2, 2 * DIM, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(DIM, num_classes)

    def forward(self, x):
        return self.fc(self.blocks(self.patch(x).flatten(2).mT).mean(1))


class Functional(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.patch, self.fc = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).mean(2)
        return self.fc(F.gelu(F.layer_norm(x, x.shape[1:])))


def probabilities(num_classes):
    return nn.Sequential(*linear(num_classes, 3), nn.LogSoftmax(1))


class Unnamed(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.w = nn.Parameter(torch.randn(3072, num_classes))

    def forward(self, x):
        return x.flatten(1) @ self.w


network = linear(7, 3)
constant = 5


def cached():
    return network


def number(num_classes):
    return num_classes


def hungry(depth, num_classes):
    return linear(num_classes, 3)


def raising(num_classes):
    if num_classes:
        raise RuntimeError("no such width\\nand more")


def three_classes():
    return linear(3, 3)


def one_channel(num_classes):
    return linear(num_classes, 1)
"""


@pytest.fixture(autouse=True)
def nets(tmp_path, monkeypatch) -> Path:
    """A folder with a module of networks, in which the tests work."""
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    yield tmp_path
    sys.modules.pop("nets", None)


def subject(name: str, task: Task = TASK) -> CallableSubject:
    found = subject_of(parse_network(f"nets:{name}"), task)
    assert isinstance(found, CallableSubject)
    return found


def test_a_function_gets_what_its_signature_names():
    def everything(num_classes, *, in_chans, img_size, image_size, depth=3, **more): ...

    assert arguments_for(everything, "f", Task(image_size=(64, 64), in_chans=5, num_classes=9)) == {
        "num_classes": 9,
        "in_chans": 5,
        "img_size": 64,
        "image_size": 64,
    }
    assert arguments_for(everything, "f", Task(image_size=(64, 96)))["image_size"] == (64, 96)
    assert arguments_for(lambda *args, **more: None, "f", TASK) == {}


def test_a_seed_gives_the_same_weights_whatever_was_drawn_before():
    linear = subject("linear")
    first, second = linear.network(1, output="logits"), linear.network(2, output="logits")
    again = CallableSubject(NetworkFunction("nets:linear"), TASK).network(1, output="logits")
    torch.testing.assert_close(again.state_dict(), first.state_dict(), rtol=0, atol=0)
    assert not torch.equal(first[1].weight, second[1].weight)
    before = torch.get_rng_state()
    linear.network(3)
    linear.in_use()
    assert torch.equal(torch.get_rng_state(), before)


def test_features_are_what_the_linear_layer_of_the_logits_sees():
    images = torch.randn(2, 3, 32, 32)
    features, logits = (subject("linear").network(0, output=output) for output in ("features", "logits"))
    torch.testing.assert_close(features(images), images.flatten(1) @ logits[1].weight.T)
    with pytest.raises(NotAdmitted, match=r"by no linear layer, .* measure with --output logits"):
        subject("probabilities").network(0)
    assert subject("probabilities").network(0, output="logits")(images).exp().sum(1).tolist() == pytest.approx([1, 1])


def test_a_function_that_makes_a_model_of_timm_measures_as_that_model():
    settings = Settings(repeats=2, angles=3, kernel_images=4, output="logits")
    measure = Measurer(settings, TASK, metrics=["length", "ntk", "params", "macs", "naswot", "gradient_norm"])
    ours, theirs = measure(subject("resnet")), measure(TimmSubject(TimmModel("resnet10t"), TASK))
    assert ours.valid
    assert ours.estimates == theirs.estimates


def test_derivatives_through_torchs_own_attention_are_those_of_finite_differences():
    torch.manual_seed(0)
    network = subject("Vit").network(0).double().requires_grad_(False)
    basis = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    image, theta = curve.image_of_circle(network, basis, 1.0), curve.angles(3, dtype=torch.float64)
    fast = torch.backends.mha.get_fastpath_enabled()
    with differentiable_attention():
        found = curve.velocity(image, theta)
    assert torch.backends.mha.get_fastpath_enabled() == fast
    step = 1e-5
    torch.testing.assert_close(found, (image(theta + step) - image(theta - step)) / (2 * step), rtol=1e-6, atol=1e-8)


def test_second_derivatives_of_torchs_attention_are_those_of_attention_written_out():
    x, w = torch.randn(2, 2, 1, 4, 8, dtype=torch.float64)

    def bent(attend):
        image = lambda t: attend(*(x + a * t[:, None, None, None] * w for a in (1.0, -2.0, 0.5))).flatten(1)  # noqa: E731
        return curve.velocity_and_acceleration(image, torch.zeros(2, dtype=torch.float64))

    with differentiable_attention():
        found = bent(F.scaled_dot_product_attention)
    torch.testing.assert_close(found, bent(lambda q, k, v: plain_attention(q, k, v, None)))


def test_every_derivative_of_a_vision_transformer_of_ones_own_is_measured():
    metrics = ["length", "ntk", "curvature", "length_of_curvature", "synflow", "zico", "naswot", "snip"]
    found = Measurer(SETTINGS, TASK, metrics=metrics)(subject("Vit"))
    assert found.valid
    assert all(estimate.standard_error > 0 for estimate in found.estimates.values())


def test_norms_called_as_functions_are_neither_taken_out_nor_differentiated_twice_silently():
    functional = subject("Functional")
    layer = Settings(repeats=1, angles=2, kernel_images=2, norm="layer")
    assert Measurer(layer, TASK, metrics=["length", "ntk"])(functional).valid
    for settings, metric in ((SETTINGS, "length"), (layer, "curvature")):
        with pytest.raises(NotAdmitted, match="the network calls layer_norm"):
            Measurer(settings, TASK, metrics=[metric])(functional)


def test_a_kernel_needs_parameters():
    unnamed = subject("Unnamed")
    every, named = (
        Settings(repeats=1, angles=2, kernel_images=3, output="logits", kernel_parameters=which)
        for which in ("all", "weights")
    )
    assert Measurer(every, TASK, metrics=["ntk"])(unnamed).valid
    with pytest.raises(NotAdmitted, match="no trainable parameter named weight for the kernel"):
        Measurer(named, TASK, metrics=["ntk"])(unnamed)
    with pytest.raises(NotAdmitted, match="has no forward_features"):
        Measurer(every, TASK, metrics=["token_entropy"])(unnamed)


REFUSED = {
    "netz:linear": "there is no module netz",
    "nets.more:linear": "there is no module nets.more",
    "broken:net": r"broken cannot be imported: ZeroDivisionError: division by zero \(broken.py, line 1\)",
    "nets:liner": r"nets has no liner: did you mean linear\?",
    "nets:network": "is a network: expected a function",
    "nets:constant": "is of type int: expected a function",
    "nets:number": "returned a value of type int: expected a torch.nn.Module",
    "nets:hungry": "needs depth, which nobody gives",
    "nets:raising": r"nets:raising\(num_classes=7\) raised RuntimeError: no such width \(nets.py, line \d+\)$",
    "nets:three_classes": "returned 2x3 for 2 images: expected logits 2x7",
    "nets:one_channel": "does not take 32x32 images of 3 channels: RuntimeError",
    "nets:cached": "returned the same network twice",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_network_is_refused(nets, name):
    (nets / "broken.py").write_text("1 / 0\n")
    with pytest.raises(UserError, match=REFUSED[name]):
        subject_of(parse_network(name), TASK).check("normal")


def test_another_initialisation_is_refused():
    with pytest.raises(UserError, match="nets:linear keeps its own initialisation, not fan-in"):
        subject("linear").check("fan-in")


def test_an_error_without_words_has_a_name():
    assert blame(KeyError()) == "KeyError"


def test_an_edited_network_is_measured_again(nets):
    ledger = Ledger(nets / "ledger.sqlite")

    def measured() -> tuple[str, float]:
        sys.modules.pop("nets", None)
        linear = subject("linear")
        measure = Measurer(SETTINGS, TASK, metrics=["length"])
        measure.remember_in(ledger)
        return linear.key, measure(linear).estimates["length"].mean

    first = measured()
    assert measured() == first
    (nets / "nets.py").write_text(NETS.replace("nn.Flatten(), ", "nn.Flatten(), nn.Tanh(), "))
    second = measured()
    assert second[0] != first[0]
    assert second[1] < first[1]


def usage_of(latency: float, images: torch.Tensor, precision: str) -> Usage:
    return Usage(latency, 0.0, 123, len(images), precision, device="laptop", threads=1)


def test_latency_throughput_and_memory_are_measures_with_error_bars(monkeypatch):
    latencies, seen = iter([0.010, 0.030]), []

    def timed(module: nn.Module, images: torch.Tensor, *, precision: str, runs: int) -> Usage:
        seen.append((tuple(images.shape), tuple(module(images).shape), precision))
        return usage_of(next(latencies), images, precision)

    monkeypatch.setattr(meter, "usage", timed)
    use = Use(batch_size=6, precision="bfloat16")
    measure = Measurer(SETTINGS, TASK, metrics=["latency", "throughput", "memory"], use=use)
    found = measure(subject("linear")).estimates
    assert seen == [((6, 3, 32, 32), (6, 7), "bfloat16")] * 2
    assert found["latency"].values == pytest.approx((10, 30))
    assert found["latency"].standard_error == pytest.approx(10)
    assert found["throughput"].values == pytest.approx((600, 200))
    assert found["memory"].values == (123, 123)


@pytest.mark.parametrize("name", ["nets:linear", "timm:resnet10t", "8,2,3|4,1,2|4,1,4|4,1,6|32"])
def test_memory_and_parameters_are_those_of_the_network_in_use(name):
    network = subject_of(parse_network(name), TASK)
    found = Measurer(SETTINGS, TASK, metrics=["memory", "params"], use=Use(batch_size=3))(network).estimates
    assert found["memory"].mean == peak_memory(network.in_use(), torch.zeros(3, 3, 32, 32))
    assert found["params"].mean == sum(parameter.numel() for parameter in network.in_use().parameters())


def test_a_ledger_keeps_batch_sizes_apart_and_finds_the_rest_again(monkeypatch, tmp_path):
    latencies = iter([0.010, 0.020])
    monkeypatch.setattr(
        meter, "usage", lambda _, images, *, precision, runs: usage_of(next(latencies), images, precision)
    )
    ledger, linear = Ledger(tmp_path / "ledger.sqlite"), subject("linear")

    def measured(metrics: list[str], batch_size: int) -> list[float]:
        measure = Measurer(Settings(repeats=1, angles=3), TASK, metrics=metrics, use=Use(batch_size=batch_size))
        measure.remember_in(ledger)
        return [estimate.mean for estimate in measure(linear).estimates.values()]

    (length,) = measured(["length"], 1)
    assert measured(["latency", "length"], 1) == [pytest.approx(10), length]
    monkeypatch.setattr(probe.Probe, "velocity", None)  # the ledger has it
    assert measured(["latency", "length"], 2) == [pytest.approx(20), length]
    assert measured(["latency"], 1) == [pytest.approx(10)]


def test_options_of_use_need_a_measure_of_use():
    assert UseOptions(precision="bfloat16").use_for(["length", "memory"]) == Use(precision="bfloat16")
    with pytest.raises(UserError, match="--batch-size says how latency, throughput and memory"):
        UseOptions(batch_size=8).use_for(["length"])
    with pytest.raises(UserError, match="batch_size is 0: expected at least 1"):
        UseOptions(batch_size=0).use_for(["latency"])


def test_measure_takes_functions_and_costs_and_refuses_in_one_line(nets):
    smoke = ["--recipe", "smoke", "--num-classes", "7", "--threads", "1"]
    metrics = "length,params,macs,latency,memory"
    done = commands.run(["measure", "nets:Vit", *smoke, "--metrics", metrics, "--batch-size", "2", "--json"], nets)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["config"]["use"] == {"batch_size": 2, "precision": "float32"}
    (found,) = record["measurements"]
    assert list(found["estimates"]) == metrics.split(",")
    assert found["estimates"]["params"]["mean"] == subject("Vit").params
    assert found["estimates"]["latency"]["mean"] > 0
    for name, said in (("nets:raising", "raised RuntimeError: no such width"), ("nets:nothing", "nets has no nothing")):
        refused = commands.run(["measure", name, *smoke], nets)
        assert refused.returncode == 2
        assert len(refused.stderr.splitlines()) == 1
        assert said in refused.stderr


def test_what_a_network_keeps_of_one_measure_stays_out_of_the_next():
    """timm's LeViT keeps attention biases of its first pass; the second measure copies the network."""
    task = Task(image_size=(64, 64), num_classes=7)
    levit, few = subject_of(parse_network("timm:levit_128s"), task), Settings(repeats=1, angles=2, kernel_images=2)
    both, alone = (
        Measurer(few, task, metrics=metrics)(levit) for metrics in (["gradient_norm", "synflow"], ["synflow"])
    )
    assert both.estimates["synflow"] == alone.estimates["synflow"]
