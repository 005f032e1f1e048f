"""Progress of a job on stderr: a live display on a terminal, a line now and then elsewhere."""

import math
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from asvit.errors import harmless
from asvit.units import in_words

SECONDS_BETWEEN_LINES = 10.0

BatchT = TypeVar("BatchT", bound=Sized)


class BarAndFacts(Progress):
    """A bar a phase and, on a line of their own below, the facts: as wide as they are, they would squeeze the bars."""

    facts = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, then the facts."""
        yield from super().get_renderables()
        yield Text(harmless(self.facts), no_wrap=True, overflow="ellipsis")


class ProgressDisplay:
    """Display of how far a job is, what it has found, and how long it will take.

    Each phase has a title and is measured in any unit that grows evenly with time, such as steps.
    """

    def __init__(self, console: Console | None = None) -> None:
        """Write to ``console``, by default stderr."""
        self.console = console or Console(file=sys.stderr)
        self._live = BarAndFacts(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
        )
        self._phase: str | None = None
        self._began = self._at_first = self._spoke = 0.0

    def __enter__(self) -> "ProgressDisplay":
        """Begin to show."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        if self.console.is_terminal:
            self._live.stop()

    def update(
        self,
        phase: str,
        completed: int | float,
        total: int | float,
        *,
        count: str,
        facts: str,
        left: int | float | None = None,
        most: int | float = math.inf,
    ) -> None:
        """Show the state of a phase; a new title begins a new one.

        Args:
            phase: title of the phase.
            completed: amount that is done, out of ``total``.
            total: amount at which the phase is over.
            count: progress in words.
            facts: results so far, in words.
            left: seconds that the whole job still takes; None: those of the phase, at its speed so far.
            most: seconds after which the job ends in any case.
        """
        if phase != self._phase:
            self._phase, self._began, self._at_first, self._spoke = phase, time.monotonic(), completed, 0.0
            if self.console.is_terminal:
                self._task = self._live.add_task(phase, total=total, count=count, left="")
        words = time_left(min(most, self._seconds_left(completed, total) if left is None else left))
        if self.console.is_terminal:
            self._live.facts = facts
            self._live.update(self._task, completed=completed, total=total, count=count, left=words)
        else:
            self._say(completed >= total, count, facts, words)

    def _seconds_left(self, completed: int | float, total: int | float) -> float:
        """Infinitely many where nothing tells."""
        since = completed - self._at_first  # the clock began with the phase's first update
        if completed >= total:
            return 0.0
        return (time.monotonic() - self._began) / since * (total - completed) if since else math.inf

    def _say(self, over: bool, *words: str) -> None:
        now = time.monotonic()
        if not over and self._spoke and now - self._spoke < SECONDS_BETWEEN_LINES:
            return
        self._spoke = now
        line = harmless(f"{self._phase}: {', '.join(filter(None, words))}")
        self.console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)


def time_left(seconds: int | float) -> str:
    """Seconds that a job still takes, in words; infinitely many where nothing tells.

    >>> time_left(754.2), time_left(0), time_left(math.inf)
    ('13 minutes left', 'nothing left', 'time left unknown')
    """
    if seconds == math.inf:
        return "time left unknown"
    return f"{in_words(seconds)} left" if seconds > 0 else "nothing left"


def shown(batches: Iterable[BatchT], images: int, phase: str) -> Iterator[BatchT]:
    """Batches, while a display says how many of all images have been given out.

    Args:
        batches: batches whose length is their number of images.
        images: number of all images.
        phase: title of the display.
    """
    done = 0
    with ProgressDisplay() as display:
        for batch in batches:
            yield batch
            done += len(batch)
            display.update(phase, done, images, count=f"{done} of {images} images", facts="")


def tell(message: str) -> None:
    """Print one line for the user on stderr."""
    print(harmless(message), file=sys.stderr, flush=True)
