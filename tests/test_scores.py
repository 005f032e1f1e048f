"""Scores of others: closed forms, slow transcriptions, agreement over networks, validity, refusals."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asvit.complexity.activity import attention_entropy, layer_entropy, mean_entropy, naswot, token_entropy
from asvit.complexity.ntk import SingularKernel
from asvit.complexity.scores import NothingToScore, dss, gradient_norm, snip, synflow, zico
from asvit.errors import UserError
from asvit.measure.measurer import Measurer
from asvit.measure.metrics import METRICS
from asvit.measure.photos import BuiltIn
from asvit.measure.probe import Draw, Probe
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject, Subject, TimmSubject
from asvit.networks.architecture import Architecture, Task
from asvit.networks.attention import WindowAttention, fused_attention
from asvit.networks.named import TimmModel

DOUBLE = torch.float64
TASK = Task(image_size=(64, 64), num_classes=10)
SETTINGS = Settings(repeats=2, kernel_images=4)
SCORES = ["gradient_norm", "snip", "synflow", "naswot", "zico", "dss", "attention_entropy", "token_entropy"]
SCORES += ["layer_entropy"]
COUNTS = ["depth", "width", "expansion", "kernel"]
TINY = ArchitectureSubject(Architecture.parse("8,2,3,2|4,1,2,1|2,1,4,1|3,1,6,1|16,16"), TASK)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=generator(seed))


def linear_model(classes: int = 3, features: int = 4) -> tuple[nn.Linear, Tensor, Tensor, Tensor]:
    """A linear classifier, its inputs and labels, and ``∂L/∂W = (softmax - onehot)ᵀ X / n`` by hand."""
    model = nn.Linear(features, classes).double()
    x, labels = random(6, features), torch.tensor([0, 1, 2, 0, 1, 1])
    error = (x @ model.weight.T + model.bias).softmax(1) - torch.eye(classes, dtype=DOUBLE)[labels]
    return model, x, labels, (error.T @ x / len(x)).detach()


def test_snip_and_gradient_norm_of_a_linear_model():
    model, x, labels, by_weight = linear_model()
    error = (model(x).softmax(1) - torch.eye(3, dtype=DOUBLE)[labels]).detach()
    assert snip(model, x, labels) == pytest.approx((model.weight * by_weight).abs().sum().item(), rel=1e-12)
    both = by_weight.square().sum() + error.mean(0).square().sum()  # the bias counts in the norm only
    assert gradient_norm(model, x, labels) == pytest.approx(both.sqrt().item(), rel=1e-12)


def test_zico_of_a_linear_model():
    model, x, labels, _ = linear_model()
    halves = []
    for some, classes in ((x[:3], labels[:3]), (x[3:], labels[3:])):
        error = model(some).softmax(1) - torch.eye(3, dtype=DOUBLE)[classes]
        halves.append((error.T @ some / 3).detach())
    a, b = halves
    expected = ((a.abs() + b.abs()) / (a - b).abs()).sum().log().item()
    assert zico(model, x, labels) == pytest.approx(expected, rel=1e-12)


def test_zico_leaves_out_layers_without_a_gradient():
    model, x, labels, _ = linear_model()
    dead = nn.Linear(4, 4).double()
    nn.init.zeros_(dead.weight)
    before = nn.Linear(4, 4).double()
    chain = nn.Sequential(before, dead, model)
    same = zico(nn.Sequential(dead, model), before(x).detach(), labels)
    assert zico(chain, x, labels) == pytest.approx(same, rel=1e-12)
    assert math.isfinite(same)


def test_synflow_of_two_linear_layers_is_twice_the_sum_over_paths():
    first, second = (nn.Linear(5, 4, bias=False).double(), nn.Linear(4, 3, bias=False).double())
    paths = (second.weight.abs() @ first.weight.abs()).sum().item()
    assert synflow(nn.Sequential(first, nn.ReLU(), second), (5,)) == pytest.approx(2 * paths, rel=1e-12)
    assert synflow(nn.Sequential(first, nn.Tanh(), second).float(), (5,)) == pytest.approx(2 * paths, rel=1e-6)
    assert first.weight.min() < 0  # the network itself is left as it was


def test_synflow_that_overflows_is_infinite():
    layers = [nn.Linear(2, 2, bias=False) for _ in range(8)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1e38)
    assert math.isfinite(synflow(nn.Sequential(*layers[:7]), (2,)))
    assert not math.isfinite(synflow(nn.Sequential(*layers, *layers), (2,)))


class OneBlock(nn.Module):
    """Convolution, what is called attention, and a classifier; linear, so that gradients are known by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 3, 2, 2, bias=False)
        self.attn = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 3, bias=False))
        self.head = nn.Linear(3, 5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attn(self.embed(x).flatten(2).mean(2)))


