"""Taylor mode agrees with nested Jacobian-vector products of the network as it is written."""

import math
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import asvit.measure.taylor
from asvit.complexity import curve
from asvit.measure.differentiable import remove_norms, write_out_attention, write_out_norms
from asvit.measure.probe import orthonormal_pair
from asvit.measure.settings import Initialisation, Output
from asvit.measure.subject import ArchitectureSubject
from asvit.measure.taylor import JetFunction, JetGELU, attend_jets, carry_jets, circle_jet, moderate
from asvit.networks.architecture import Architecture, Task
from asvit.networks.attention import plain_attention

DOUBLE = torch.float64
CLOSE = {"rtol": 1e-10, "atol": 1e-13}


def network_with_biases(
    text: str, size: tuple[int, int], output: Output = "features", initialisation: Initialisation = "normal"
) -> nn.Module:
    """No bias at zero, and normal weights twice as large, so that attention is not uniform."""
    subject = ArchitectureSubject(Architecture.parse(text), Task(image_size=size, num_classes=7))
    network = subject.network(1, output=output, initialisation=initialisation).double()
    generator = torch.Generator().manual_seed(2)
    for name, parameter in network.named_parameters():
        parameter.data.mul_(2 if initialisation == "normal" else 1)
        if name.endswith("bias"):
            parameter.data.add_(0.1 * torch.randn(parameter.shape, dtype=DOUBLE, generator=generator))
    return network.requires_grad_(False)


def all_derivatives(
    text: str,
    size: tuple[int, int],
    norm: str,
    order: int,
    output: Output = "features",
    initialisation: Initialisation = "normal",
) -> tuple[list[Tensor], list[Tensor]]:
    """Velocity, and at order 2 acceleration, by Taylor mode and by the plain way."""
    network = network_with_biases(text, size, output, initialisation)
    remove_norms(network) if norm == "identity" else write_out_norms(network)
    basis = orthonormal_pair(Task(image_size=size), seed=0).double()
    theta, radius = curve.angles(3, dtype=DOUBLE) + 0.2, math.sqrt(basis[0].numel())
    jets, plain = deepcopy(network), deepcopy(network)
    carry_jets(jets, order=order)
    write_out_attention(plain)
    found = jets(circle_jet(basis, radius, theta, order=order)).chunk(order + 1)[1:]
    expected = curve.velocity_and_acceleration(curve.image_of_circle(plain, basis, radius), theta)
    return [*found], [*expected[:order]]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("norm", ["identity", "layer"])
@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8,2,3|4,1,2|4,1,4|4,1,6|16", (32, 32)),
        ("7,8,2,2|3,4,2,1|2,2,2,1|3,1,2,1|16,20", (36, 45)),  # odd kernels, padded maps, masked windows, rests of heads
        ("4,2,8,1|5,1,2,1|6,1,7,1|6,1,2,1|16,20", (36, 45)),  # of space wide
    ],
)
def test_derivatives_agree_with_nested_jvp_of_the_network(text, size, norm, order):
    for found, expected in zip(*all_derivatives(text, size, norm, order), strict=True):
        assert expected.abs().max() > 1e-6
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11 * expected.abs().max().item())


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("norm", ["identity", "layer"])
@pytest.mark.parametrize(
    ("output", "initialisation"), [("logits", "normal"), ("features", "fan-in"), ("logits", "fan-in")]
)
def test_derivatives_of_variants_agree_with_nested_jvp(output, initialisation, norm, order):
    text, size = "7,2,2,2|3,1,2,1|4,1,2,1|2,1,2,1|16,20", (36, 45)
    for found, expected in zip(*all_derivatives(text, size, norm, order, output, initialisation), strict=True):
        assert found.shape == (3, 7 if output == "logits" else 160)
        assert expected.abs().max() > 1e-6
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11 * expected.abs().max().item())


