"""How commands explain themselves: options in paragraphs, defaults that say something, and examples below them.

Texts are shown as they stand in the source, with lines joined: as markup, ``*.json`` would lose its asterisk.
"""

from typing import TYPE_CHECKING

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
