"""Copies of networks, to change and to move."""

import copy
from typing import TypeVar

from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def fresh_copy(network: Network) -> Network:
    """A deep copy, without what modules kept of earlier passes.

    Some of timm's keep a bias that they computed for evaluation, which torch refuses to copy. They drop it when their
    mode is set. Others, such as those with torch's old ``weight_norm``, keep a weight that they compute anew in every
    pass: of it the copy has the values.

    >>> layer = nn.Linear(2, 1)
    >>> (fresh_copy(layer).weight == layer.weight).all().item()
    True
    """
    network.train(network.training)
    kept = (value for module in network.modules() for value in vars(module).values())
    computed = {id(value): value.detach().clone() for value in kept if isinstance(value, Tensor) and not value.is_leaf}
    return copy.deepcopy(network, computed)
