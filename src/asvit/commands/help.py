"""How commands explain themselves: options in paragraphs, defaults that say something, and examples below them.

Texts are shown as they stand in the source, with lines joined: as markup, ``*.json`` would lose its asterisk.
"""

import shlex
from difflib import get_close_matches
from typing import TYPE_CHECKING

from cyclopts import CycloptsError, UnusedCliTokensError
from cyclopts.help import DefaultFormatter, HelpPanel, InlineText

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions


class InParagraphs(DefaultFormatter):
    """Joins the lines of each text to a paragraph."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: HelpPanel) -> None:
        """Print a panel of options or commands."""
        from rich.text import Text

        for entry in panel.entries:
            match entry.description:
                case InlineText(primary_renderable=Text(plain=text)):
                    entry.description.primary_renderable = Text(" ".join(text.split()))
        super().__call__(console, options, panel)


def examples(*commands: str) -> str:
    """Commands that can be run as they stand, for the end of a command's help.

    >>> print(examples("asvit describe small"))
    Examples:
      asvit describe small
    """
    return "\n".join(["Examples:", *(f"  {command}" for command in commands)])


def shown_default(value: object) -> str | None:
    """An option's default as one would write it; None, as nothing would be written, where it is off or empty.

    >>> shown_default(("length", "ntk")), shown_default(0.5), shown_default(True), shown_default(False)
    ('length ntk', '0.5', 'on', None)
    """
    match value:
        case None | False | ():
            return None
        case True:
            return "on"
        case tuple():
            return " ".join(map(str, value))
    return str(value)


def complaint(error: CycloptsError) -> str:
    """One line on a command that was not understood: with the nearest one that would be, or where to look."""
    message = " ".join(str(error).split())
    if "Did you mean" in message:
        return message
    command = " ".join(("asvit", *(error.command_chain or ())))
    unused = error.unused_tokens or []
    nearest = get_close_matches(unused[0], list(error.app), n=1) if unused and error.app is not None else []
    if nearest:
        return f'Unknown command "{unused[0]}" of {command}. Did you mean "{nearest[0]}"?'
    if isinstance(error, UnusedCliTokensError):
        message = f"{command} takes no {shlex.join(unused)}."
    return f"{message} See `{command} --help`"
