"""What a network costs while it is in use: latency and memory of a forward pass, on the device at hand."""

import platform
import statistics
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from asvit.complexity.usage import Precision, Usage

WARM_UP = 3
"""Number of passes before the first that counts: kernels are chosen and caches filled in them."""
RUNS = 20
"""Number of passes that count."""


def usage(
    module: nn.Module,
    images: Float[Tensor, "B *image"],
    *,
    precision: Precision = "float32",
    runs: int = RUNS,
    clock: Callable[[], float] = time.perf_counter,
) -> Usage:
    """Time forward passes of ``module`` on ``images`` in evaluation mode, and count the memory of one.

    Latencies are noisy: between two calls medians differ by about the spread, and by more beside other programs.
    Memory is exact and the same every time. On a CPU it is followed from operator to operator, without what the inside
    of an operator borrows; on a GPU it is what torch's allocator hands out, without the libraries' workspaces.

    Args:
        module: network to run, on the device of the images.
        images: one batch; its size counts.
        precision: number format; bfloat16 runs under autocast, and casts the weights in every pass.
        runs: number of passes that are timed, 2 or more.
        clock: function that returns the seconds since a fixed moment.

    >>> measured = usage(nn.Linear(100, 50), torch.zeros(4, 100), runs=3)
    >>> measured.batch_size, measured.memory == 4 * (100 * 50 + 50) + 4 * 4 * (100 + 50)
    (4, True)
    """
    device = images.device
    with _evaluating(module), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        memory = peak_memory(module, images)

        @torch.inference_mode()
        def timed() -> float:
            # Autocast keeps the weights that it has cast; used by itself, a pass has to cast them.
            torch.clear_autocast_cache()
            begin = clock()
            module(images)
            synchronise(device)
            return clock() - begin

        synchronise(device)
        seconds = [timed() for _ in range(WARM_UP + runs)][WARM_UP:]
    lower, median, upper = statistics.quantiles(seconds, n=4, method="inclusive")
    return Usage(
        latency=median,
        spread=(upper - lower) / 2,
        memory=memory,
        batch_size=len(images),
        precision=precision,
        device=processor_name(device),
        threads=computing_threads(device),
    )


def synchronise(device: torch.device) -> None:
    """Wait until a device has done all that it was asked; a CPU always has.

    >>> synchronise(torch.device("cpu"))
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory(module: nn.Module, images: Float[Tensor, "B *image"]) -> int:
    """Bytes that live at the peak of one evaluation without a graph: weights, input and activations.

    On a GPU memory that others hold is not counted.

    >>> peak_memory(nn.Linear(3, 2), torch.zeros(5, 3)) == 4 * (3 * 2 + 2 + 5 * 3 + 5 * 2)
    True
    """
    resident = _storages([*module.parameters(), *module.buffers(), images])
    held = sum(storage.nbytes() for storage in resident.values())
    # Not inference mode: there an operator that is made of others shows as one, and what lives inside it is not seen.
    with torch.no_grad():
        if images.device.type == "cuda":
            # In a first pass libraries take workspaces that they keep: these are no part of the network's memory.
            module(images)
            torch.clear_autocast_cache()
            before = torch.cuda.memory_allocated(images.device)
            torch.cuda.reset_peak_memory_stats(images.device)
            module(images)
            return held + torch.cuda.max_memory_allocated(images.device) - before
        # A CPU's allocator keeps no record of its peak, so operators are followed instead.
        with _LiveStorages(resident) as live:
            module(images)
    return held + live.peak


@cache
def processor_name(device: torch.device) -> str:
    """Model of the GPU, or of the processor as the system calls it.

    >>> processor_name(torch.device("cpu")) != ""
    True
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def computing_threads(device: torch.device) -> int | None:
    """Threads that torch computes with on a CPU; None on a GPU.

    >>> computing_threads(torch.device("cpu")) == torch.get_num_threads()
    True
    """
    return torch.get_num_threads() if device.type == "cpu" else None


@contextmanager
def one_thread() -> Iterator[None]:
    """Context in which torch computes with one thread on the CPU.

    >>> with one_thread():
    ...     computing_threads(torch.device("cpu"))
    1
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _LiveStorages(TorchDispatchMode):
    """Counter of the bytes in storages that operators make, as long as these live; views share a storage."""

    def __init__(self, resident: Iterable[int]) -> None:
        super().__init__()
        self.peak = 0
        self._live = 0
        self._known = set(resident)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for address, storage in _storages(tree_iter(made)).items():
            if address not in self._known:
                self._known.add(address)
                self._live += storage.nbytes()
                self.peak = max(self.peak, self._live)
                # torch keeps this Python object as long as the memory itself, whichever tensors and views hold that:
                # its end is the moment at which the memory is free.
                weakref.finalize(storage, self._freed, address, storage.nbytes())
        return made

    def _freed(self, address: int, size: int) -> None:
        # Another storage may get the same address later.
        self._known.discard(address)
        self._live -= size


def _storages(values: Iterable[object]) -> dict[int, torch.UntypedStorage]:
    """Storages of the tensors among values, each once, by address."""
    storages = (value.untyped_storage() for value in values if isinstance(value, Tensor))
    return {storage._cdata: storage for storage in storages}


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode for a while; afterwards every part is as it was."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
