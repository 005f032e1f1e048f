"""The tangent kernel of a network of known layers, layer by layer, in one forward and one backward pass.

The gradient of one image by a layer's weight is a product of what the layer saw of it and of what comes back to it; one
pass over the whole batch yields both for every image. Each layer adds its share ``J_l J_lᵀ`` to the kernel when the
backward pass reaches it, and forgets its gradients: only one layer's are in memory at a time.

Shapes: ``n`` images, ``T`` tokens of an image at a layer, ``P`` entries of a parameter.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor, nn

from asvit.complexity.ntk import add_gram
from asvit.complexity.precision import float64_device

Gradients = Float[Tensor, "n P"]


def layerwise_kernel(
    network: nn.Module, names: Collection[str], inputs: Float[Tensor, "rows *input"], *, networks: int | None = None
) -> Float64[Tensor, "*R n n"]:
    """Empirical kernel ``Θ_ij = ∇_w f(x_i) · ∇_w f(x_j)`` of ``f(x) = Σ network(x)``, summed in float64.

    Args:
        network: module from a batch of inputs to a batch of outputs, each row by itself. Layers that hold a chosen
            parameter are linear layers, convolutions and layer norms; each is called once, with the batch as its first
            axis.
        names: parameters ``w`` among ``network.named_parameters()``.
        inputs: ``x_1 .. x_n``; of stacked networks, those of each in turn.
        networks: number ``R`` of networks that are stacked into this one (:mod:`asvit.measure.stacked`), each with its
            own kernel; None: a single network, whose kernel has no axis ``R``.

    Raises:
        TypeError: a layer is of another kind, or is called more than once.

    A linear model's kernel is ``X Xᵀ``:

    >>> layerwise_kernel(nn.Linear(2, 1), {"weight"}, torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[5.0, 11.0], [11.0, 25.0]]
    """
    shape = (len(inputs),) if networks is None else (networks, len(inputs) // networks)
    gram = torch.zeros(*shape, shape[-1], dtype=torch.float64, device=float64_device(inputs.device))
    required = {name: parameter.requires_grad for name, parameter in network.named_parameters()}
    # No parameter asks for a gradient: autograd would compute each of them summed over the images, to no use here.
    network.requires_grad_(False)
    added: set[nn.Module] = set()
    hooks = [layer.register_forward_hook(tap(gram, chosen, added)) for layer, chosen in layers(network, names)]
    try:
        # Images do not meet in the network, so what comes back to the activations of one image is the gradient of its
        # own output: the pass for the sum serves every image.
        with torch.enable_grad():
            network(inputs).sum().backward()
    finally:
        for hook in hooks:
            hook.remove()
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(required[name])
    return gram


def layers(network: nn.Module, names: Collection[str]) -> Iterator[tuple[nn.Module, list[str]]]:
    """Layers that hold chosen parameters, each with the names of those.

    >>> [(layer, chosen) for layer, chosen in layers(nn.Sequential(nn.Linear(1, 1), nn.GELU()), {"0.weight"})]
    [(Linear(in_features=1, out_features=1, bias=True), ['weight'])]
    """
    for prefix, module in network.named_modules():
        own = [name for name, _ in module.named_parameters(recurse=False)]
        chosen = [name for name in own if (f"{prefix}.{name}" if prefix else name) in names]
        if chosen:
            yield module, chosen


def tap(
    gram: Float64[Tensor, "*R n n"], chosen: list[str], added: set[nn.Module]
) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
    """Forward hook that adds a layer's share of the kernel when a gradient comes back to its output."""

    def hook(layer: nn.Module, inputs: tuple[Tensor], out: Tensor) -> Tensor:
        def add_share(x: Tensor, d_out: Tensor) -> None:
            if layer in added:  # its gradients would have to be summed before they are multiplied
                raise TypeError(f"{layer} is called more than once: use asvit.complexity.ntk.kernel")
            added.add(layer)
            for gradients in gradients_of(layer, chosen, x, d_out):
                add_gram(gram, gradients.unflatten(0, gram.shape[:-1]))

        # Neither images nor parameters ask for a gradient: the backward pass ends at the first tapped layer's output.
        if not out.requires_grad:
            out.requires_grad_()
        # A share is added when a gradient comes, not here: where blocks are recomputed, the forward pass runs twice.
        return _Tap.apply(out, inputs[0], add_share)

    return hook


