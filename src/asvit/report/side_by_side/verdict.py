"""How designed networks compare with the next one in size, in words: the first of the page of networks side by side."""

from collections.abc import Iterator

from asvit.measure.compared import Row
from asvit.report.markup import Markup, architecture, join, tag
from asvit.report.parts import wrapped
from asvit.report.side_by_side.record import SideBySideReport, mean_of
from asvit.units import format_size

_COMPARED = {"params": "parameters", "macs": "multiply-adds", "latency": "latency", "memory": "memory"}
"""What a network takes, the less the better, and what it is called."""


def verdict(report: SideBySideReport) -> list[Markup]:
    """A line for each designed network: what it takes, of what the next other network in size takes."""
    lines = [tag("li", line) for line in map(join, _lines(report))]
    words = tag("strong", "Which is the most accurate is not known: none of them is trained here. ")
    advice = "Train the designed network and the one beside it alike, on your images, and keep the better one."
    return [*([tag("ul", *lines, class_="members")] if lines else []), tag("p", words, advice)]


def _lines(report: SideBySideReport) -> Iterator[list[str]]:
    for row in report.result.rows:
        other = report.next_in_size(row)
        if row.designed_for is None or other is None:
            continue
        pairs = [(what, mean_of(row, name), mean_of(other, name)) for name, what in _COMPARED.items()]
        shares = [f"{_percent(ours / theirs)} of its {what}" for what, ours, theirs in pairs if ours and theirs]
        *before, last = shares
        yield [
            tag("strong", f"Designed for {row.designed_for}: "),
            f"{format_size(round(mean_of(row, 'params') or 0))} parameters. Beside ",
            named(other),
            f", the nearest in size, it takes {', '.join(before)}{' and ' if before else ''}{last}.",
        ]


def named(row: Row) -> Markup:
    """A network's name, however long."""
    return architecture(row.name) if "|" in row.name else wrapped(row.name)


def _percent(share: float) -> str:
    """A share, as a factor where it is large.

    >>> _percent(0.264), _percent(3.21)
    ('26 %', '3.2 times')
    """
    return f"{100 * share:.0f} %" if share < 2 else f"{share:.2g} times"
