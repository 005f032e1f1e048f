"""Saying what one would do next."""

from collections.abc import Iterable

from asvit.runs.next_steps import Step
from asvit.runs.progress import tell


def say_next(steps: Iterable[Step]) -> None:
    """Say on stderr what one would do next; nothing where there is nothing to do."""
    for number, (title, command) in enumerate(steps):
        tell(f"{'next: ' if number == 0 else '      '}{command}    # {title}")
