"""Processes that load or train for this one: Ctrl-C, which a terminal sends to all of them, is for this one alone."""

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker

DEAF_TO = {signal.SIGINT}


@contextmanager
def deaf_children() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C; here it is heard afterwards. They have to be ended by other means."""
    # What is blocked stays blocked in processes that are started, whatever they import. The tracker goes first: when
    # it starts, Python unblocks the signal.
    resource_tracker.ensure_running()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, DEAF_TO)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def deaf_fork_server(modules: Iterable[str] = ()) -> None:
    """Start Python's fork server, if it is not there yet, so that all processes that it makes do not hear Ctrl-C.

    Args:
        modules: what its processes need. The server loads it once; else every process would.
    """
    forkserver.set_forkserver_preload(["__main__", *sorted(modules)])
    with deaf_children():
        forkserver.ensure_running()
