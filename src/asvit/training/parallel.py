"""One process or many: what torchrun says, and sums over processes. A process alone needs neither."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """Which process this is, of how many."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """The GPU of this process, or what all share."""
        return torch.device("cuda", self.local_rank) if device.type == "cuda" and self.count > 1 else device

    def wrap(self, model: nn.Module) -> nn.Module:
        """A model whose gradients are means over all processes."""
        if self.count == 1:
            return model
        device_ids = [self.local_rank] if next(model.parameters()).is_cuda else None
        return DistributedDataParallel(model, device_ids=device_ids)

    def total(self, numbers: Tensor) -> Tensor:
        """Sum over all processes, in place."""
        if self.count > 1:
            dist.all_reduce(numbers)
        return numbers

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def launched(device: torch.device) -> Iterator[Processes]:
    """The processes that torchrun started, joined; one alone without torchrun."""
    if "RANK" not in os.environ:
        yield Processes()
        return
    processes = Processes(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    if device.type == "cuda":
        torch.cuda.set_device(processes.local_rank)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield processes
    finally:
        dist.destroy_process_group()
