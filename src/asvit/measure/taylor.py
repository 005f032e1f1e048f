"""Taylor mode: a network that carries the derivatives along a curve through the passes that compute its values.

A *jet* stacks a batch ``x(t)`` and its derivatives ``x'(t)``, and ``x''(t)`` at order 2, along the first axis: parts of
``B`` rows. What is linear acts on all parts in one matrix product; biases, GELU, norms and attention have rules of
their own. The way that takes any callable is :mod:`asvit.complexity.curve`; tests hold the two together.

Shapes: ``J = parts · B`` rows of a jet, ``G`` windows' heads, ``L`` tokens, ``D`` channels of a head, ``n`` angles.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import jvp

from asvit.measure.differentiable import WrittenOutNorm, is_norm
from asvit.measure.stacked import StackedConv2d, StackedLinear
from asvit.networks.attention import WindowAttention, pad_columns
from asvit.networks.model import DropPath

Jet = Float[Tensor, "J ..."]
Heads = Float[Tensor, "J N L D"]

BLOCK = {"cpu": 2**20, "cuda": 2**27}
"""Attention weights (elements) at a time, by device: 4 MB in float32, so that all stays in a CPU's cache."""


def circle_jet(
    basis: Float[Tensor, "2 *input"], radius: float, theta: Float[Tensor, " n"], *, order: Literal[1, 2]
) -> Jet:
    """Points ``h(θ) = radius · (u⁰ cos θ + u¹ sin θ)`` of the circle and their derivatives by θ.

    >>> circle_jet(torch.eye(2), 3.0, torch.zeros(1), order=2).round().int().tolist()
    [[3, 0], [0, 3], [-3, 0]]
    """
    quarter_turns = torch.arange(order + 1, dtype=theta.dtype, device=theta.device) * (math.pi / 2)
    phase = (quarter_turns[:, None] + theta).flatten()  # each derivative is a quarter turn ahead
    return (radius * torch.stack((phase.cos(), phase.sin()), 1) @ basis.flatten(1)).unflatten(1, basis.shape[1:])


def carry_jets(network: nn.Module, *, order: Literal[1, 2]) -> None:
    """Make a network map jets of ``order`` 1 or 2 to jets, in place.

    Its layers are linear layers, convolutions, GELU, tanh, norms (written out, at order 2) and window attention;
    between them it only adds, moves and averages.

    Raises:
        TypeError: a layer is of another kind.
    """
    parts = order + 1
    for name, child in network.named_children():
        if isinstance(child, nn.Linear | nn.Conv2d):
            setattr(network, name, JetAffine(child, parts))
        elif isinstance(child, nn.GELU | nn.Tanh | WrittenOutNorm) or is_norm(child):
            setattr(network, name, JetFunction(child, parts))
        elif isinstance(child, WindowAttention):
            child.attend = partial(attend_jets, parts=parts)
            carry_jets(child, order=order)
        elif isinstance(child, nn.Identity | DropPath):  # linear, in evaluation mode
            continue
        elif any(True for _ in child.children()) or isinstance(child, nn.Sequential):
            carry_jets(child, order=order)
        else:
            raise TypeError(f"no rule for jets of {child}: use asvit.complexity.curve")


class JetAffine(nn.Module):
    """A linear layer or convolution, of one network or stacked: parts in one product, the bias on the values only."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, parts: int) -> None:
        super().__init__()
        self.layer, self.parts = layer, parts
        if isinstance(layer, StackedLinear | StackedConv2d):
            layer.parts = parts
        # A constant shifts the values and none of the derivatives: the layer itself may not add it to all parts.
        self.bias = layer.bias
        layer.register_parameter("bias", None)

    def forward(self, jet: Jet) -> Jet:
        """Map all parts."""
        out = self.layer(jet)
        if self.bias is not None:
            *networks, channels = self.bias.shape
            # A view of the first part: the sum lands in ``out``, and the derivatives are not copied.
            values = out.unflatten(0, (self.parts, *networks, -1))[0]
            behind = (1, 1) if isinstance(self.layer, nn.Conv2d) else ()
            ahead = values.ndim - len(networks) - 1 - len(behind)
            values.add_(self.bias.reshape(*networks, *[1] * ahead, channels, *behind))
        return out


class JetFunction(nn.Module):
    """A layer that treats each row by itself, by Jacobian-vector products of it alone."""

    def __init__(self, function: nn.Module, parts: int) -> None:
        super().__init__()
        self.function, self.parts = function, parts

    def forward(self, jet: Jet) -> Jet:
        """``f(x)``, ``∂f x'`` and, at order 2, ``∂f x'' + ∂²f x' x'``."""
        x, *derivatives = jet.chunk(self.parts)
        if self.parts == 2:
            return torch.cat(self._first(x, *derivatives))
        # Along the curve (x, x') moves by (x', x''): of what that yields, (∂f x', ∂f x'' + ∂²f x' x'), half is known.
        first, second = jvp(self._first, (x, derivatives[0]), tuple(derivatives))[:2]
        return torch.cat((*first, second[1]))

    def _first(
        self, x: Float[Tensor, "B *input"], d_x: Float[Tensor, "B *input"]
    ) -> tuple[Float[Tensor, "B *output"], Float[Tensor, "B *output"]]:
        return jvp(self.function, (x,), (d_x,))[:2]


