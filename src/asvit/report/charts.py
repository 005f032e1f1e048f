"""What all charts are made of: rows of data, layers, tooltips, and their place on a page."""

from collections.abc import Iterable
from typing import Any

import altair as alt

from asvit.report.markup import Markup, escape_json, tag
from asvit.report.theme import FOUND

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
"""The version that altair writes for."""

DENSE = 60
"""Points of a line from which they are small."""
WHOLE_NUMBERS = "datum.value % 1 ? '' : datum.label"
"""Labels where fractions, which ticks too close together fall on, have none."""
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
