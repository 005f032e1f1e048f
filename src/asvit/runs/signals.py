"""Signals that ask for an end, as exceptions that are not lost. Imports next to nothing."""

import _thread
import signal
import sys
import time
from types import FrameType

SOON = 0.01
"""Seconds after which a signal that was lost is sent anew: whoever ignored it is done then."""


class Stopped(KeyboardInterrupt):
    """A signal asked for an end while something was at work."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_stopped(number: int, frame: FrameType | None = None) -> None:
    """Answer a signal.

    Raises:
        Stopped: always; what is at work puts its things away.
    """
    raise Stopped(number)


def try_again() -> None:
    """From now on send a signal anew whose exception came up where Python can only ignore it, as in a destructor."""
    usual = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if isinstance(unraisable.exc_value, Stopped):
            # Sent from here, it would be answered here, where an exception is ignored too.
            _thread.start_new_thread(_send_soon, (unraisable.exc_value.number,))
        else:
            usual(unraisable)

    sys.unraisablehook = hook


def _send_soon(number: int) -> None:
    time.sleep(SOON)
    _thread.interrupt_main(signal.Signals(number))