def test_dss_by_hand():
    model = OneBlock().double()
    conv, a, b, head = (p.detach().abs() for p in model.parameters())
    x = conv.flatten(1).sum(1)  # of an image of ones
    back = head.sum(0)  # ∂S/∂ of what the classifier reads
    d_b, d_a = torch.outer(back, a @ x), torch.outer(b.T @ back, x)

    def nuclear(m: Tensor) -> float:
        return torch.linalg.svd(m).S.sum().item()

    saliency = (head @ (b @ a @ x)).sum() + (conv.flatten(1).sum(1) * (a.T @ b.T @ back)).sum()
    expected = nuclear(d_b) * nuclear(b) + nuclear(d_a) * nuclear(a) + saliency.item()
    assert dss(model, (1, 4, 4)) == pytest.approx(expected, rel=1e-12)


def test_dss_without_attention_is_refused():
    with pytest.raises(NothingToScore, match="within attention"):
        dss(nn.Linear(2, 2), (2,))


def test_naswot_of_a_tiny_relu_network():
    model = nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 5), nn.ReLU(inplace=True), nn.Linear(5, 2)).double()
    x = random(3, 4)
    first = model[0](x)
    codes = torch.cat([first > 0, model[2](first.relu()) > 0], 1)
    agreement = torch.tensor([[sum(a == b for a, b in zip(i, j, strict=True)) for j in codes] for i in codes])
    assert naswot(model, x) == pytest.approx(torch.linalg.slogdet(agreement.double())[1].item(), rel=1e-9)


def test_naswot_sees_gelu_wherever_it_is_called_and_no_tables():
    class Functional(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            F.relu(torch.ones(1, 9, dtype=DOUBLE))  # a table of positions: no image is in it
            return F.gelu(x)

    x = random(3, 40)
    assert naswot(Functional(), x) == naswot(nn.GELU(), x) == naswot(nn.ReLU(), x)


def test_naswot_without_codes_or_with_equal_ones():
    with pytest.raises(NothingToScore, match="no GELU and no ReLU"):
        naswot(nn.Linear(2, 2), torch.ones(2, 2))
    with pytest.raises(SingularKernel, match="singular"):
        naswot(nn.ReLU(), random(1, 6).repeat(2, 1))


def plain_entropy(scores: Tensor) -> Tensor:
    p = scores.softmax(-1)
    return -torch.where(p > 0, p * p.log(), 0.0).sum(-1)


@pytest.mark.parametrize("masked", ["none", "keys", "additive"])
def test_mean_entropy_agrees_with_its_definition(masked: str):
    q, k, v = (random(3, 2, 5, 4, seed=seed) for seed in range(3))
    scores = q @ k.mT * 0.3
    mask, counted = None, torch.ones(3, 2, 5, dtype=torch.bool)
    if masked == "keys":  # tokens 3 and 4 of the second image are padding
        mask = torch.ones(3, 1, 1, 5, dtype=torch.bool)
        mask[1, ..., 3:] = False
        scores = scores.masked_fill(~mask, -torch.inf)
        counted[1, :, 3:] = False
    elif masked == "additive":
        mask = random(1, 2, 5, 5, seed=4)
        scores = scores + mask
    expected = plain_entropy(scores)[counted].mean().item()
    assert mean_entropy(q, k, v, attn_mask=mask, scale=0.3) == pytest.approx(expected, rel=1e-12)


def test_uniform_attention_has_the_logarithm_of_its_tokens():
    attention = WindowAttention(8, heads=2, window=(3, 4)).double()
    nn.init.zeros_(attention.qkv.weight)
    nn.init.zeros_(attention.qkv.bias)
    assert attention_entropy(attention, random(2, 6, 8, 8)) == pytest.approx(math.log(12), rel=1e-12)
    windows = [3 * 4, 3 * 1, 2 * 4, 2 * 1]  # real tokens of the windows of a 5 x 5 map: each counts once
    mean = sum(tokens * math.log(tokens) for tokens in windows) / 25
    assert attention_entropy(attention, random(2, 5, 5, 8)) == pytest.approx(mean, rel=1e-12)


def test_attention_entropy_refuses_what_it_cannot_see():
    with pytest.raises(NothingToScore, match="no attention"):
        attention_entropy(nn.Linear(2, 2), torch.ones(2, 2))
    q = torch.ones(1, 1, 3, 4)
    with pytest.raises(NothingToScore, match="causally"):
        mean_entropy(q, q, q, is_causal=True)


def test_attention_entropy_of_a_timm_model_agrees_with_its_queries_and_keys():
    network = TimmSubject(TimmModel("vit_tiny_patch16_224"), TASK).network(0, output="logits").double()
    entropies: list[Tensor] = []

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], qkv: Tensor) -> None:
        q, k, _ = qkv.unflatten(-1, (3, 3, -1)).permute(2, 0, 3, 1, 4)
        entropies.append(plain_entropy(q @ k.mT * q.shape[-1] ** -0.5).mean())

    images = random(2, 3, 64, 64)
    hooks = [block.attn.qkv.register_forward_hook(hook) for block in network.blocks]
    network(images)
    for handle in hooks:
        handle.remove()
    expected = torch.stack(entropies).mean().item()
    assert attention_entropy(network, images) == pytest.approx(expected, rel=1e-9)