class _Tap(torch.autograd.Function):
    """The identity on a layer's output; its backward pass calls a function with the layer's input and that gradient."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, x: Tensor, receive: Callable[[Tensor, Tensor], None]) -> Tensor:
        # Saved by torch, not as an attribute: where blocks are recomputed, torch lets go of the input until then.
        ctx.save_for_backward(x)
        ctx.receive = receive
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (x,), (d_out,) = ctx.saved_tensors, grad_outputs
        ctx.receive(x, d_out)
        return d_out, None, None


def gradients_of(
    layer: nn.Module, chosen: Collection[str], x: Float[Tensor, "n *input"], d_out: Float[Tensor, "n *output"]
) -> Iterator[Gradients]:
    """Gradients by a layer's weight and bias, where chosen, for every image.

    Args:
        layer: linear layer, convolution or layer norm.
        chosen: names out of weight and bias.
        x: the layer's input.
        d_out: gradient of its output.

    >>> layer, x, d_out = nn.Linear(2, 1), torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])
    >>> [gradients.tolist() for gradients in gradients_of(layer, {"weight", "bias"}, x, d_out)]
    [[[3.0, 6.0]], [[3.0]]]
    """
    match layer:
        case nn.Linear():
            # Layers behind the pooling see no tokens: for them an axis of one token is put in.
            x_nTC, d_nTD = (t.unflatten(0, (-1, 1)).flatten(1, -2) for t in (x, d_out))
            if "weight" in chosen:
                yield (d_nTD.mT @ x_nTC).flatten(1)
            if "bias" in chosen:
                yield d_nTD.sum(1)
        case nn.Conv2d(padding=(int(), int()) as padding, groups=1):
            d_nDT = d_out.flatten(2)
            if "weight" in chosen:
                patches_nCT = F.unfold(x, layer.kernel_size, layer.dilation, padding, layer.stride)
                yield (d_nDT @ patches_nCT.mT).flatten(1)
            if "bias" in chosen:
                yield d_nDT.sum(2)
        case nn.LayerNorm():
            tokens = tuple(range(1, x.ndim - len(layer.normalized_shape)))
            if "weight" in chosen:
                yield summed(d_out * normalised(x, layer), tokens)
            if "bias" in chosen:
                yield summed(d_out, tokens)
        case _:
            raise TypeError(f"no rule for the gradients of {layer}: use asvit.complexity.ntk.kernel")


def normalised(x: Float[Tensor, "*shape"], norm: nn.LayerNorm) -> Float[Tensor, "*shape"]:
    """What a layer norm makes of its input before it scales and shifts.

    >>> normalised(torch.tensor([1.0, 3.0]), nn.LayerNorm(2, eps=0.0)).tolist()
    [-1.0, 1.0]
    """
    # With a scale and a shift of no effect a CPU takes half as long as without.
    return F.layer_norm(
        x, norm.normalized_shape, x.new_ones(norm.normalized_shape), x.new_zeros(norm.normalized_shape), norm.eps
    )


def summed(x: Float[Tensor, "n *axes"], tokens: tuple[int, ...]) -> Gradients:
    """Sum of gradients over the axes of tokens, of which there may be none.

    >>> summed(torch.ones(2, 5, 3), (1,)).tolist(), summed(torch.ones(1, 2), ()).tolist()
    ([[5.0, 5.0, 5.0], [5.0, 5.0, 5.0]], [[1.0, 1.0]])
    """
    return (x.sum(tokens) if tokens else x).flatten(1)
