"""What any network costs: parameters and multiply-adds, counted on the network itself."""

import warnings

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from asvit.complexity.copies import fresh_copy


def count_params(module: nn.Module) -> int:
    """Number of trainable parameters.

    >>> count_params(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def count_macs(module: nn.Module, *inputs: Tensor) -> int:
    """Multiply-adds of convolutions, matrix products and attention in one evaluation of ``module`` on ``inputs``.

    Counted on the meta device, where nothing is computed and fused attention is seen too.

    >>> count_macs(nn.Linear(3, 2), torch.zeros(5, 3))
    30
    """
    meta = fresh_copy(module).to("meta").eval()
    with warnings.catch_warnings(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        warnings.simplefilter("ignore")  # the counter announces modules that it enters twice
        meta(*(x.to("meta") for x in inputs))
    return counter.get_total_flops() // 2


def activation_bytes(module: nn.Module, *inputs: Tensor) -> int:
    """Bytes that one evaluation of ``module`` on ``inputs`` keeps for its backward pass, parameters not counted.

    >>> activation_bytes(nn.Linear(3, 2), torch.zeros(5, 3))
    60
    """
    parameters = {parameter.untyped_storage()._cdata for parameter in module.parameters()}
    kept = {}

    def keep(saved: Tensor) -> None:  # not the tensor itself: a node that keeps its own output is never freed
        storage = saved.untyped_storage()  # of the whole tensor, which the backward pass of a part keeps alive
        if storage._cdata not in parameters:
            kept[storage._cdata] = storage

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda nothing: nothing):
        module(*inputs)
    return sum(storage.nbytes() for storage in kept.values())
