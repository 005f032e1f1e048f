"""The empirical neural tangent kernel of a scalar function and its condition number (Section 3.3)."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from asvit.complexity.precision import float64_device, in_float64

COLUMNS = {"cpu": 2**13, "cuda": 2**20}
"""Gradient entries of an image that are in float64 at a time, by device: on a CPU they stay in its cache."""


class SingularKernel(ValueError):
    """The kernel has no condition number: it is not finite, or its smallest eigenvalue is not positive.

    >>> condition_number(torch.zeros(2, 2, dtype=torch.float64))
    Traceback (most recent call last):
    asvit.complexity.ntk.SingularKernel: the kernel is singular: its eigenvalues run from 0 to 0
    """


def kernel(
    function: Callable[[Float[Tensor, "n *input"]], Float[Tensor, " n"]],
    parameters: Sequence[Tensor],
    inputs: Float[Tensor, "n *input"],
) -> Float64[Tensor, "n n"]:
    """Empirical kernel ``Θ_ij = ∇_w f(x_i) · ∇_w f(x_j)``, summed in float64.

    Args:
        function: callable from a batch of inputs to one number per input, each row by itself, differentiable in
            ``parameters``.
        parameters: ``w``, tensors that require a gradient; one that ``function`` does not use adds nothing.
        inputs: ``x_1 .. x_n``.

    A linear model's kernel is ``X Xᵀ``:

    >>> weight = torch.zeros(2, requires_grad=True)
    >>> kernel(lambda x: x @ weight, [weight], torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[5.0, 11.0], [11.0, 25.0]]
    """
    rows = [
        torch.autograd.grad(function(inputs[i : i + 1]).sum(), parameters, allow_unused=True)
        for i in range(inputs.shape[0])
    ]
    gram = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=float64_device(inputs.device))
    for gradients in zip(*rows, strict=True):
        if gradients[0] is not None:
            add_gram(gram, torch.stack([gradient.flatten() for gradient in gradients]))
    return gram


def add_gram(gram: Float64[Tensor, "*R n n"], jacobian: Float[Tensor, "*R n P"]) -> None:
    """Add ``J Jᵀ``, multiplied and summed in float64, to a kernel in place; to those of ``R`` networks at once.

    >>> gram = torch.zeros(2, 2, dtype=torch.float64)
    >>> add_gram(gram, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> gram.tolist()
    [[5.0, 11.0], [11.0, 25.0]]
    """
    add_product = gram.addmm_ if gram.ndim == 2 else gram.baddbmm_
    for columns in jacobian.split(COLUMNS[gram.device.type], dim=-1):
        part = in_float64(columns)
        add_product(part, part.mT)


def condition_number(gram: Float64[Tensor, "n n"], *, dtype: torch.dtype = torch.float32) -> float:
    """``κ_Θ = λ_max / λ_min`` of a kernel whose gradients had precision ``dtype``.

    Raises:
        SingularKernel: a value is not finite, or ``λ_min`` cannot be told from zero at that precision.

    >>> condition_number(torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64)))
    4.0
    """
    eigenvalues = positive_eigenvalues(gram, dtype=dtype)
    return (eigenvalues[-1] / eigenvalues[0]).item()


def positive_eigenvalues(gram: Float64[Tensor, "n n"], *, dtype: torch.dtype) -> Float64[Tensor, " n"]:
    """Eigenvalues of a kernel whose terms had precision ``dtype``, in ascending order.

    Raises:
        SingularKernel: a value is not finite, or ``λ_min`` cannot be told from zero at that precision.

    >>> positive_eigenvalues(torch.diag(torch.tensor([4.0, 1.0], dtype=torch.float64)), dtype=torch.float64).tolist()
    [1.0, 4.0]
    """
    if not gram.isfinite().all():
        raise SingularKernel("the kernel is not finite")
    eigenvalues = torch.linalg.eigvalsh(gram.cpu())
    smallest, largest = eigenvalues[0].item(), eigenvalues[-1].item()
    # Rounding of gradients moves singular values by about ε σ_max, eigenvalues near zero by ε² λ_max.
    precision = max(torch.finfo(torch.float64).eps, torch.finfo(dtype).eps ** 2)
    if smallest <= len(gram) * precision * largest:
        raise SingularKernel(f"the kernel is singular: its eigenvalues run from {smallest:.3g} to {largest:.3g}")
    return eigenvalues
