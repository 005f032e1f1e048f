"""The measures the slow way: a backward pass for every channel or image, attention written out, as in the release.

Baselines for measures.py; nothing here is used by the library.
"""

import math
import time

import torch
from torch import Tensor, nn

from asvit.attention import write_out_attention


def curve_of(network: nn.Module, basis: Tensor, theta: Tensor) -> Tensor:
    """The circle's image, with attention written out as a softmax of products."""
    write_out_attention(network)
    u0, u1 = math.sqrt(basis[0].numel()) * basis
    return network(u0 * theta.cos()[:, None, None, None] + u1 * theta.sin()[:, None, None, None])


def velocity(network: nn.Module, basis: Tensor, theta: Tensor) -> Tensor:
    """Velocity of every output channel by a backward pass of its own."""
    theta = theta.clone().requires_grad_()
    out = curve_of(network, basis, theta)
    v = [torch.autograd.grad(out[:, c].sum(), theta, retain_graph=True)[0] for c in range(out.shape[1])]
    return torch.stack(v, 1)


def velocity_and_acceleration(
    network: nn.Module, basis: Tensor, theta: Tensor, *, channels: list[int]
) -> tuple[Tensor, Tensor, float]:
    """Both for some channels by two backward passes each, and the seconds that all channels would take."""
    theta = theta.clone().requires_grad_()
    begin = time.perf_counter()
    out = curve_of(network, basis, theta)
    forward = time.perf_counter() - begin
    begin = time.perf_counter()
    v, a = [], []
    for c in channels:
        (d,) = torch.autograd.grad(out[:, c].sum(), theta, create_graph=True)
        a.append(torch.autograd.grad(d.sum(), theta, retain_graph=True)[0])
        v.append(d.detach())
    seconds = forward + (time.perf_counter() - begin) * out.shape[1] / len(channels)
    return torch.stack(v, 1), torch.stack(a, 1), seconds


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
