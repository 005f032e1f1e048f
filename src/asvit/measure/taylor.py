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
from asvit.networks.attention import WindowAttention
from asvit.networks.block import DropPath

Jet = Float[Tensor, "J ..."]
Heads = Float[Tensor, "J N L D"]

BLOCK = {"cpu": 2**20, "cuda": 2**27}
"""Attention weights (elements) at a time, by device: 4 MB in float32, so that all stays in a CPU's cache."""
LARGE = 60
"""Exponent of 2 up to which, and down to whose negative, float32 has powers that can be summed and divided."""


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
        elif isinstance(child, nn.GELU) and order == 1:
            setattr(network, name, JetGELU(child.approximate))
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
        # Behind a convolution the network has channels last: once in memory too, instead of in every layer.
        return out.contiguous(memory_format=torch.channels_last) if isinstance(self.layer, nn.Conv2d) else out


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


class JetGELU(nn.Module):
    """GELU of a jet of order 1: what :class:`JetFunction` makes of it, in one pass over each part and without copies.

    >>> jet = torch.tensor([[1.0], [2.0]])
    >>> torch.equal(JetGELU("none")(jet), JetFunction(nn.GELU(), parts=2)(jet))
    True
    """

    def __init__(self, approximate: str) -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, jet: Jet) -> Jet:
        """``f(x)`` and ``f'(x) x'``."""
        out = torch.empty_like(jet)
        (x, d_x), (values, derivatives) = jet.chunk(2), out.chunk(2)
        torch.ops.aten.gelu.out(x, approximate=self.approximate, out=values)
        torch.ops.aten.gelu_backward.grad_input(d_x, x, approximate=self.approximate, grad_input=derivatives)
        return out


def attend_jets(
    q_JNLD: Heads, k_JNLD: Heads, v_JNLD: Heads, mask: Bool[Tensor, "J 1 1 L"] | None, *, parts: int
) -> Heads:
    """Attention ``softmax(q kᵀ / √D) v`` of jets, by products of power series.

    With coefficients ``xₘ = x⁽ᵐ⁾ / m!`` a product has ``(a b)ₘ = Σ aₘ₋ᵢ bᵢ``. Scores ``s = q kᵀ / √D``; weights
    ``w = eˢ``, ``w₁ = w s₁``, ``w₂ = w (s₂ + s₁² / 2)``; totals ``t = w 1``, numerators ``n = w v``; and ``o = n / t``
    has ``oₘ = (nₘ - Σ tᵢ oₘ₋ᵢ) / t`` with ``i`` from 1.
    """
    q, k, v = (coefficients(x, parts) for x in (q_JNLD, k_JNLD, v_JNLD))
    columns = v_JNLD.shape[-1]
    # All that a coefficient of a product is summed of lies side by side, so that one product of matrices sums it. A
    # column of ones among the values makes the totals.
    q_GLD, k_GLD = beside([*reversed(q)]).mul_(columns**-0.5), beside(k)
    v_GLD = beside([torch.ones_like(v[0][..., :1]), *v])
    q_up_to = [q_GLD[..., -(m + 1) * columns :] for m in range(parts)]
    k_up_to = [k_GLD[..., : (m + 1) * columns] for m in range(parts)]
    v_up_to = [v_GLD[..., : 1 + (m + 1) * columns].mT for m in range(parts)]
    # Only the values are exponents, of 2: w₁ = w s₁ holds with the other coefficients of s as they are.
    q_up_to[0] = q_up_to[0] * math.log2(math.e)
    # Padding is where it is whatever t is: the first part's mask holds for all.
    padding = None if mask is None else ~mask.chunk(parts)[0].expand(-1, q_JNLD.shape[1], -1, -1).flatten(0, 1).mT
    exponents_fit = moderate(q_up_to[0], k_up_to[0])
    # Keys run down and queries across: a CPU multiplies few rows by many columns faster than many by few.
    sums = [v_m.new_empty(*v_m.shape) for v_m in reversed(v_up_to)]
    # All weights of a layer may be gigabytes: a block of them is made and used up before the next, so that it stays in
    # a CPU's cache, and in memory that the block before had.
    memory: list[Tensor] | None = None
    for heads, queries in blocks(*k_GLD.shape[:2], at_most=BLOCK[v_GLD.device.type]):
        factors = [(k_m[heads], q_m[heads, queries].mT) for k_m, q_m in zip(k_up_to, q_up_to, strict=True)]
        if memory is None:
            memory = [v_GLD.new_empty(k_m.shape[0] * k_m.shape[1] * q_m.shape[2]) for k_m, q_m in factors]
        s = [multiply_into(place, k_m, q_m) for place, (k_m, q_m) in zip(memory, factors, strict=True)]
        w = weights(s, None if padding is None else padding[heads], exponents_fit=exponents_fit)
        for sums_j, v_m, w_j in zip(sums, reversed(v_up_to), w, strict=True):
            sums_j[heads, :, queries] = v_m[heads] @ w_j
    # Divided after the product: D numbers of a query instead of its L weights.
    t, o = [sums_j[:, :1] for sums_j in sums], []
    for m in range(parts):
        n_m = sum(sums[m - i][:, 1 + i * columns : 1 + (i + 1) * columns] for i in range(m + 1))
        o.append((n_m - sum(t[i] * o[m - i] for i in range(1, m + 1))) / t[0])
    derivatives = torch.stack([math.factorial(m) * o_m if m > 1 else o_m for m, o_m in enumerate(o)])
    return derivatives.flatten(0, 1).unflatten(0, q_JNLD.shape[:2]).mT