def test_velocity_agrees_with_one_backward_pass_a_channel():
    network = network_with_biases("4,2,2|2,1,2|2,1,2|2,1,2|16", (32, 32))
    remove_norms(network)
    basis = orthonormal_pair(Task(image_size=(32, 32)), seed=0).double()
    theta = (curve.angles(2, dtype=DOUBLE) + 0.2).requires_grad_()
    out = curve.image_of_circle(network, basis, 3.0)(theta)
    reverse = [
        torch.autograd.grad(out[:, channel].sum(), theta, retain_graph=True)[0] for channel in range(out.shape[1])
    ]
    carry_jets(network, order=1)
    found = network(circle_jet(basis, 3.0, theta.detach(), order=1)).chunk(2)[1]
    torch.testing.assert_close(found, torch.stack(reverse, 1), **CLOSE)


@settings(deadline=None, max_examples=30)
@given(
    windows=st.integers(1, 3),
    heads=st.integers(1, 3),
    length=st.integers(1, 9),
    columns=st.sampled_from([1, 3, 8, 17]),
    parts=st.sampled_from([2, 3]),
    masked=st.booleans(),
    block=st.sampled_from([1, 7, 40, 2**20]),
    large=st.sampled_from([-1, 60]),
)
def test_jets_of_attention_agree_with_jvp_whatever_the_blocks(
    windows, heads, length, columns, parts, masked, block, large
):
    generator = torch.Generator().manual_seed(length)
    q, k, v = torch.randn(3, parts, windows, heads, length, columns, dtype=DOUBLE, generator=generator)
    mask = (torch.arange(length) < torch.arange(1, windows + 1)[:, None])[:, None, None] if masked else None

    def attend(*x: Tensor) -> Tensor:
        return plain_attention(x[0], x[1], x[2], mask)

    def first(*x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(attend, x[:3], x[3:])

    values = q[0], k[0], v[0]
    velocities = q[1], k[1], v[1]
    expected = first(*values, *velocities)
    if parts == 3:
        _, (_, second) = torch.func.jvp(first, (*values, *velocities), (*velocities, q[2], k[2], v[2]))
        expected = (*expected, second)
    jets_mask = None if mask is None else torch.cat([mask] * parts)
    flat = (x.flatten(0, 1) for x in (q, k, v))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(asvit.measure.taylor.BLOCK, "cpu", block)
        patch.setattr(asvit.measure.taylor, "LARGE", large)  # below 0 the largest score is always taken off
        found = attend_jets(*flat, jets_mask, parts=parts)
    torch.testing.assert_close(found.unflatten(0, (parts, -1)), torch.stack([*expected]), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.MaxPool2d(2), nn.Conv1d(3, 3, 1)])
def test_a_layer_without_a_rule_is_refused(layer: nn.Module):
    with pytest.raises(TypeError, match="no rule for jets of"):
        carry_jets(nn.Sequential(nn.Linear(3, 3), layer), order=1)


def test_large_scores_do_not_overflow():
    q, k, v = 40 * torch.randn(3, 2, 2, 5, 8, dtype=torch.float32, generator=torch.Generator().manual_seed(0))
    found = attend_jets(q.double(), k.double(), v.double(), None, parts=2)
    assert not moderate(q.flatten(0, 1), k.flatten(0, 1))
    assert attend_jets(q, k, v, None, parts=2).isfinite().all()
    assert found.isfinite().all()


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_of_a_jet_is_its_jacobian_vector_product(approximate: str):
    jet = torch.randn(4, 3, 5, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    found = JetGELU(approximate)(jet)
    torch.testing.assert_close(found, JetFunction(nn.GELU(approximate), parts=2)(jet), **CLOSE)


def test_the_circle_and_its_derivatives():
    basis, theta = torch.eye(3, dtype=DOUBLE)[:2], torch.tensor([0.3, 2.0], dtype=DOUBLE)
    h, d_h, dd_h = circle_jet(basis, 2.0, theta, order=2).chunk(3)
    zero = torch.zeros(2, dtype=DOUBLE)
    torch.testing.assert_close(h, 2 * torch.stack((theta.cos(), theta.sin(), zero), 1))
    torch.testing.assert_close(d_h, 2 * torch.stack((-theta.sin(), theta.cos(), zero), 1))
    torch.testing.assert_close(dd_h, -h)
