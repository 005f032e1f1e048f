"""How commands explain themselves: options in paragraphs, defaults that say something, and examples below them.

Texts are shown as they stand in the source, with lines joined: as markup, ``*.json`` would lose its asterisk.
"""

import shlex
from collections.abc import Sequence
from contextvars import ContextVar
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from cyclopts import CycloptsError, MissingArgumentError, UnusedCliTokensError
from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel, InlineText

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions


HELP_ALL = "--help-all"
"""Asks for the help with every option."""
ALL: ContextVar[bool] = ContextVar("ALL", default=False)
"""Whether every option is to be shown, as :func:`asvit.commands.app.main` was asked."""


class InParagraphs(DefaultFormatter):
    """Joins the lines of each text to a paragraph, and shows the options that one needs first, in the order of use."""

    def __init__(self, first: Sequence[str] = ()) -> None:
        """Show some options first.

        Args:
            first: names of options without their dashes, in the order of use; the others are shown by ``--help-all``.
                Where there is none, all are shown.
        """
        super().__init__()
        self.first = {f"--{name}": place for place, name in enumerate(first)}

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: HelpPanel) -> None:
        """Print a panel of options or commands."""
        from rich.text import Text

        if self.first and not ALL.get():
            panel.entries = sorted(filter(self.is_first, panel.entries), key=self.place)
            if not panel.entries:
                return
        for entry in panel.entries:
            match entry.description:
                case InlineText(primary_renderable=Text(plain=text)):
                    entry.description.primary_renderable = Text(" ".join(text.split()))
        super().__call__(console, options, panel)

    def is_first(self, entry: HelpEntry) -> bool:
        """Whether an option is one of the first; arguments and commands always are."""
        return not entry.positive_names or any(name in self.first for name in entry.positive_names)

    def place(self, entry: HelpEntry) -> int:
        """Place in the order of use."""
        return next((self.first[name] for name in entry.positive_names if name in self.first), 0)


def examples(*commands: str, more: str | None = None) -> str:
    """Commands that can be run as they stand, for the end of a command's help.

    Args:
        commands: command lines.
        more: command whose help does not show all options.

    >>> print(examples("asvit describe small"))
    Examples:
      asvit describe small
    """
    lines = ["Examples:", *(f"  {command}" for command in commands)]
    if more is not None:
        lines = [f"All options: {more} {HELP_ALL}", "", *lines]
    return "\n".join(lines)


def helped(command: str, *lines: str, first: Sequence[str] = (), usage: str | None = None) -> dict[str, Any]:
    """How a command is helped, as cyclopts takes it.

    Args:
        command: the command's words after ``asvit``.
        lines: examples.
        first: options that its help shows, in the order of use; none: all.
        usage: its arguments, where cyclopts would call them by another name.
    """
    return {
        "help_epilogue": examples(*lines, more=f"asvit {command}" if first else None),
        "help_formatter": InParagraphs(first),
        "usage": None if usage is None else f"Usage: asvit {command} [OPTIONS] {usage}",
    }


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
    if type(error) is MissingArgumentError and error.argument is not None:
        name = error.keyword or error.argument.name
        message = f"{command} needs {name}." if error.keyword is None else f"{name} of {command} needs a value."
    return f"{message} See `{command} --help`"