def test_attention_entropy_of_our_network_agrees_with_its_queries_and_keys():
    network = TINY.network(0, output="logits").double()
    entropies: list[Tensor] = []

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        entropies.append(plain_entropy(q @ k.mT * q.shape[-1] ** -0.5).mean())
        return fused_attention(q, k, v, mask)

    images = random(2, 3, 64, 64)
    expected = attention_entropy(network, images)
    for module in network.modules():
        if isinstance(module, WindowAttention):
            module.attend = attend
    network(images)
    assert torch.stack(entropies).mean().item() == pytest.approx(expected, rel=1e-9)


def test_token_entropy_is_that_of_the_singular_values():
    q, _ = torch.linalg.qr(random(6, 6))
    p, _ = torch.linalg.qr(random(3, 3, seed=1))
    sigma = torch.tensor([5.0, 3.0, 2.0], dtype=DOUBLE)
    tokens = (q[:, :3] * sigma @ p).reshape(2, 3, 3)
    share = sigma / sigma.sum()
    assert token_entropy(tokens) == pytest.approx(-(share * share.log()).sum().item(), rel=1e-12)
    assert token_entropy(torch.ones(2, 3, 4)) == pytest.approx(0, abs=1e-6)
    assert token_entropy(torch.zeros(2, 3, 4)) == 0
    assert math.isnan(token_entropy(torch.full((2, 3, 4), torch.inf)))


def test_layer_entropy_is_the_mean_of_all_linear_layers_by_hand():
    first, second = nn.Linear(4, 3).double(), nn.Linear(3, 5).double()
    images = random(6, 7, 4)
    tokens = first(images).flatten(0, 1), second(first(images).tanh()).flatten(0, 1)
    expected = sum(token_entropy(rows[None]) for rows in tokens) / 2
    network = nn.Sequential(first, nn.Tanh(), second)
    assert layer_entropy(network, images) == pytest.approx(expected, rel=1e-12)
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(NothingToScore, match="the network has no linear layer"):
        layer_entropy(nn.Tanh(), images)


def test_length_with_norms_is_the_length_of_a_measurement_that_keeps_them():
    values = []
    for norm, name in (("identity", "length_with_norms"), ("layer", "length"), ("layer", "length_with_norms")):
        measure = Measurer(Settings(repeats=1, angles=3, norm=norm), TASK, metrics=[name, "params"])
        values.append(measure(TINY).estimates[name].mean)
    assert values[0] == values[1] == values[2]
    plain = Measurer(Settings(repeats=1, angles=3), TASK, metrics=["length"])(TINY).estimates["length"].mean
    assert plain != pytest.approx(values[0], rel=0.01)