def attend_jets(
    q_JNLD: Heads, k_JNLD: Heads, v_JNLD: Heads, mask: Bool[Tensor, "J 1 1 L"] | None, *, parts: int
) -> Heads:
    """Attention ``softmax(q kᵀ / √D) v`` of jets, by Leibniz' rule.

    Scores ``s = q kᵀ / √D``, weights ``w = eˢ``, ``w' = w s'``, ``w'' = w (s'² + s'')``; numerator ``n = w v``, total
    ``t = w 1``; ``o = n / t``, ``o' = (n' - t' o) / t``, ``o'' = (n'' - 2 t' o' - t'' o) / t``.
    """
    q, k, v = (x.unflatten(0, (parts, -1)).flatten(1, 2) for x in (q_JNLD, k_JNLD, v_JNLD))
    # Padding is where it is whatever t is: the first part's mask holds for all.
    keys = None if mask is None else mask.chunk(parts)[0].expand(-1, q_JNLD.shape[1], -1, -1).flatten(0, 1)
    columns = v.shape[-1]
    q = q * columns**-0.5
    # Derivative m of a product a b is Σ comb(m, i) a⁽ᵐ⁻ⁱ⁾ b⁽ⁱ⁾: one product of matrices side by side.
    q_up_to = [torch.cat([math.comb(m, i) * q[m - i] for i in range(m + 1)], -1) for m in range(parts)]
    k_up_to = [torch.cat([*k[: m + 1]], -1) for m in range(parts)]
    v_up_to = [pad_columns(torch.cat([*v[: m + 1]], -1)) for m in range(parts)]
    # Only the values are exponents, of 2: w' = w s' holds with the derivatives of s as they are.
    q_up_to[0] = q_up_to[0] * math.log2(math.e)
    out = torch.empty_like(v)
    # All weights of a layer may be gigabytes: a block of them is made and used up before the next, so that it stays in
    # a CPU's cache.
    for heads, rows in blocks(*v.shape[1:3], at_most=BLOCK[v.device.type]):
        s = [q_m[heads, rows] @ k_m[heads].mT for q_m, k_m in zip(q_up_to, k_up_to, strict=True)]
        w = weights(s, None if keys is None else keys[heads])
        n: list[Tensor | int] = [0] * parts
        for j, w_j in enumerate(w):
            # Beside each other, so that a weight is read once for all the orders that it enters.
            products = (w_j @ v_up_to[-1 - j][heads])[..., : columns * (parts - j)].split(columns, -1)
            for i, product in enumerate(products):
                n[j + i] = n[j + i] + math.comb(j + i, i) * product
        # Divided after the product: D numbers of a query instead of its L weights.
        t, o = [w_j.sum(-1, keepdim=True) for w_j in w], []
        for m, n_m in enumerate(n):
            o.append((n_m - sum(math.comb(m, i) * t[i] * o[m - i] for i in range(1, m + 1))) / t[0])
            out[m, heads, rows] = o[m]
    return out.flatten(0, 1).unflatten(0, q_JNLD.shape[:2])


def weights(scores: list[Float[Tensor, "g l L"]], keys: Bool[Tensor, "g 1 L"] | None) -> list[Float[Tensor, "g l L"]]:
    """Weights ``w`` up to a factor of each row, and their derivatives; overwrites the scores, the first to base 2.

    A power of two takes a quarter of the time of ``exp`` on a CPU.
    """
    # In place throughout: the scores are not needed again, and copies of them would drive the block out of the cache.
    w, *derivatives = scores
    # Of a masked key only the values are set: its weight is 0, a factor of every derivative.
    if keys is not None:
        w.masked_fill_(~keys, -math.inf)
    # The largest score is taken off as if it were constant along the curve: a factor of the row, which n / t loses with
    # all its derivatives.
    w.sub_(w.amax(-1, keepdim=True)).exp2_()
    # s'' becomes s'² + s'' first: afterwards s' is overwritten.
    if len(derivatives) == 2:
        derivatives[1].addcmul_(derivatives[0], derivatives[0])
    return [w, *(derivative.mul_(w) for derivative in derivatives)]


def blocks(heads: int, length: int, *, at_most: int) -> Iterator[tuple[slice, slice]]:
    """Slices of heads and of queries that have ``at_most`` so many weights together, or a single query."""
    g = max(1, at_most // length**2)
    rows = length if g > 1 else min(length, max(1, at_most // length))
    for i in range(0, heads, g):
        for j in range(0, length, rows):
            yield slice(i, i + g), slice(j, j + rows)
