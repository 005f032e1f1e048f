"""Ctrl-C and SIGTERM: one line and the usual exit code at any moment. Imports next to nothing."""

import os
import signal
import sys
from types import FrameType

from asvit.runs.signals import raise_stopped

WORDS = {signal.SIGINT: "stopped", signal.SIGTERM: "terminated"}
"""What is said after a signal."""
NO_ROOM = "there is no room left to write: make room, then repeat the command"
"""What is said where what is printed goes to a full disk."""


def listen() -> None:
    """Answer Ctrl-C and SIGTERM from now on."""
    for number in WORDS:
        signal.signal(number, stop)


def stop(number: int, frame: FrameType | None) -> None:
    """End at once where nothing has begun; else let what is at work put its things away.

    Raises:
        Stopped: something is at work.
    """
    # Thrown into an import, an exception may leave it as another one.
    if run_directory() is None and importing(frame):
        end_at_once(number)
    raise_stopped(number)


def end_at_once(number: int, frame: FrameType | None = None) -> None:
    """Say the line and end, without any cleaning up."""
    sys.stderr.write(f"asvit: {farewell(number)}\n")
    sys.stderr.flush()
    os._exit(128 + number)


def end(code: int) -> None:
    """End with an exit code; modules are not taken down, during which Python answers no signal as we do."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except BrokenPipeError:  # who reads has left
            pass
        except OSError:
            if not code:
                os.write(2, f"asvit: {NO_ROOM}\n".encode())
                code = 2
    os._exit(code)


def farewell(number: int) -> str:
    """What a command that was stopped says; of its run directory nothing where it had none.

    >>> farewell(signal.SIGINT).partition(";")[0]
    'stopped'
    """
    goes_on = "" if run_directory() is None else "; the same command goes on from what was kept"
    return WORDS[signal.Signals(number)] + goes_on


def end_without_exceptions() -> None:
    """From now on raise nothing: the work is done, and Python puts its own things away. A second signal ends that."""
    for number in WORDS:
        signal.signal(number, _let_end)


def _let_end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, end_at_once)


def run_directory() -> object:
    """Run directory in which this process has worked last; None where in none."""
    records = sys.modules.get("asvit.runs.records")
    return None if records is None or not hasattr(records, "OPENED") else records.OPENED.get()


def importing(frame: FrameType | None) -> bool:
    """Whether code that was interrupted had been called by an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