@pytest.mark.parametrize("name", ["tiny", "vit_tiny_patch16_224"])
def test_every_score_is_measured_and_repeats_bit_for_bit(name: str):
    subject: Subject = TINY if name == "tiny" else TimmSubject(TimmModel(name), TASK)
    first, second = (Measurer(SETTINGS, TASK, metrics=SCORES)(subject) for _ in range(2))
    assert first.valid
    assert first == second
    for score in SCORES:
        values = first.estimates[score].values
        assert len(set(values)) == 2
        assert Measurer(SETTINGS, TASK, metrics=[score])(subject).estimates[score].values == values


def test_counts_of_an_architecture():
    found = Measurer(SETTINGS, TASK, metrics=COUNTS)(TINY)
    assert [found.estimates[name].mean for name in COUNTS] == [5, 16, 15, 17]
    with pytest.raises(UserError, match="timm:resnet18 has no depth, width, expansion and kernel"):
        Measurer(SETTINGS, TASK, metrics=["depth"])(TimmSubject(TimmModel("resnet18"), TASK))


@pytest.mark.parametrize(
    ("metric", "match"), [("attention_entropy", "no attention by"), ("dss", "no linear layer within attention")]
)
def test_a_network_without_attention_is_refused_in_one_line(metric: str, match: str):
    with pytest.raises(UserError, match=f"timm:resnet18 cannot be measured here: the network has {match}"):
        Measurer(SETTINGS, TASK, metrics=[metric])(TimmSubject(TimmModel("resnet18"), TASK))


class Toy(Subject):
    """A classifier of one linear layer and one activation."""

    task = TASK
    params = macs = 1
    name = "toy"

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def network(self, seed: int, *, output: str = "features", initialisation: str = "normal") -> nn.Module:
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 4), nn.ReLU(), nn.Linear(4, 10))
        nn.init.constant_(network[1].weight, self.weight)
        return network


def test_equal_codes_and_values_that_are_not_finite_make_a_network_invalid():
    singular = Measurer(SETTINGS, TASK, metrics=["naswot"])(Toy(0.0))
    assert "naswot, repeat 0: the kernel is singular" in singular.invalid
    infinite = Measurer(SETTINGS, TASK, metrics=["gradient_norm"])(Toy(math.nan))
    assert infinite.invalid == "gradient_norm, repeat 0: gradient norm is nan"


def test_labels_are_drawn_anew_and_leave_the_other_streams_alone():
    def draw(repeat: int, classes: int) -> Draw:
        task = Task(image_size=(32, 32), num_classes=classes)
        return Draw.of(0, repeat, task=task, photographs=BuiltIn(), images=16)

    few, many, next_one = draw(0, 3), draw(0, 1000), draw(1, 1000)
    assert set(few.labels.tolist()) <= {0, 1, 2}
    assert many.labels.max() > 100
    assert not torch.equal(many.labels, next_one.labels)
    assert torch.equal(few.images, many.images)
    assert few.weights_seed == many.weights_seed == 4334430513956379144  # as before there were labels


def test_a_classifier_has_the_weights_of_the_network_that_is_measured():
    probe = Probe(TINY, Draw.of(0, 0, task=TASK, photographs=BuiltIn(), images=4), SETTINGS, torch.device("cpu"), 10**9)
    shared = dict(probe.network.named_parameters())
    classifier = dict(probe.classifier.named_parameters())
    assert all(torch.equal(parameter, classifier[name]) for name, parameter in shared.items())
    assert classifier.keys() - shared.keys() == {"model.head.fc.weight", "model.head.fc.bias"}
    assert probe.tokens.shape == (4, 4, 128)


def test_sources_and_directions():
    assert all(METRICS[name].better == "higher" for name in (*SCORES, *COUNTS))
    assert all(METRICS[name].counted == (name in COUNTS) for name in (*SCORES, *COUNTS))
