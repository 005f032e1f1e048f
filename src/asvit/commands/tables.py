"""Tables and lines on a terminal, in which names are shown as they are and do no harm."""

import io
import json
import sys
from typing import Any

from rich.box import SIMPLE
from rich.console import Console, RenderableType
from rich.table import Table

from asvit.errors import harmless


class PlainTable(Table):
    """A table whose headers and cells steer no terminal."""

    def add_column(self, header: RenderableType = "", **options: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Add a column."""
        super().add_column(harmless(header) if isinstance(header, str) else header, **options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row."""
        super().add_row(*(harmless(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def new_table(title: str | None = None) -> Table:
    """Table without lines between columns.

    >>> new_table("family").title
    'family'
    """
    title = None if title is None else harmless(title)
    return PlainTable(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)


def print_table(table: Table) -> None:
    """Print to stdout; as wide as it needs to be where that is no terminal."""
    # As markup, `door [open]` would lose its bracket, and `:cat:` become a picture.
    Console(width=None if sys.stdout.isatty() else 200, markup=False, emoji=False, highlight=False).print(table)


def say(line: str) -> None:
    """Print one line to stdout."""
    print(harmless(line))


def say_json(text: str) -> None:
    """Print JSON to stdout, in ASCII where that is not UTF-8."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(text if is_utf8 else in_ascii(text), end="")


def in_ascii(text: str) -> str:
    """The same JSON without other characters.

    >>> in_ascii('["κ", "😀"]')
    '["\\\\u03ba", "\\\\ud83d\\\\ude00"]'
    """
    return text if text.isascii() else "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)


def show_any_character() -> None:
    """Let stdout and stderr write out what their encoding lacks, such as κ on a console of cp1252."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
