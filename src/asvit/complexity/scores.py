"""Training-free scores of others that come from gradients, each by its paper's formula.

A network is a torch module from a batch of images to logits. The loss ``L`` is the mean cross entropy. Weights are
those of *connections*, linear layers and convolutions, which the papers prune or weigh; only the gradient norm takes
all parameters. A parameter that the output does not depend on adds nothing. Sums are in float64.
"""

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from asvit.complexity.copies import fresh_copy
from asvit.complexity.precision import float64_device, in_float64, total

Images = Float[Tensor, "n *image"]
Labels = Int[Tensor, " n"]

ATTENTION = "attn"
"""Name of a module of attention in our networks and timm's."""


class NothingToScore(RuntimeError):
    """The network has no layer of the kind that a score is a function of.

    >>> dss(nn.Linear(1, 1), (1,))
    Traceback (most recent call last):
    asvit.complexity.scores.NothingToScore: the network has no linear layer within attention
    """


def gradient_norm(network: nn.Module, images: Images, labels: Labels) -> float:
    """``‖∂L/∂w‖₂`` by all parameters (Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021).

    Two classes and no weights: half of the probability is on the wrong one.

    >>> network = nn.Linear(1, 2, bias=False)
    >>> _ = nn.init.zeros_(network.weight)
    >>> round(gradient_norm(network, torch.tensor([[2.0]]), torch.tensor([0])) ** 2, 6)
    2.0
    """
    pairs = gradients(F.cross_entropy(network(images), labels), network.parameters())
    return math.sqrt(sum(total(in_float64(g).square()) for _, g in pairs))


def snip(network: nn.Module, images: Images, labels: Labels) -> float:
    """``Σ |w ⊙ ∂L/∂w|`` over connections (Lee et al., "SNIP", ICLR 2019).

    >>> network = nn.Linear(1, 2, bias=False)
    >>> _ = nn.init.ones_(network.weight)
    >>> snip(network, torch.tensor([[2.0]]), torch.tensor([0]))
    2.0
    """
    pairs = gradients(F.cross_entropy(network(images), labels), connections(network).values())
    return sum(total((w * g).abs()) for w, g in pairs)


def synflow(network: nn.Module, shape: Sequence[int]) -> float:
    """``Σ | |w| ⊙ ∂R/∂|w| |`` over connections in float64 (Tanaka et al., "Pruning neural networks ...", NeurIPS 2020).

    ``R`` is the sum of the outputs for one image of ones, with the absolute value of every parameter. No term is
    negative in the paper's networks; attention makes some so, of which the size counts. Tanh is taken out: sums of
    positive numbers saturate it, and nothing flows.

    Args:
        network: classifier without norms (:func:`asvit.measure.differentiable.remove_norms`).
        shape: shape of one image.

    Every path counts once a layer: two layers of one weight each, 2 and -3, have 6 + 6.

    >>> network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    >>> _ = nn.init.constant_(network[0].weight, 2.0), nn.init.constant_(network[1].weight, -3.0)
    >>> synflow(network, (1,))
    12.0
    """
    network = with_absolute_parameters(network)
    remove_tanh(network)
    pairs = gradients(sum_of_outputs(network, shape), connections(network).values())
    return sum(total((w * g).abs()) for w, g in pairs)


def dss(network: nn.Module, shape: Sequence[int]) -> float:
    """DSS indicator ``Σ_attention ‖∂S/∂W‖_nuc ‖W‖_nuc + Σ_others Σ |∂S/∂W ⊙ W|`` (Zhou et al., "TF-TAS", CVPR 2022).

    ``S`` is the sum of the outputs for one image of ones, with the absolute value of every parameter and norms kept.
    The first sum, synaptic diversity, runs over the linear layers within attention, the second, synaptic saliency, over
    all other linear layers and convolutions: the patch embedding and the classifier too, as in the authors' release.
    In float64.

    Args:
        network: classifier whose modules of attention are called ``attn``, as ours and timm's are.
        shape: shape of one image.

    Raises:
        NothingToScore: the network has no linear layer within attention.

    >>> network = nn.Sequential()
    >>> network.add_module("attn", nn.Linear(1, 1, bias=False)), network.add_module("fc", nn.Linear(1, 1, bias=False))
    (None, None)
    >>> _ = nn.init.constant_(network.attn.weight, 2.0), nn.init.constant_(network.fc.weight, -3.0)
    >>> dss(network, (1,))
    12.0
    """
    network = with_absolute_parameters(network)
    weights = connections(network)
    in_attention = [ATTENTION in name.split(".") and weights[name].ndim == 2 for name in weights]
    if not any(in_attention):
        raise NothingToScore("the network has no linear layer within attention")
    diversity = saliency = 0.0
    output = sum_of_outputs(network, shape)
    derivatives = torch.autograd.grad(output, [*weights.values()], allow_unused=True)
    for w, g, attends in zip(weights.values(), derivatives, in_attention, strict=True):
        if g is None:
            continue
        if attends:
            diversity += nuclear_norm(g) * nuclear_norm(w)
        else:
            saliency += total((w * g).abs())
    return diversity + saliency


