"""What any network costs: parameters and multiply-adds, counted on the network itself."""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
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

    Counted on the meta device, where nothing is computed and fused attention is seen too; on the CPU where the module
    cannot run there, such as one that makes a constant in its forward pass.

    >>> count_macs(nn.Linear(3, 2), torch.zeros(5, 3))
    30
    """
    try:
        return _counted(module, inputs, "meta")
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return _counted(module, inputs, "cpu")


def _counted(module: nn.Module, inputs: Sequence[Tensor], device: str) -> int:
    fast = torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings(), torch.no_grad(), _written_out(device):
        warnings.simplefilter("ignore")  # the counter announces modules that it enters twice
        # The counter does not see into torch's own fast path of a transformer, which is there on a CPU.
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            copied = fresh_copy(module).to(device).eval()
            with FlopCounterMode(display=False) as counter:
                copied(*(x.to(device) for x in inputs))
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops() // 2


def _written_out(device: str) -> AbstractContextManager[object]:
    """Context in which attention is made of matrix products, where the counter does not see into it."""
    return nullcontext() if device == "meta" else sdpa_kernel(SDPBackend.MATH)


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
