"""Copies of networks, to change and to move."""

import copy
from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def fresh_copy(network: Network) -> Network:
    """A deep copy, without what modules kept of earlier passes.

    Some of timm's keep a bias that they computed for evaluation, which torch refuses to copy. They drop it when their
    mode is set.

    >>> layer = nn.Linear(2, 1)
    >>> (fresh_copy(layer).weight == layer.weight).all().item()
    True
    """
    return copy.deepcopy(network.train(network.training))
