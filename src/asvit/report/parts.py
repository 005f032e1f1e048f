"""Parts that pages of all kinds share, and the words in them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from asvit.networks.architecture import Task
from asvit.report.markup import Markup, join, table, tag
from asvit.runs.read import RunFile
from asvit.units import count

MOST_SHOWN = 10
"""Longer lists are folded."""


@dataclass(frozen=True)
class Page:
    """What the page of a run shows before its settings."""

    title: str
    parts: Sequence[Markup]


def head(
    run: RunFile, heading: str, words: str, seeds: Sequence[int], *, answer: Iterable[Markup] = ()
) -> list[Markup]:
    """What was done, what came of it, how, and how to repeat it.

    Args:
        run: files of the run.
        heading: heading of the page.
        words: a sentence below the heading.
        seeds: random seeds that were used.
        answer: what a reader wants to know first: what this is, whether it is good, what comes next.
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
        *answer,
        tag("p", " · ".join(facts), class_="facts"),
        command(run.command),
    ]


def command(words: str) -> Markup:
    """A command line with a button that copies it; a narrow screen breaks it between words, not within an option."""
    spans = (tag("span", word) for word in words.split(" "))
    return tag("div", tag("pre", Markup(" ".join(spans))), tag("button", "Copy", type="button"), class_="command")


def next_steps(steps: Iterable[tuple[str, str]]) -> Markup:
    """What a reader may do next: what it is for, and the command line."""
    titled = ((what[0].upper() + what[1:], words) for what, words in steps)
    return tag("div", *(tag("div", tag("p", what), command(words)) for what, words in titled), class_="next")


def images(task: Task) -> str:
    """Size, channels and classes in words."""
    return times(str(task))


def times(text: str) -> str:
    """Text with the sign for times between numbers.

    >>> times("2x2 of 96x96 images, one extra")
    '2×2 of 96×96 images, one extra'
    """
    return re.sub(r"(?<=\d)x(?=\d)", "×", text)


def span(values: Sequence[Any], form: str) -> str:
    """The smallest and the largest value, or the one there is.

    >>> span([3, 1, 2], "d"), span([0.5], ".2f")
    ('1–3', '0.50')
    """
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low}–{high}"


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
    return folded(f"Names: {count(len(classes), 'class')}", tag("p", wrapped(", ".join(classes))))
