"""Processes that load batches: what they send passes through shared memory, and none ends without a word."""

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from multiprocessing.queues import Queue
from pathlib import Path
from threading import Thread
from typing import Any, Generic, TypeVar

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from asvit.errors import UserError, one_line, reason
from asvit.runs.children import deaf_fork_server
from asvit.units import count

BatchT = TypeVar("BatchT")
PlaceT = TypeVar("PlaceT")

SHARED_MEMORY = Path("/dev/shm")
"""Where Linux keeps what processes share."""
PREFETCHED = 2
"""Batches that each process has ready."""
ROOM = 2**17
"""Bytes of shared memory that the queues of a process take."""
ADVICE = "choose fewer --workers (0: no processes), or a smaller --batch-size"


class Failure(str):
    """Why a process could not load a batch, sent in its place: an exception would arrive as a traceback."""


class Made(Dataset[Any], Generic[PlaceT, BatchT]):
    """Makes batches where they are asked for, and puts them into shared memory there."""

    def __init__(self, make: Callable[[Sequence[PlaceT]], BatchT]) -> None:
        """Make batches by a function."""
        self.make = make

    def __getitems__(self, places: Sequence[PlaceT]) -> BatchT | Failure:
        """The batch of some places."""
        batch, worker = self.make(places), get_worker_info()
        if worker is None:
            return batch
        # Left to the queue, this is done by a thread of its own, which loses a batch that does not fit, and the
        # training would wait for it for ever.
        values: Any = [getattr(batch, field.name) for field in fields(batch)]  # pyright: ignore[reportArgumentType]
        tensors = [value for value in values if isinstance(value, Tensor) and value.nbytes]
        try:
            for tensor in tensors:
                tensor.share_memory_()
        except (RuntimeError, OSError):
            needed = sum(tensor.nbytes for tensor in tensors)
            return Failure(too_little(needed * (PREFETCHED * worker.num_workers + 1), needed))
        return batch


class Loader(Generic[BatchT]):
    """Batches in an order, from processes that live on between epochs, or from this one."""

    def __init__(
        self,
        make: Callable[[Sequence[PlaceT]], BatchT],
        order: Sampler[list[PlaceT]],
        *,
        workers: int,
        pin_memory: bool,
        modules: Iterable[str] = (),
    ) -> None:
        """Set up processes, which begin with the first epoch.

        Args:
            make: makes the batch of some places.
            order: places of every batch.
            workers: number of processes; 0: batches are made in this one.
            pin_memory: whether a GPU fetches the batches.
            modules: what the processes need, which is loaded once for all of them.
        """
        self.workers = workers
        if workers:
            deaf_fork_server(modules)
        # A fork of a process with threads or CUDA may hang; the fork server is a process that has neither.
        self.loader: Any = DataLoader(
            Made(make),
            batch_sampler=order,
            collate_fn=as_it_is,
            num_workers=workers,
            prefetch_factor=PREFETCHED if workers else None,
            persistent_workers=workers > 0,
            multiprocessing_context="forkserver" if workers else None,
            worker_init_fn=begin if workers else None,
            pin_memory=pin_memory,
        )

    def __iter__(self) -> Iterator[BatchT]:
        """Batches of an epoch.

        Raises:
            UserError: a process that loads has ended, or there is too little shared memory.
        """
        if self.workers:
            check_room(self.workers)
        with said(self.workers):
            batches = iter(self.loader)
        return self._checked(batches)

    def _checked(self, batches: Iterator[Any]) -> Iterator[BatchT]:
        while True:
            with said(self.workers):
                batch = next(batches, None)
            if batch is None:
                return
            if isinstance(batch, Failure):
                raise UserError(str(batch))
            yield batch


def as_it_is(batch: BatchT) -> BatchT:
    """The batch, which has been made already."""
    return batch


@contextmanager
def said(workers: int) -> Iterator[None]:
    """Context of waiting for processes, whose end is said in one line.

    Raises:
        UserError: one has ended, or nothing can be shared with them.
    """
    try:
        yield
    except (RuntimeError, OSError, EOFError, MemoryError) as error:
        # What goes wrong in a process is named so, and is an error of the program, not of processes.
        if not workers or str(error).startswith("Caught "):
            raise
        cause = reason(error) if isinstance(error, OSError) else one_line(error)
        usage = shared_memory()
        free = "" if usage is None else f" ({size(usage.free)} of {size(usage.total)} of {SHARED_MEMORY} are free; "
        more = f"{free}docker's --shm-size gives it more)" if free else ""
        raise UserError(
            f"loading images in {count(workers, 'process')} has failed: {cause}; memory may be short{more}: "
            f"{ADVICE}, then repeat the command"
        ) from error


def check_room(workers: int) -> None:
    """Refuse to start processes where there is not even room for the queues to them.

    Raises:
        UserError: there is not.
    """
    free = None if (usage := shared_memory()) is None else usage.free
    if free is not None and free < ROOM * workers:
        raise UserError(too_little(ROOM * workers))


def too_little(needed: int, batch: int | None = None) -> str:
    """What to do about too little shared memory.

    Args:
        needed: bytes that are needed.
        batch: bytes of a batch, where it is known.
    """
    usage, of_batch = shared_memory(), "" if batch is None else f", {size(batch)} a batch"
    there = "there is no more" if usage is None else f"it has {size(usage.total)}, {size(usage.free)} of it free"
    return (
        f"the shared memory ({SHARED_MEMORY}) is too small for processes that load images: {there}, and about "
        f"{size(needed)} are needed{of_batch}; start docker with --shm-size {max(1, -(-2 * needed // 10**9))}g, or "
        "load images without such processes, --workers 0"
    )


def size(number: int) -> str:
    """A number of bytes in words.

    >>> size(67108864), size(100000)
    ('67.1 MB', '0.1 MB')
    """
    return f"{number / 1e6:,.1f} MB"


def shared_memory() -> Any:
    """Bytes of the shared memory, in all and free; None where it has no place of its own."""
    try:
        return shutil.disk_usage(SHARED_MEMORY)
    except OSError:
        return None


def begin(worker: int) -> None:
    """Let a loading process end when the training process does, and where it cannot send what it has loaded."""
    leave_with_parent()
    # A queue prints what it cannot send and goes on: whoever waits for it would wait for ever.
    Queue._on_queue_feeder_error = staticmethod(_end_at_once)  # pyright: ignore[reportAttributeAccessIssue]


def leave_with_parent() -> None:
    """Let this process end when the one that asked for it does, even by SIGKILL: the fork server would keep it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    parent.join()
    # sys.exit would end this thread alone, and leave the main one at its work.
    os._exit(1)


def _end_at_once(error: BaseException, sent: Any) -> None:
    os._exit(1)
