"""Training-free scores that come from what happens in one forward pass: codes, attention, tokens.

Shapes: ``n`` images, ``L`` tokens that attend to each other, ``T`` tokens and ``C`` channels of the last map.
"""

from collections.abc import Callable, Collection
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asvit.complexity.ntk import positive_eigenvalues
from asvit.complexity.precision import float64_device, in_float64, total
from asvit.complexity.scores import Images, NothingToScore

ACTIVATIONS = {F.gelu, F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
ATTENTION = {F.scaled_dot_product_attention}


class Listening(TorchFunctionMode):
    """Context in which another function hears of every call of some functions of torch first, with its arguments.

    >>> with Listening({torch.relu}, print):
    ...     _ = nn.Sequential(nn.Identity())(torch.ones(1)) + torch.relu(torch.zeros(1))
    tensor([0.])
    """

    def __init__(self, functions: Collection[Callable[..., Any]], hear: Callable[..., None]) -> None:
        super().__init__()
        self.functions, self.hear = functions, hear

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in self.functions:
            self.hear(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def naswot(network: nn.Module, images: Images) -> float:
    """``log |det K_H|``, ``K_H`` the number of units that agree in the codes of two images (Mellor et al., ICML 2021).

    The code of a unit is the sign of what a GELU or ReLU sees of it. Calls whose first axis does not run over the
    images, such as those that make tables of positions, have no units.

    Raises:
        NothingToScore: the network has no GELU and no ReLU.
        SingularKernel: two images have one code, or another linear dependence.

    One unit on either side of zero:

    >>> naswot(nn.ReLU(), torch.tensor([[1.0], [-1.0]]))
    0.0
    """
    n = len(images)
    agreement = torch.zeros(n, n, dtype=torch.float64, device=float64_device(images.device))

    def compare(x: Tensor, *_: object, **__: object) -> None:
        if len(x) % n == 0:
            code = in_float64(torch.where(x > 0, 1.0, -1.0)).reshape(n, -1)
            agreement.add_(code.shape[1] + code @ code.T, alpha=0.5)

    with torch.no_grad(), Listening(ACTIVATIONS, compare):
        network(images)
    if not agreement.any():
        raise NothingToScore("the network has no GELU and no ReLU")
    return positive_eigenvalues(agreement, dtype=torch.float64).log().sum().item()


def attention_entropy(network: nn.Module, images: Images) -> float:
    """Mean entropy ``-Σ p ln p`` of the rows of attention, in nats; ``ln L`` where attention is uniform.

    The mean over layers of the mean over a layer's images, heads and queries. A masked key has ``p = 0``; a token that
    is masked for all queries is padding, and its own query does not count. Low entropy goes with unstable training
    (Zhai et al., "Stabilizing Transformer Training by Preventing Attention Entropy Collapse", ICML 2023).

    Args:
        network: classifier that attends by torch's ``scaled_dot_product_attention``.
        images: images that it sees.

    Raises:
        NothingToScore: the network attends in no such way.

    >>> class SelfAttention(nn.Module):
    ...     def forward(self, x):
    ...         return F.scaled_dot_product_attention(x, x, x)
    >>> round(attention_entropy(SelfAttention(), torch.zeros(2, 1, 4, 8)) / torch.tensor(4.0).log().item(), 6)
    1.0
    """
    means: list[float] = []
    with torch.no_grad(), Listening(ATTENTION, lambda *args, **options: means.append(mean_entropy(*args, **options))):
        network(images)
    if not means:
        raise NothingToScore("the network has no attention by scaled_dot_product_attention")
    return sum(means) / len(means)


def mean_entropy(
    query: Float[Tensor, "B *heads L D"],
    key: Float[Tensor, "B *heads keys D"],
    value: Float[Tensor, "B *heads keys _"],
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> float:
    """Mean entropy of the rows of one call of ``scaled_dot_product_attention``.

    >>> zero = torch.zeros(2, 1, 4, 8)
    >>> round(mean_entropy(zero, zero, zero) / torch.tensor(4.0).log().item(), 6)
    1.0
    """
    if is_causal:
        raise NothingToScore("the network attends causally, not as an image's tokens do")
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    mask = None if attn_mask is None else attn_mask.expand(*query.shape[:-1], key.shape[-2])
    entropies, rows = 0.0, 0
    for i in range(len(query)):  # one at a time: all weights together may not fit into memory
        scores = query[i] * factor @ key[i].mT
        counted = torch.ones_like(scores[..., 0], dtype=torch.bool)
        if mask is not None and mask.dtype == torch.bool:
            scores.masked_fill_(~mask[i], -torch.inf)
            if query.shape[-2] == key.shape[-2]:
                counted = mask[i].any(-2)
        elif mask is not None:
            scores += mask[i]
        entropy = torch.special.entr(scores.softmax(-1)).sum(-1)[counted]
        entropies += total(entropy)
        rows += len(entropy)
    return entropies / rows


def layer_entropy(network: nn.Module, images: Images) -> float:
    """Mean of :func:`token_entropy` over the outputs of all linear layers, in nats; each layer counts alike.

    Rows of an output are its tokens, of all images together, whatever axes they have; a layer that is called several
    times counts as often.

    Args:
        network: classifier that has ``nn.Linear`` layers.
        images: images that it sees.

    Raises:
        NothingToScore: the network calls no linear layer.

    >>> network = nn.Linear(4, 4, bias=False)
    >>> _ = nn.init.eye_(network.weight)
    >>> round(layer_entropy(network, torch.eye(4)) / torch.tensor(4.0).log().item(), 6)
    1.0
    """
    entropies: list[float] = []
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    hooks = [
        layer.register_forward_hook(lambda *call: entropies.append(token_entropy(call[-1].flatten(0, -2)[None])))
        for layer in layers
    ]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not entropies:
        raise NothingToScore("the network has no linear layer")
    return sum(entropies) / len(entropies)


def token_entropy(tokens: Float[Tensor, "n T C"]) -> float:
    """Logarithm of the effective rank of the tokens, ``-Σ p ln p`` in nats (Roy & Vetterli, EUSIPCO 2007).

    ``p = σ / Σ σ``, with ``σ`` the singular values, in float64, of the ``n T x C`` matrix whose rows are the tokens of
    all images, not centred. 0 where all tokens are multiples of one, or zero; at most ``ln min(n T, C)``.

    >>> round(token_entropy(torch.eye(4)[None]) / torch.tensor(4.0).log().item(), 6)
    1.0
    """
    if not tokens.isfinite().all():
        return torch.nan
    singular_values = torch.linalg.svdvals(in_float64(tokens.flatten(0, 1)))
    if not singular_values.any():  # such as of a head that is drawn as zeros
        return 0.0
    return torch.special.entr(singular_values / singular_values.sum()).sum().item()
