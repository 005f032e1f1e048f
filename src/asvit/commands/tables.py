"""Tables on a terminal."""

import sys

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table


def new_table(title: str | None = None) -> Table:
    """Table without lines between columns.

    >>> new_table("family").title
    'family'
    """
    return Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)


def print_table(table: Table) -> None:
    """Print to stdout; as wide as it needs to be where that is no terminal."""
    Console(width=None if sys.stdout.isatty() else 200).print(table)
