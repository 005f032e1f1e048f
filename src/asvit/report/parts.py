"""Parts that pages of all kinds share, and the words in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from asvit.networks.architecture import Task
from asvit.report.markup import Markup, join, table, tag
from asvit.runs.read import RunFile

MOST_SHOWN = 10
"""Longer lists are folded."""


@dataclass(frozen=True)
class Page:
    """What the page of a run shows before its settings."""

    title: str
    parts: Sequence[Markup]


def head(run: RunFile, heading: str, words: str, seeds: Sequence[int]) -> list[Markup]:
    """What was done, how, and how to repeat it.

    Args:
        run: files of the run.
        heading: heading of the page.
        words: a sentence below the heading.
        seeds: random seeds that were used.
    """
    around = run.environment
    facts = [
        f"recipe {run.config.recipe}",
        f"seed{'s' * (len(seeds) > 1)} {span(seeds, 'd')}",
        around.device if around.threads is None else f"{around.device}, {count(around.threads, 'thread')}",
        f"asvit {around.asvit}",
        f"torch {around.torch}",
        f"Python {around.python}",
    ]
    return [
        tag("h1", heading),
        tag("p", words),
        tag("p", " · ".join(facts), class_="facts"),
        tag("div", tag("pre", _words(run.command)), tag("button", "Copy", type="button"), class_="command"),
    ]


def _words(command: str) -> Markup:
    """A command that a narrow screen breaks between its words, not within an option."""
    return Markup(" ".join(tag("span", word) for word in command.split(" ")))


def images(task: Task) -> str:
    """Size, channels and classes in words."""
    height, width = task.image_size
    channels = "1 channel" if task.in_chans == 1 else f"{task.in_chans} channels"
    classes = "1 class" if task.num_classes == 1 else f"{task.num_classes:,} classes"
    return f"{height}×{width} images, {channels}, {classes}"


def span(values: Sequence[Any], form: str) -> str:
    """The smallest and the largest value, or the one there is.

    >>> span([3, 1, 2], "d"), span([0.5], ".2f")
    ('1–3', '0.50')
    """
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low}–{high}"


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "image"), count(2, "image")
    ('1 image', '2 images')
    """
    return f"{number} {noun}{'s' * (number != 1)}"


def unbroken(text: str) -> str:
    """Words that stay on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def wrapped(text: str) -> Markup:
    """A path or a name, however long, that a narrow screen breaks anywhere."""
    return tag("span", text, style="overflow-wrap: anywhere")


def folded(summary: str, *content: str, shown: bool = False) -> Markup:
    """Something below a line that opens it; shown: open at first."""
    return tag("details", tag("summary", summary), *content, **({"open": ""} if shown else {}))


def settings(everything: Iterable[tuple[str, object]], summary: str) -> Markup:
    """What was asked for, folded away."""
    rows = (tag("div", tag("dt", name), tag("dd", str(value))) for name, value in everything)
    return folded(summary, tag("dl", join(rows), class_="settings"))


def epochs_table(headers: Sequence[str], rows: Sequence[Sequence[str]], best: int) -> Markup:
    """A row an epoch, the best in bold; folded where there are many.

    Args:
        headers: headers of the columns.
        rows: cells of each epoch.
        best: number of the best epoch, counted from 1.
    """
    shown = (
        [tag("strong", cell) if number == best else cell for cell in row] for number, row in enumerate(rows, start=1)
    )
    content = table(headers, shown, class_="numbers")
    return content if len(rows) <= MOST_SHOWN else folded(f"All {len(rows)} epochs", content)


def learning_rate(lr: float) -> Markup:
    """A learning rate that stays on one line, which its hyphen might end."""
    return tag("span", f"{lr:.2e}", style="white-space: nowrap")


def unreadable_list(problems: Sequence[str], total: int) -> Markup:
    """How many training images could not be read, which, and why; nothing where all could.

    Args:
        problems: files and reasons of the first ones.
        total: how many there are.
    """
    listed = len(problems)
    if not total:
        return Markup("")
    more = f"; the first {listed} are listed" if listed < total else ""
    summary = f"{count(total, 'training image')} could not be read and gave way to another{more}"
    items = (tag("li", wrapped(problem)) for problem in problems)
    return folded(summary, tag("ul", *items), shown=listed <= MOST_SHOWN)


def classes_list(classes: Sequence[str]) -> Markup:
    """Names of the classes, in the order of the network's outputs."""
    return folded(f"Names of the {len(classes):,} classes", tag("p", wrapped(", ".join(classes))))
