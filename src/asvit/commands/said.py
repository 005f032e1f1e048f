"""The command line that was said: what repeats it, and how its words are read. Needs no torch."""

import shlex
from collections.abc import Sequence
from contextvars import ContextVar

from asvit.runs.urls import without_passwords

SAID: ContextVar[tuple[str, ...]] = ContextVar("SAID", default=())
"""Words after ``asvit``, as :func:`asvit.commands.app.main` got them."""


def repeat_command(*, recipe: str | None = None) -> str:
    """The command that is running, or the same with another recipe; without --json, which changes no result."""
    words = [word for word in without_passwords(SAID.get()) if word != "--json"]
    if recipe is not None:
        words = [*without_option(without_option(words, "--recipe"), "--out"), "--recipe", recipe]
    return shlex.join(["asvit", *words])


def without_option(words: Sequence[str], option: str) -> list[str]:
    """A command without an option and its value.

    >>> without_option(["design", "--out", "run", "--seed=1"], "--out"), without_option(["--seed=1"], "--seed")
    (['design', '--seed=1'], [])
    """
    kept, skip = [], False
    for word in words:
        if not skip and word != option and not word.startswith(f"{option}="):
            kept.append(word)
        skip = word == option
    return kept


def joined_image_size(words: Sequence[str]) -> list[str]:
    """Words of a command line with ``--image-size 96 128`` as one size; a single number and other words stay.

    >>> joined_image_size(["describe", "--image-size", "96", "128", "small"])
    ['describe', '--image-size', '96x128', 'small']
    """
    joined = list(words)
    for i, word in enumerate(words[:-2]):
        height, width = words[i + 1 : i + 3]
        if word == "--image-size" and height.isdecimal() and width.isdecimal():
            joined[i + 1 : i + 3] = [f"{height}x{width}"]
            break
    return joined
