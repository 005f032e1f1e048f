"""The time of a race, all runs of its command together."""

import time
from dataclasses import dataclass
from pathlib import Path

from asvit.runs.records import read_record, write_record

CLOCK = "clock.json"
EVERY = 5.0
"""Seconds between writings of the clock: what a killed race has taken at most without its being known."""


@dataclass(frozen=True)
class Taken:
    """Time that a race has taken."""

    seconds: float


class Clock:
    """Counts from where an earlier run of the command stopped.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Clock(Path(folder), minutes=1.0).write()
    ...     Clock(Path(folder), minutes=1.0).left <= 60
    True
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        """Read what was taken before.

        Args:
            folder: run directory.
            minutes: time of the whole race.
        """
        self._path, self._limit = folder / CLOCK, 60 * minutes
        self._before = read_record(self._path, Taken).seconds if self._path.exists() else 0.0
        self._start = self._written = time.monotonic()

    @property
    def taken(self) -> float:
        """Seconds so far."""
        return self._before + time.monotonic() - self._start

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._limit - self.taken)

    @property
    def share(self) -> float:
        """Share of the time that was taken so far."""
        return self.taken / self._limit

    def look(self) -> float:
        """Seconds left; writes down now and then what was taken."""
        if time.monotonic() - self._written > EVERY:
            self.write()
        return self.left

    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.look() == 0

    def write(self) -> None:
        """Write down what was taken."""
        self._written = time.monotonic()
        write_record(self._path, "race", Taken(self.taken))
