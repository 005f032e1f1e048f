"""The circle and what a network makes of it: velocity, acceleration and three complexities of the curve (Section 3.2).

Shapes: ``n`` angles, ``D`` outputs. A network is a callable from a batch of inputs to a batch of outputs ``n x D``
that treats each row by itself. Derivatives are taken in forward mode: one pass gives the velocity of all outputs at all
angles. Integrals over ``[0, 2π)`` take equal weights at equally spaced angles, spectrally accurate on a circle.
"""

import math
import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jvp

# The first jvp compiles a helper of torch's with torch's own deprecated decorator: nobody who sees the warning can do
# anything about it.
warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")

Network = Callable[[Float[Tensor, "n *input"]], Float[Tensor, "n D"]]
Curve = Callable[[Float[Tensor, " n"]], Float[Tensor, "n D"]]


def angles(n: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Float[Tensor, " n"]:
    """Angles ``θ_i = 2π i / n``: the full turn once, no point twice.

    >>> angles(4, dtype=torch.float64).div(math.pi).tolist()
    [0.0, 0.5, 1.0, 1.5]
    """
    return (2 * math.pi / n) * torch.arange(n, dtype=dtype, device=device)


def image_of_circle(network: Network, basis: Float[Tensor, "2 *input"], radius: float) -> Curve:
    """The curve ``θ ↦ N(h(θ))`` with ``h(θ) = radius · (u⁰ cos θ + u¹ sin θ)``; the paper's radius is √N.

    Args:
        network: callable from a batch of inputs to a batch of outputs, each row by itself.
        basis: ``u⁰, u¹``, orthonormal.
        radius: radius of the circle.

    >>> curve = image_of_circle(lambda x: x, torch.eye(2), radius=3.0)
    >>> curve(torch.zeros(1)).tolist()
    [[3.0, 0.0]]
    """
    u0, u1 = radius * basis[0], radius * basis[1]

    def curve(theta: Float[Tensor, " n"]) -> Float[Tensor, "n D"]:
        column = theta.reshape(-1, *[1] * u0.ndim)
        return network(u0 * column.cos() + u1 * column.sin())

    return curve


def velocity(curve: Curve, theta: Float[Tensor, " n"]) -> Float[Tensor, "n D"]:
    """``v(θ) = ∂_θ N(h(θ))`` by one Jacobian-vector product.

    >>> curve = image_of_circle(lambda x: x, torch.eye(2), radius=3.0)
    >>> velocity(curve, torch.zeros(1)).tolist()
    [[0.0, 3.0]]
    """
    return jvp(curve, (theta,), (torch.ones_like(theta),))[1]


def velocity_and_acceleration(
    curve: Curve, theta: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "n D"], Float[Tensor, "n D"]]:
    """``v(θ)`` and ``a(θ) = ∂_θ v(θ)`` by a Jacobian-vector product of the Jacobian-vector product.

    torch's own layer, batch and instance norms give silently wrong second derivatives in forward mode: write them out
    before (:func:`asvit.measure.differentiable.write_out_norms`).

    >>> curve = image_of_circle(lambda x: x, torch.eye(2), radius=3.0)
    >>> v, a = velocity_and_acceleration(curve, torch.zeros(1))
    >>> v.norm().item(), a.norm().item()
    (3.0, 3.0)
    """
    derivatives = jvp(lambda t: velocity(curve, t), (theta,), (torch.ones_like(theta),))
    return derivatives[0], derivatives[1]


def length(v: Float[Tensor, "n D"]) -> Float[Tensor, ""]:
    """Length distortion ``L^E = ∫ ‖v(θ)‖₂ dθ`` (item 2; its printed square root is a slip, see docs/fidelity.md).

    An orthogonal linear map of R^N has ``2π √N``:

    >>> curve = image_of_circle(lambda x: x, torch.eye(4)[:2], radius=4**0.5)
    >>> round(length(velocity(curve, angles(10))).item() / (2 * math.pi), 6)
    2.0
    """
    return integral(v.norm(dim=1))


def curvature(v: Float[Tensor, "n D"], a: Float[Tensor, "n D"]) -> Float[Tensor, ""]:
    """``κ = ∫ (v·v)^(-3/2) √((v·v)(a·a) - (v·a)²) dθ`` (item 1), ``2π / radius`` on a circle.

    >>> curve = image_of_circle(lambda x: x, torch.eye(2), radius=4.0)
    >>> round(curvature(*velocity_and_acceleration(curve, angles(10))).item() * 4 / (2 * math.pi), 6)
    1.0
    """
    vv, aa, va = (v * v).sum(1), (a * a).sum(1), (v * a).sum(1)
    return integral(vv**-1.5 * (vv * aa - va**2).clamp_min(0).sqrt())


def length_of_curvature(v: Float[Tensor, "n D"], a: Float[Tensor, "n D"]) -> Float[Tensor, ""]:
    """``L^E_κ = ∫ ‖∂_θ v̂(θ)‖₂ dθ`` with ``∂_θ v̂ = a/‖v‖ - v (v·a)/‖v‖³`` (item 3), ``2π`` on any convex plane curve.

    >>> ellipse = image_of_circle(lambda x: x * torch.tensor([1.0, 2.0]), torch.eye(2), radius=1.0)
    >>> round(length_of_curvature(*velocity_and_acceleration(ellipse, angles(100))).item() / (2 * math.pi), 6)
    1.0
    """
    speed = v.norm(dim=1, keepdim=True)
    turn = a / speed - v * (v * a).sum(1, keepdim=True) / speed**3
    return integral(turn.norm(dim=1))


def integral(values: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """``∫_0^{2π} f dθ`` from values at equally spaced angles.

    >>> round(integral(angles(100).cos() ** 2).item() / math.pi, 6)
    1.0
    """
    return 2 * math.pi * values.mean()
