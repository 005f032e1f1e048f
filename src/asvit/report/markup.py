"""HTML that is escaped unless it was made here."""

import html
import json
import re
from collections.abc import Iterable, Sequence

from asvit.design.ranking import Objective
from asvit.errors import harmless
from asvit.measure.metrics import METRICS, Metric


class Markup(str):
    """Text that is HTML already."""


def escape(text: str) -> Markup:
    """Text as HTML, in which what is not seen is written out; markup stays as it is.

    >>> escape("a < b"), escape(Markup("<b>"))
    ('a &lt; b', '<b>')
    """
    return text if isinstance(text, Markup) else Markup(html.escape(harmless(text)))


def escape_json(value: object) -> Markup:
    """JSON that cannot end the script element it stands in.

    >>> escape_json({"a": "</script>"})
    '{"a": "\\\\u003c/script>"}'
    """
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))


def join(parts: Iterable[str]) -> Markup:
    """Parts one after the other."""
    return Markup("".join(map(escape, parts)))


def tag(name: str, *children: str, **attributes: str) -> Markup:
    """An element; ``class_`` and ``data_label`` stand for ``class`` and ``data-label``.

    >>> tag("td", "a < b", class_="number")
    '<td class="number">a &lt; b</td>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(harmless(value))}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, class_: str) -> Markup:
    """A table in a box of its own that scrolls; every cell knows its header, for screens too narrow for a table."""
    head = tag("tr", *(tag("th", header, scope="col") for header in headers))
    # A label is an attribute and so cannot hold the header's markup: it is repeated as an element.
    body = [
        tag("tr", *(tag("td", tag("span", h, class_="label"), c) for h, c in zip(headers, row, strict=True)))
        for row in rows
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body), class_=class_), class_="scroll")


def architecture(text: str) -> Markup:
    """A text form that may break after its bars, or a model of timm that may before its arguments.

    >>> architecture("timm:test_vit:depth=2")
    '<code class="architecture">timm:<wbr>test_vit:<wbr>depth=2</code>'
    """
    return tag("code", Markup(re.sub(r"([|:])", r"\1<wbr>", html.escape(text))), class_="architecture")


def symbol(metric: Metric) -> Markup:
    """A metric's symbol with its sub- and superscripts, if it has any.

    >>> symbol(METRICS["length"]), symbol(METRICS["ntk"]), symbol(METRICS["params"])
    ('L<sup>E</sup>', 'κ<sub>Θ</sub>', '#params')
    >>> symbol(METRICS["length_of_curvature"])
    'L<sup>E</sup><sub>κ</sub>'
    """
    base, *marked = parts_of_symbol(metric.symbol)
    return join([base, *(tag("sup" if part[0] == "^" else "sub", part[1:]) for part in marked)])


def score_in_words(score: Sequence[Objective], *, explained: bool = False) -> Markup:
    """A score's measures with their symbols, and weights where they differ from 1.

    Args:
        score: measures and weights.
        explained: whether to say which direction is taken for better.

    >>> from asvit.design.ranking import parse_score
    >>> score_in_words(parse_score("length:2,ntk"))
    'length distortion L<sup>E</sup> (weight 2) and NTK condition number κ<sub>Θ</sub>'
    """
    parts = []
    for objective in score:
        metric = METRICS[objective.name]
        weight = "" if objective.weight == 1 else f" (weight {objective.weight:g})"
        direction = f" ({metric.better} is taken for better)" if explained else ""
        parts.append(join([metric.title, _symbol_beside_title(metric), weight, direction]))
    ends = ["", " and ", *[", "] * len(parts)]  # between the parts, from the last one
    return join(word for i, part in enumerate(parts, start=1) for word in (part, ends[len(parts) - i]))


def _symbol_beside_title(metric: Metric) -> Markup:
    """A symbol that says more than the title does."""
    if metric.symbol.lower() in (metric.title, f"#{metric.title}"):
        return Markup("")
    return join([" ", symbol(metric)])


def parts_of_symbol(written: str) -> list[str]:
    """A symbol's letters, then its sub- and superscripts, each with its mark in front.

    >>> parts_of_symbol("L^E_κ")
    ['L', '^E', '_κ']
    """
    return re.split(r"(?=[\^_])", written)
