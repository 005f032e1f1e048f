"""Processes of one thread each that compute side by side for this one, and end with it, whatever ends it."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any, Generic, TypeVar

from asvit.errors import UserError
from asvit.runs.children import deaf_fork_server
from asvit.runs.devices import give_back_memory, use_threads

T = TypeVar("T")
WORTH_IT = 3.0
"""Seconds of work, done or known to come, from which on processes are started, which takes as long."""
MANY = 40
"""Pieces of work that are known to come from which on processes will be started, whatever the first one takes."""
METHOD = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
"""How processes are started: by a server that has loaded what they need, where the system has that."""


class Pool:
    """Processes that are started once there is enough to do for them.

    >>> pool = Pool(2)
    >>> pool.is_open
    False
    >>> pool.begin(max, 3, 4).result()
    4
    >>> pool.close()
    """

    def __init__(self, processes: int, *, modules: Sequence[str] = (), worth_it: float = WORTH_IT) -> None:
        """Start nothing yet.

        Args:
            processes: number of processes.
            modules: what they need; it is loaded once for all.
            worth_it: seconds of work from which on they are started.
        """
        self.processes, self.modules, self._worth_it = processes, modules, worth_it
        self._worked = 0.0
        self._loading: list[Future[None]] = []
        self._executor: ProcessPoolExecutor | None = None
        self._life: Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether processes have been started and have loaded what they need."""
        return self._executor is not None and all(future.done() for future in self._loading)

    def expect(self, pieces: int) -> None:
        """Say how many pieces of work are known to come: where they are many, what processes need is loaded already."""
        if pieces >= MANY and self._executor is None and METHOD == "forkserver":
            deaf_fork_server(self.modules)

    def worked(self, seconds: float, to_come: float = 0.0) -> None:
        """Say how long a piece of work took here, and how long those that are known to come would."""
        self._worked += seconds
        if self._executor is None and max(self._worked, to_come) >= self._worth_it:
            with _no_script(), _alive():
                executor = self._started()
                self._loading = [executor.submit(_load) for _ in range(self.processes)]

    def begin(self, function: Callable[..., T], *arguments: Any) -> "Begun[T]":
        """Begin with a call in one of the processes; function, arguments and result are pickled.

        The user's script is not loaded there: one that does all its work at once would begin anew.
        """
        with _no_script(), _alive():
            return Begun(self._started().submit(function, *arguments))

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        if self._executor is None or self._life is None:
            return
        self._life.close()  # by which they end; the executor alone would wait for what they are doing
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._executor = None

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            context = get_context(METHOD)
            if METHOD == "forkserver":
                deaf_fork_server(self.modules)
            give_back_memory()  # what this process has computed so far others go on with
            # Nobody writes: the end of the pipe is that of this process, or of the pool.
            watched, self._life = context.Pipe(duplex=False)
            self._executor = ProcessPoolExecutor(
                self.processes, mp_context=context, initializer=_prepare, initargs=(watched,)
            )
        return self._executor


class Begun(Generic[T]):
    """A call that a process has been given."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def result(self) -> T:
        """What it returned, or the error that it raised, once it is done.

        Raises:
            UserError: the process is gone.
        """
        with _alive():
            return self._future.result()


@contextmanager
def _alive() -> Iterator[None]:
    """Say in one line that a process is gone."""
    try:
        yield
    except BrokenProcessPool as error:
        raise UserError(
            "a process that measured is gone, as when a machine has too little memory: give fewer --threads, or a "
            "smaller --work-memory, then repeat the command: what was measured is kept"
        ) from error


@contextmanager
def _no_script() -> Iterator[None]:
    """Hide the main module from processes that are started meanwhile, which would load it."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _load() -> None:
    """Nothing: whoever can do that has loaded what it needs."""


def _prepare(life: Connection) -> None:
    """Compute with one thread, in a process that ends when the other end of a pipe is closed."""
    use_threads(1)
    threading.Thread(target=_end_with, args=(life,), daemon=True).start()


def _end_with(life: Connection) -> None:
    try:
        life.recv_bytes()
    except EOFError:
        os._exit(1)
