"""What is typed, looked at before it is read: whole numbers, and names that a file system and a terminal take."""

import re
from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import UNSET, App, ArgumentCollection

from asvit.errors import UserError, harmless, shortened

LONGEST_PART = 255
"""Bytes of a name of a file or folder."""
LONGEST_PATH = 4000
"""Bytes of a path, with room for the names of the files in a folder."""
WHOLE = re.compile(r"[+-]?\d(_?\d)*", re.ASCII)
"""How a whole number is written."""


def look_at_words(app: App, commands: Sequence[str], arguments: ArgumentCollection) -> None:
    """Refuse words that their options cannot mean, before cyclopts reads them; it calls this as a configuration.

    Raises:
        UserError: a word is empty, unreadable or too long, or no whole number where one is expected.
    """
    for argument in arguments:
        takes_whole = int in leaves(argument.hint)
        for token in argument.tokens:
            if token.implicit_value is not UNSET:  # a flag, which has no word
                continue
            option = token.keyword or argument.names[0]
            check_word(option, token.value)
            if takes_whole and WHOLE.fullmatch(token.value.strip()) is None:
                raise UserError(f"{option} is {quoted(token.value)}: expected a whole number")


def leaves(hint: Any) -> set[Any]:
    """Types that a hint is made of.

    >>> leaves(tuple[int, ...] | None) == {int, type(None), ...}
    True
    """
    inner = get_args(hint)
    return set().union(*map(leaves, inner)) if inner else {hint}


def check_word(option: str, word: str) -> None:
    """Refuse a word that is no name, whatever its option means.

    >>> check_word("--out", "")
    Traceback (most recent call last):
    asvit.errors.UserError: --out is empty: expected something after it
    """
    if not word.strip():
        raise UserError(f"{option} is empty: expected something after it")
    if "\0" in word:
        raise UserError(f"{option} is {quoted(word)}: expected a name without the character NUL")
    try:
        size = len(word.encode())
    except UnicodeEncodeError as error:
        raise UserError(f"{option} is {quoted(word)}, which is no UTF-8: expected a name in it; rename it") from error
    # A password in a database's URL may be longer.
    longest = 0 if "://" in word else max(len(part.encode()) for part in re.split(r"[/,:=]", word))
    if size > LONGEST_PATH or longest > LONGEST_PART:
        raise UserError(
            f"{option} is {quoted(word)}, {len(word):,} characters: expected a name of at most {LONGEST_PART} bytes "
            f"in a path of at most {LONGEST_PATH:,}"
        )


def quoted(word: str) -> str:
    """A word as a message shows it.

    >>> quoted("a" * 500)[:30], quoted("1.5")
    ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "'1.5'")
    """
    return f"'{shortened(harmless(word), 60)}'"