def zico(network: nn.Module, images: Images, labels: Labels) -> float:
    """``Σ_layers log Σ_w E|g| / σ(g)`` over connections, ``g = ∂L/∂w`` of two batches (Li et al., "ZiCo", ICLR 2023).

    The images are cut into two halves; ``σ = |g¹ - g²| / 2`` (no correction). Weights whose gradients are equal in both
    are left out, and so are layers of such weights alone, for example before a norm that starts with scale 0.

    >>> network = nn.Linear(1, 2, bias=False)
    >>> _ = nn.init.zeros_(network.weight)
    >>> round(zico(network, torch.tensor([[1.0], [3.0]]), torch.tensor([0, 0])), 6) == round(math.log(4), 6)
    True
    """
    halves = [
        gradients(F.cross_entropy(network(half), classes), connections(network).values())
        for half, classes in zip(images.chunk(2), labels.chunk(2), strict=True)
    ]
    score = 0.0
    for pairs in zip(*halves, strict=True):
        g = in_float64(torch.stack([g for _, g in pairs]))
        mean, deviation = g.abs().mean(0), g.std(0, correction=0)
        varies = deviation > 0
        if not (deviation == 0).all():
            score += (mean[varies] / deviation[varies]).sum().log().item()
    return score


def connections(network: nn.Module) -> dict[str, Tensor]:
    """Weights of linear layers and convolutions, by the layer's name.

    >>> list(connections(nn.Sequential(nn.Linear(1, 1), nn.LayerNorm(1))))
    ['0']
    """
    return {
        name: module.weight
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    }


def gradients(scalar: Float[Tensor, ""], weights: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Each weight that a number depends on, and the number's derivative by it.

    >>> w, unused = torch.tensor(3.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    >>> gradients(w**2, [w, unused])
    [(tensor(3.), tensor(6.))]
    """
    weights = [w for w in weights if w.requires_grad]
    derivatives = torch.autograd.grad(scalar, weights, allow_unused=True)
    return [(w.detach(), g) for w, g in zip(weights, derivatives, strict=True) if g is not None]


def with_absolute_parameters(network: nn.Module) -> nn.Module:
    """A copy of a network in float64, with the absolute value of every parameter.

    >>> network = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(network.weight, -2.0)
    >>> with_absolute_parameters(network).weight.item(), network.weight.item()
    (2.0, -2.0)
    """
    network = fresh_copy(network)
    network.to(float64_device(next(network.parameters()).device)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    return network


def remove_tanh(network: nn.Module) -> None:
    """Replace every tanh by the identity, in place.

    >>> network = nn.Sequential(nn.Linear(1, 1), nn.Tanh())
    >>> remove_tanh(network)
    >>> network[1]
    Identity()
    """
    for module in [*network.modules()]:
        for name, child in module.named_children():
            if isinstance(child, nn.Tanh):
                setattr(module, name, nn.Identity())


def sum_of_outputs(network: nn.Module, shape: Sequence[int]) -> Float[Tensor, ""]:
    """Sum of a network's outputs for one image of ones.

    >>> network = nn.Linear(3, 2, bias=False)
    >>> _ = nn.init.ones_(network.weight)
    >>> sum_of_outputs(network, (3,)).item()
    6.0
    """
    like = next(network.parameters())
    return network(torch.ones(1, *shape, dtype=like.dtype, device=like.device)).sum()


def nuclear_norm(matrix: Float[Tensor, "rows columns"]) -> float:
    """Sum of the singular values; not a number where an entry is not finite.

    >>> round(nuclear_norm(torch.diag(torch.tensor([3.0, -4.0]))), 5)
    7.0
    """
    return torch.linalg.svdvals(matrix).sum().item() if matrix.isfinite().all() else math.nan
