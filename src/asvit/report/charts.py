"""What all charts are made of: rows of data, layers, tooltips, and their place on a page."""

from collections.abc import Iterable
from typing import Any

import altair as alt

from asvit.report.markup import Markup, escape_json, tag
from asvit.report.theme import FOUND

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
"""The version that altair writes for."""

COLUMNS = 2
"""Columns of a legend: as many as a phone holds."""
DENSE = 60
"""Points of a line from which they are small."""
LEAST = 3
"""Points from which there is a line or a scatter to see; of fewer a page speaks in words."""
WHOLE_NUMBERS = "datum.value % 1 ? '' : datum.label"
"""Labels where fractions, which ticks too close together fall on, have none."""
LARGE_NUMBERS = (
    "!datum.label ? '' : abs(datum.value) >= 1e6 ? format(datum.value, '~s') : "
    "datum.value && abs(datum.value) < 1e-4 ? format(datum.value, '~e') : format(datum.value, ',~f')"
)
"""Labels of numbers that may be very large or small: 1T, not 1,000,000,000,000. What the axis leaves out stays so."""
BYTES = "datum.label && format(datum.value, '~s') + 'B'"
"""Labels in kB, MB and GB."""
Row = dict[str, Any]
Panel = tuple[str, alt.LayerChart]
"""A chart of a picture, and what stands over it."""


def chart(rows: Iterable[Row]) -> alt.Chart:
    """A chart with rows as data inside its specification."""
    return alt.Chart(alt.InlineData(values=list(rows)))


def layered(*layers: Any) -> alt.LayerChart:
    """Charts on top of each other, the first lowest."""
    return alt.LayerChart(layer=layers)


def diamond(base: alt.Chart) -> alt.Chart:
    """The mark of what a job found."""
    return base.mark_point(filled=True, shape="diamond", color=FOUND, opacity=1, size=130, stroke="white")


def answering(line: alt.Chart) -> alt.Chart:
    """Points that are not seen on the values of a line, which itself hardly answers a pointer."""
    return line.mark_point(filled=True, opacity=0, size=120)


def near(*, logarithmic: bool = False, padding: int = 14) -> alt.Scale:
    """Scale that reaches as far as the values.

    Args:
        logarithmic: whether equal ratios are equally far apart.
        padding: pixels beyond the outermost values.
    """
    scale = alt.Scale(nice=False, padding=padding)
    scale["type" if logarithmic else "zero"] = "log" if logarithmic else False  # vega warns of zero on a log scale
    return scale


def point_size(points: int) -> int:
    """Size of the points of a line: small where there are many."""
    return 40 if points < DENSE else 12


def counting_axis() -> alt.Axis:
    """Axis of epochs, steps or blocks."""
    return alt.Axis(format="d", tickMinStep=1, labelExpr=WHOLE_NUMBERS)


def tooltips(**titles: str) -> list[alt.Tooltip]:
    """Tooltips with a line for each field."""
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]


def figure(name: str, title: str, caption: str, chart: alt.LayerChart, *, height: int = 280) -> Markup:
    """A chart as wide as its column; the script of the page draws what the element after its place says."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    padding = {"left": 5, "top": 5, "right": 20, "bottom": 5}  # right: half of a label at the end of its axis
    specification = chart.properties(width="container", height=height, autosize=fit, padding=padding).to_dict()
    # Neither is needed to draw: an address that is never loaded, and altair's own theme.
    del specification["$schema"], specification["config"]
    return tag(
        "figure",
        tag("figcaption", tag("strong", title), caption),
        tag("div", class_="chart", id=f"chart-{name}"),
        Markup(f'<script type="application/json" data-chart="{name}">{escape_json(specification)}</script>'),
    )
