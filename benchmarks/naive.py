"""The measures the slow way: a backward pass for every channel or image, attention written out, as in the release.

Baselines for measures.py; nothing here is used by the library.
"""

import math

import torch
from machine import timed
from torch import Tensor, nn

from asvit.measure.differentiable import write_out_attention


def curve_of(network: nn.Module, basis: Tensor, theta: Tensor) -> Tensor:
    """The circle's image, with attention written out as a softmax of products."""
    write_out_attention(network)
    u0, u1 = math.sqrt(basis[0].numel()) * basis
    return network(u0 * theta.cos()[:, None, None, None] + u1 * theta.sin()[:, None, None, None])


def velocity(network: nn.Module, basis: Tensor, theta: Tensor, *, channels: list[int]) -> tuple[Tensor, float]:
    """Velocity of some output channels by a backward pass each, and the seconds that all channels would take."""
    theta = theta.clone().requires_grad_()
    forward, out = timed(lambda: curve_of(network, basis, theta), theta.device)
    backward, v = timed(
        lambda: [torch.autograd.grad(out[:, c].sum(), theta, retain_graph=True)[0] for c in channels], theta.device
    )
    return torch.stack(v, 1), forward + backward * out.shape[1] / len(channels)


def velocity_and_acceleration(
    network: nn.Module, basis: Tensor, theta: Tensor, *, channels: list[int]
) -> tuple[Tensor, Tensor, float]:
    """Both for some channels by two backward passes each, and the seconds that all channels would take."""
    theta = theta.clone().requires_grad_()

    def of(channel: int) -> tuple[Tensor, Tensor]:
        (d,) = torch.autograd.grad(out[:, channel].sum(), theta, create_graph=True)
        return d.detach(), torch.autograd.grad(d.sum(), theta, retain_graph=True)[0]

    forward, out = timed(lambda: curve_of(network, basis, theta), theta.device)
    backward, found = timed(lambda: [of(c) for c in channels], theta.device)
    v, a = zip(*found, strict=True)
    return torch.stack(v, 1), torch.stack(a, 1), forward + backward * out.shape[1] / len(channels)


def kernel(network: nn.Module, images: Tensor) -> Tensor:
    """Gram matrix of the gradients of all weights, by a backward pass through the batch for every image."""
    write_out_attention(network)
    weights = [parameter for name, parameter in network.named_parameters() if name.endswith("weight")]
    out = network(images).sum(1)
    rows = [
        torch.cat(
            [
                gradient.flatten()
                for gradient in torch.autograd.grad(out[i], weights, retain_graph=True, allow_unused=True)
                if gradient is not None
            ]
        )
        for i in range(len(images))
    ]
    jacobian = torch.stack(rows).double()
    return jacobian @ jacobian.T