def coefficients(x_JNLD: Heads, parts: int) -> list[Float[Tensor, "B N L D"]]:
    """Coefficients ``x⁽ᵐ⁾ / m!`` of a jet.

    >>> jet = torch.tensor([1.0, 2.0, 6.0]).reshape(3, 1, 1, 1)
    >>> [coefficient.item() for coefficient in coefficients(jet, parts=3)]
    [1.0, 2.0, 3.0]
    """
    return [part if m < 2 else part / math.factorial(m) for m, part in enumerate(x_JNLD.chunk(parts))]


def beside(x: list[Float[Tensor, "B N L _"]]) -> Float[Tensor, "G L columns"]:
    """Matrices of every head side by side."""
    return torch.cat(x, -1).flatten(0, 1)


def moderate(q: Float[Tensor, "G L D"], k: Float[Tensor, "G L D"]) -> bool:
    """Whether no product of a row of ``q`` and one of ``k`` can be a large exponent of 2, known without any of them.

    On a GPU the answer would have to be waited for: no.

    >>> moderate(torch.ones(1, 2, 4), torch.ones(1, 2, 4)), moderate(torch.ones(1, 2, 400), torch.ones(1, 2, 400))
    (True, False)
    """
    return q.device.type == "cpu" and (q.norm(dim=-1).amax() * k.norm(dim=-1).amax()).item() <= LARGE


def multiply_into(
    memory: Float[Tensor, " _"], a: Float[Tensor, "g n D"], b: Float[Tensor, "g D m"]
) -> Float[Tensor, "g n m"]:
    """Products of matrices at the beginning of some memory."""
    shape = (*a.shape[:2], b.shape[2])
    return torch.bmm(a, b, out=memory[: math.prod(shape)].view(shape))


def weights(
    scores: list[Float[Tensor, "g L l"]], padding: Bool[Tensor, "g L 1"] | None, *, exponents_fit: bool
) -> list[Float[Tensor, "g L l"]]:
    """Weights ``w`` up to a factor of each query, and their coefficients; overwrites the scores, the first to base 2.

    A power of two takes a quarter of the time of ``exp`` on some CPUs.
    """
    # In place throughout: the scores are not needed again, and copies of them would drive the block out of the cache.
    w, *others = scores
    # Of padding only the values are set: its weight is 0, a factor of every coefficient.
    if padding is not None:
        w.masked_fill_(padding, -math.inf)
    # A query's largest score is taken off as if it were constant along the curve: a factor, which n / t loses with all
    # its derivatives.
    if not exponents_fit:
        w.sub_(w.amax(-2, keepdim=True))
    w.exp2_()
    # s₂ becomes s₂ + s₁² / 2 first: afterwards s₁ is overwritten.
    if len(others) == 2:
        others[1].addcmul_(others[0], others[0], value=0.5)
    return [w, *(other.mul_(w) for other in others)]


def blocks(heads: int, length: int, *, at_most: int) -> Iterator[tuple[slice, slice]]:
    """Slices of heads and of queries that have ``at_most`` so many weights together, or a single query.

    None is larger than the first.

    >>> [(heads.start, queries.start, queries.stop) for heads, queries in blocks(2, 4, at_most=8)]
    [(0, 0, 2), (0, 2, 4), (1, 0, 2), (1, 2, 4)]
    """
    g = max(1, at_most // length**2)
    rows = length if g > 1 else min(length, max(1, at_most // length))
    for i in range(0, heads, g):
        for j in range(0, length, rows):
            yield slice(i, i + g), slice(j, j + rows)
