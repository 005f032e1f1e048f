"""Normalisation layers taken out of a network, or written out so that they can be differentiated twice.

torch's fused layer, batch and instance norms give silently wrong second derivatives in forward mode (pytorch #196700,
#198017); written with ``var_mean`` they are right.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from asvit.errors import NotAdmitted
from asvit.networks.attention import (
    WindowAttention,
    plain_attention,
)

# Known by name, so that timm need not be imported: its two-dimensional norms share torch's classes but normalise the
# channels of B x C x H x W maps.
_CHANNELS_FIRST = {"LayerNorm2d", "LayerNorm2dFp32", "LayerNormAct2d", "LayerNormAct2dFp32", "RmsNorm2d"}
_RMS = {"RMSNorm", "RmsNorm", "RmsNorm2d", "RmsNormFp32", "RmsNorm2dFp32"}
_FUNCTIONAL = {F.layer_norm, F.rms_norm, F.batch_norm, F.instance_norm, F.group_norm, torch.layer_norm}
_TORCH = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)


class WrittenOutNorm(nn.Module):
    """``(x - mean) / √(var + ε)`` over ``axes``, then scale and shift; an RMS norm leaves the mean in.

    >>> norm = WrittenOutNorm(nn.LayerNorm(8), axes=(-1,))
    >>> x = torch.randn(4, 8)
    >>> torch.allclose(norm(x), nn.LayerNorm(8)(x), atol=1e-6)
    True
    """

    def __init__(self, norm: nn.Module, *, axes: tuple[int, ...]) -> None:
        """Take ε, scale and shift from ``norm``, which normalises over ``axes``."""
        super().__init__()
        self.axes = axes
        self.centred = type(norm).__name__ not in _RMS
        self.eps: float | None = vars(norm)["eps"]  # None in torch's RMSNorm: the precision of the input
        parameters = dict(norm.named_parameters(recurse=False))
        self.scale, self.shift = parameters.get("weight"), parameters.get("bias")

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Normalise."""
        # No fused operator: derivatives of these steps compose to any order.
        if self.centred:
            variance, mean = torch.var_mean(x, self.axes, correction=0, keepdim=True)
            x = x - mean
        else:
            variance = (x * x).mean(self.axes, keepdim=True)
        x = x * (variance + (torch.finfo(x.dtype).eps if self.eps is None else self.eps)).rsqrt()
        x = x if self.scale is None else x * self._along_axes(self.scale)
        return x if self.shift is None else x + self._along_axes(self.shift)

    def _along_axes(self, parameter: Tensor) -> Tensor:
        return parameter[:, None, None] if self.axes == (1,) else parameter


def remove_norms(network: nn.Module) -> None:
    """Replace every normalisation by the identity, in place; an activation fused into one stays.

    Raises:
        NotAdmitted: the network has a normalisation of a kind that is not known here.
    """
    _replace(network, lambda norm: nn.Identity())


def write_out_norms(network: nn.Module) -> None:
    """Replace every layer and RMS norm by its written-out form, in place; an activation fused into one stays.

    Raises:
        NotAdmitted: the network has another normalisation, whose second derivative cannot be trusted.
    """
    _replace(network, _written_out)


def _written_out(norm: nn.Module) -> nn.Module:
    name = type(norm).__name__
    if name in _CHANNELS_FIRST:
        return WrittenOutNorm(norm, axes=(1,))
    if isinstance(norm, nn.LayerNorm) or name in _RMS:
        dims = len(vars(norm)["normalized_shape"])
        return WrittenOutNorm(norm, axes=tuple(range(-dims, 0)))
    raise NotAdmitted(
        f"the network normalises with {name}, whose second derivative is not reliable: "
        "measure with --norm identity, or leave out curvature and length_of_curvature"
    )


def _replace(network: nn.Module, replacement: Callable[[nn.Module], nn.Module]) -> None:
    for name, child in network.named_children():
        if not is_norm(child):
            _replace(child, replacement)
            continue
        # timm fuses an activation into some norms: only the normalisation is replaced.
        new = replacement(child)
        activation = getattr(child, "act", None)
        setattr(network, name, new if activation is None else nn.Sequential(new, activation))


def refuse_functional_norms(network: nn.Module, images: Float[Tensor, "B channels H W"]) -> None:
    """Refuse a network that normalises what it sees of ``images`` by a function, not by a layer that is replaced.

    Weights may be normalised: they do not change along a curve of images.

    >>> class Normal(nn.Module):
    ...     def forward(self, x):
    ...         return F.layer_norm(x, x.shape[1:])
    >>> try:
    ...     refuse_functional_norms(Normal(), torch.zeros(1, 3, 2, 2))
    ... except NotAdmitted as reason:
    ...     print(str(reason).split(",")[0])
    the network calls layer_norm
    """
    # Of the network that a curve is taken of no parameter asks for a gradient: what asks for one depends on the images.
    with torch.enable_grad(), _RefusingNorms():
        network(images.detach().clone().requires_grad_())


class _RefusingNorms(TorchFunctionMode):
    """Context in which no norm is called on what needs a gradient."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func in _FUNCTIONAL and (args[0] if args else kwargs["input"]).requires_grad:
            raise NotAdmitted(
                f"the network calls {func.__name__}, which can neither be taken out nor differentiated twice: make it "
                "a module of torch.nn, or measure the length with --norm layer"
            )
        return func(*args, **(kwargs or {}))


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalises its input.

    Raises:
        NotAdmitted: it looks like a normalisation, but of a kind that is not known here.

    >>> is_norm(nn.LayerNorm(3)), is_norm(nn.Linear(3, 3))
    (True, False)
    """
    name = type(module).__name__
    if isinstance(module, _TORCH) or name in _RMS:
        return True
    if type(module).__module__ == nn.utils.parametrizations.__name__:  # which normalise weights
        return False
    # With children it is a block that is named after its norm, and its children are looked at one by one.
    if "norm" in name.lower() and not any(True for _ in module.children()):
        raise NotAdmitted(
            f"the network normalises with {name}, which is not known here: "
            "leave out length, curvature and length_of_curvature, or measure another network"
        )
    return False


def write_out_attention(network: nn.Module) -> None:
    """Switch fused attention off wherever a network has it, in place: ours and timm's (``fused_attn``)."""
    for module in network.modules():
        if isinstance(module, WindowAttention):
            module.attend = plain_attention
        elif hasattr(module, "fused_attn"):
            vars(module).update(fused_attn=False)


@contextmanager
def differentiable_attention() -> Iterator[None]:
    """Context in which torch's own attention is a softmax between products, with derivatives in any mode.

    Its fused kernels have none in forward mode.

    >>> x = torch.eye(2)[None]
    >>> with differentiable_attention():
    ...     torch.func.jvp(lambda v: F.scaled_dot_product_attention(0 * x, x, v), (x,), (x,))[1].tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]
    """
    with layer_by_layer(), sdpa_kernel(SDPBackend.MATH):
        yield


@contextmanager
def layer_by_layer() -> Iterator[None]:
    """Context in which torch's transformer modules call their layers, of which some may have been replaced.

    Otherwise ``nn.MultiheadAttention`` and ``nn.TransformerEncoderLayer`` may be one operator on all of their weights.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def fuse_attention(network: nn.Module) -> None:
    """Switch fused attention on wherever a model of timm has it, in place: some leave it off by default."""
    for module in network.modules():
        if hasattr(module, "fused_attn"):
            vars(module).update(fused_attn=True)
