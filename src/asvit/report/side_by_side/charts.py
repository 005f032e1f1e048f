"""Charts of networks side by side: each measure over parameters."""

import math
from collections.abc import Iterator, Sequence

import altair as alt

from asvit.measure.compared import Row as Network
from asvit.report.charts import Row, diamond, layered, tooltips
from asvit.report.design.plane import Plane, estimate_fields, measure_tooltips
from asvit.report.side_by_side.record import SideBySideReport
from asvit.report.theme import ACCENT, FOUND
from asvit.units import format_size

LABELLED = 12
"""Networks up to which each has its name at its point."""


def measure_chart(report: SideBySideReport, name: str) -> alt.LayerChart:
    """A measure over parameters: diamonds the family, points the others.

    Args:
        report: networks, some of which have both numbers.
        name: name of the measure.
    """
    rows = [_row(network, name) for network in report.result.rows if has_both(network, name)]
    family = [row for row in rows if row["designed"]]
    others = [row for row in rows if not row["designed"]]
    plane = Plane(rows, "params", name)
    tips = tooltips(network="network", params_text="parameters", **measure_tooltips([name]))
    layers = [
        *plane.error_bars(others, color=ACCENT, opacity=0.5),
        *plane.error_bars(family, color=FOUND, opacity=0.7),
        plane.points(others).mark_point(filled=True, color=ACCENT, opacity=1, size=55).encode(tooltip=tips),
        diamond(plane.points(family).encode(tooltip=tips)),
    ]
    if len(rows) <= LABELLED:
        layers += [
            *_labels(plane, others, ACCENT),
            *_labels(plane, family, FOUND),
        ]
    return layered(*layers)


def _labels(plane: Plane, rows: Sequence[Row], color: str) -> Iterator[alt.Chart]:
    """Names beside points, on the side where there is more room."""
    sizes = [row["params"] for row in plane.rows]
    middle = math.sqrt(min(sizes) * max(sizes))
    left = [row for row in rows if row["params"] < middle]
    right = [row for row in rows if row["params"] >= middle]
    yield plane.points(left).mark_text(align="left", dx=9, color=color, limit=160).encode(text="label:N")
    yield plane.points(right).mark_text(align="right", dx=-9, color=color, limit=160).encode(text="label:N")


def has_both(network: Network, name: str) -> bool:
    """Whether a network has a place in the chart of a measure."""
    return all(name in network.cells and network.cells[name].estimate is not None for name in ("params", name))


def _row(network: Network, name: str) -> Row:
    estimates = {metric: cell.estimate for metric, cell in network.cells.items() if cell.estimate is not None}
    params = estimates["params"].mean
    designed = network.designed_for is not None
    return {
        "network": network.name,
        "designed": designed,
        "label": network.designed_for if designed else network.name.removeprefix("timm:"),
        **estimate_fields(name, estimates[name]),
        "params": params,
        "params_text": format_size(round(params)),
    }
