"""The curve's measures: closed forms, and three ways to the same derivatives."""

import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from asvit.complexity import curve
from asvit.measure.differentiable import remove_norms, write_out_attention, write_out_norms
from asvit.networks.architecture import Architecture
from asvit.networks.model import AsViT

DOUBLE = torch.float64


def random_orthonormal(n: int, *, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(n, n, dtype=DOUBLE, generator=generator))[0]


@pytest.mark.parametrize("n", [2, 5, 48])
def test_orthogonal_map_has_constant_speed_and_closed_form_measures(n):
    basis, rotation = random_orthonormal(n, seed=1)[:2], random_orthonormal(n, seed=2)
    image = curve.image_of_circle(lambda x: x @ rotation, basis, radius=math.sqrt(n))
    v, a = curve.velocity_and_acceleration(image, curve.angles(7, dtype=DOUBLE))
    torch.testing.assert_close(v.norm(dim=1), torch.full((7,), math.sqrt(n), dtype=DOUBLE))
    assert curve.length(v).item() == pytest.approx(2 * math.pi * math.sqrt(n), rel=1e-12)
    assert curve.curvature(v, a).item() == pytest.approx(2 * math.pi / math.sqrt(n), rel=1e-6)
    assert curve.length_of_curvature(v, a).item() == pytest.approx(2 * math.pi, rel=1e-12)


def test_ellipse_tells_length_of_curvature_from_acceleration_over_speed():
    # The tangent of any convex plane curve turns by 2π once; ∫ ‖a‖/‖v‖ of this ellipse is another number.
    stretch = torch.tensor([3.0, 1.0], dtype=DOUBLE)
    image = curve.image_of_circle(lambda x: x * stretch, torch.eye(2, dtype=DOUBLE), radius=1.0)
    v, a = curve.velocity_and_acceleration(image, curve.angles(200, dtype=DOUBLE))
    assert curve.length_of_curvature(v, a).item() == pytest.approx(2 * math.pi, rel=1e-10)
    assert curve.integral(a.norm(dim=1) / v.norm(dim=1)).item() != pytest.approx(2 * math.pi, rel=1e-2)
    # Circumference by the complete elliptic integral of the second kind, E(m = 1 - 1/9), to 12 digits.
    assert curve.length(v).item() == pytest.approx(13.364893220555, rel=1e-12)


def test_ellipse_curvature_integral():
    # Curvature of (a cos θ, b sin θ) is ab / (a² sin² + b² cos²)^(3/2); the integral over θ by a fine sum.
    theta = curve.angles(4000, dtype=DOUBLE)
    expected = curve.integral(3 / (9 * theta.sin() ** 2 + theta.cos() ** 2) ** 1.5).item()
    stretch = torch.tensor([3.0, 1.0], dtype=DOUBLE)
    image = curve.image_of_circle(lambda x: x * stretch, torch.eye(2, dtype=DOUBLE), radius=1.0)
    v, a = curve.velocity_and_acceleration(image, curve.angles(400, dtype=DOUBLE))
    assert curve.curvature(v, a).item() == pytest.approx(expected, rel=1e-8)


def small_network(norm: str) -> nn.Module:
    torch.manual_seed(0)
    model = AsViT(
        Architecture.parse("5,2,2,1|3,2,2,1|2,1,2,1|2,1,2,1|16,8"),
        image_size=32,
        num_classes=0,
        position_embedding=False,
    ).double()
    for parameter in model.parameters():  # larger weights: the derivatives of attention are then not hidden by the sum
        parameter.data.mul_(5)
    write_out_attention(model)
    remove_norms(model) if norm == "identity" else write_out_norms(model)
    return model.eval().requires_grad_(False)


def circle_of(model: nn.Module) -> curve.Curve:
    shape = (3, 32, 32)
    basis = torch.linalg.qr(torch.randn(3072, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(3)))[0].T
    return curve.image_of_circle(model.pooled_features, basis.reshape(2, *shape), radius=math.sqrt(3072))


@pytest.mark.parametrize("norm", ["identity", "layer"])
def test_forward_mode_agrees_with_reverse_mode_and_differences_on_the_model(norm):
    image = circle_of(small_network(norm))
    theta = curve.angles(3, dtype=DOUBLE) + 0.3
    v, a = curve.velocity_and_acceleration(image, theta)
    torch.testing.assert_close(curve.velocity(image, theta), v, rtol=1e-12, atol=0)

    for i in range(len(theta)):  # one backward pass an output channel, as the authors' release does
        angle = theta[i : i + 1].clone().requires_grad_()
        out = image(angle)[0]
        reverse_v, reverse_a = [], []
        for channel in range(out.shape[0]):
            (g,) = torch.autograd.grad(out[channel], angle, create_graph=True)
            (gg,) = torch.autograd.grad(g, angle, retain_graph=True)
            reverse_v.append(g.item())
            reverse_a.append(gg.item())
        scale = torch.tensor(reverse_a, dtype=DOUBLE).abs().max().item()
        torch.testing.assert_close(v[i], torch.tensor(reverse_v, dtype=DOUBLE), rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(a[i], torch.tensor(reverse_a, dtype=DOUBLE), rtol=1e-8, atol=1e-10 * scale)

    h = 1e-4
    difference = (image(theta + h) - image(theta - h)) / (2 * h)
    second = (image(theta + h) - 2 * image(theta) + image(theta - h)) / h**2
    torch.testing.assert_close(v, difference, rtol=1e-4, atol=1e-7 * v.abs().max().item() + 1e-9)
    torch.testing.assert_close(a, second, rtol=1e-3, atol=1e-5 * a.abs().max().item())


def test_a_fused_layer_norm_is_right_to_first_order():
    # Velocities of networks that keep their norms rest on it; only second derivatives need the written-out form.
    torch.manual_seed(0)
    fused = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)).double()
    written_out = deepcopy(fused)
    write_out_norms(written_out)
    basis = random_orthonormal(6, seed=4)[:2]
    theta = curve.angles(5, dtype=DOUBLE)
    velocities = [curve.velocity(curve.image_of_circle(f, basis, 2.0), theta) for f in (fused, written_out)]
    torch.testing.assert_close(*velocities, rtol=1e-12, atol=1e-14)


def test_angles_go_round_once_without_a_double_point():
    theta = curve.angles(10, dtype=DOUBLE)
    assert len(theta) == 10
    assert theta[0] == 0
    assert theta[-1].item() == pytest.approx(2 * math.pi * 9 / 10)
