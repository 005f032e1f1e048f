"""One process or many: what torchrun says, and sums over processes. A process alone needs neither."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from asvit.errors import UserError


@dataclass(frozen=True)
class Processes:
    """Which process this is, of how many."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    """Number of processes on this machine."""
    joined: bool = False
    """Whether torch has joined them, as torchrun has it, be it one alone: then all that they exchange goes that way."""

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """The GPU of this process, or what all share."""
        if device.type != "cuda":
            return device
        if self.count == 1:
            return torch.device("cuda", device.index or 0)
        if self.local_count > torch.cuda.device_count():
            raise UserError(
                f"there are {self.local_count} processes for {torch.cuda.device_count()} GPUs on this machine: "
                "choose a smaller --nproc-per-node"
            )
        return torch.device("cuda", self.local_rank)

    def wrap(self, model: nn.Module) -> nn.Module:
        """A model whose gradients are means over all processes."""
        if not self.joined:
            return model
        device = next(model.parameters()).device
        return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)

    def exchange(self, wrapped: nn.Module, *, gradients: bool) -> AbstractContextManager[None]:
        """Context of a pass that exchanges gradients or not; the last part of a batch must exchange them."""
        if gradients or not isinstance(wrapped, DistributedDataParallel):
            return nullcontext()
        return wrapped.no_sync()

    def total(self, numbers: Tensor) -> Tensor:
        """Sum over all processes, in place."""
        if self.joined:
            dist.all_reduce(numbers)
        return numbers

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process the first one's buffers, such as the running means of batch norms."""
        if self.joined:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def from_first(self, thing: Any) -> Any:
        """What the first process has, in all of them."""
        things = [thing]
        if self.joined:
            dist.broadcast_object_list(things, 0)
        return things[0]

    def from_all(self, thing: Any) -> list[Any]:
        """What each process has, in the order of their ranks, in all of them."""
        things = [thing]
        if self.joined:
            things = [None] * self.count
            dist.all_gather_object(things, thing)
        return things

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.joined:
            dist.barrier()


@contextmanager
def launched(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """The processes that torchrun started, joined, and this one's device; one alone without torchrun."""
    if "RANK" not in os.environ:
        yield Processes(), device
        return
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    processes = Processes(*(int(os.environ[name]) for name in names), joined=True)
    device = processes.device(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    yield processes, device
    dist.destroy_process_group()  # not after an error: it would wait for processes that wait for this one
