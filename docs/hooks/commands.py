"""The page of all commands, made of the command line itself: ``<!-- commands -->`` on a page becomes them.

What stands in a table is what ``--help-all`` prints, from cyclopts' own records. Loads no torch.
"""

import inspect
import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from cyclopts import App
from cyclopts.help import HelpEntry, create_parameter_help_panel, format_usage

PLACE = re.compile(r"^<!-- commands -->$", re.MULTILINE)
DEFAULT = re.compile(r" \(default: (.*)\)\.?$")
"""A default that is said in words, at the end of an option's help."""
FORMAT = "plaintext"
NAME = "asvit"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the commands in."""
    if not PLACE.search(markdown):
        return markdown
    from asvit.commands.app import app

    return PLACE.sub(lambda _: "\n\n".join(page(app)), markdown)


def page(app: App) -> Iterator[str]:
    """Parts of the page: a list of commands, then a part for each."""
    found = sorted(commands(app), key=lambda command: command[0])
    yield table(["command", ""], [[f"[`{title(words)}`](#{anchor(words)})", summary(of)] for words, of in found])
    for words, of in found:
        yield from part(app, words, of)


def commands(app: App, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    """Every command that does something, and its words."""
    if app.default_command is not None and words:
        yield words, app
    for name in app:
        if not name.startswith("-"):
            yield from commands(app[name], (*words, name))


def part(app: App, words: tuple[str, ...], of: App) -> Iterator[str]:
    """What a command does, how it is written, its options by group, and examples."""
    yield f"## {title(words)} {{: #{anchor(words)} }}"
    yield summary(of)
    usage = of.usage or format_usage(app, words).plain
    yield f"```text\n{usage.removeprefix('Usage: ').strip()}\n```"
    with app.app_stack(words):  # where an option's default is shown as the whole command line shows it
        arguments = of.assemble_argument_collection(parse_docstring=True)
    for group in sorted(arguments.groups, key=lambda group: group.sort_key if isinstance(group.sort_key, int) else 0):
        entries = create_parameter_help_panel(group, arguments.filter_by(group=group), FORMAT).entries
        if entries:
            yield table([group.name, "", "default"], map(row, entries))
    _, _, examples = (of.help_epilogue or "").partition("Examples:\n")
    if examples:
        yield f"```bash\n{dedent(examples).strip()}\n```"


def row(entry: HelpEntry) -> list[str]:
    """An option or argument: how it is written, what it is, and what it is where it is left out."""
    names = [*entry.positive_names, *entry.positive_shorts, *entry.negative_names, *entry.negative_shorts]
    name = entry.positional_label or " ".join(filter(None, [", ".join(names), entry.metavar]))
    # The renderable holds the text as it stands; str() of it would wrap lines.
    words = " ".join(entry.description.primary_renderable.plain.split()) if entry.description else ""
    said = DEFAULT.search(words)
    words = words[: said.start()] + "." if said else words
    if entry.choices:
        words += " One of " + ", ".join(f"`{choice}`" for choice in entry.choices) + "."
    default = said[1] if said else entry.default or ("required" if entry.required else "")
    return [f"`{name}`", escaped(words), escaped(default)]


def title(words: tuple[str, ...]) -> str:
    """A command as one writes it."""
    return " ".join((NAME, *words))


def anchor(words: tuple[str, ...]) -> str:
    """Where a command stands on the page."""
    return "-".join((NAME, *words))


def summary(of: App) -> str:
    """What a command does, in a sentence."""
    return escaped(" ".join((inspect.getdoc(of.default_command) or "").partition("\n\n")[0].split()))


def escaped(text: str) -> str:
    """Text in which nothing is taken for Markdown but the code that it marks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p.replace("|", r"\|") if p.startswith("`") else re.sub(r"([*_|<\[\]])", r"\\\1", p) for p in parts)


def table(head: list[str], rows: Any) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))
