"""Charts of networks side by side: each measure over parameters."""

import re

import altair as alt

from asvit.measure.compared import Row as Network
from asvit.report.charts import Row, diamond, layered, tooltips
from asvit.report.design.plane import Plane, Words, estimate_fields, measure_tooltips
from asvit.report.side_by_side.record import SideBySideReport
from asvit.report.theme import ACCENT, FOUND
from asvit.units import format_size

LABELLED = 12
"""Networks up to which each has its name at its point."""
LONGEST = 24
"""Letters of a name at a point."""


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
        names = [Words(row["label"], row, FOUND if row["designed"] else ACCENT, needed=True) for row in rows]
        layers += plane.words(names)
    return layered(*layers)


def _short(budget: str) -> str:
    """A budget without the words that its units say already.

    >>> _short("3M parameters and 20ms of latency")
    '3M, 20ms'
    """
    return re.sub(r" (parameters|of latency|of memory)", "", budget).replace(" and ", ", ")


def _shortened(name: str) -> str:
    """A name that leaves room for others."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def has_both(network: Network, name: str) -> bool:
    """Whether a network has a place in the chart of a measure."""
    return all(name in network.cells and network.cells[name].estimate is not None for name in ("params", name))


def _row(network: Network, name: str) -> Row:
    estimates = {metric: cell.estimate for metric, cell in network.cells.items() if cell.estimate is not None}
    params = estimates["params"].mean
    return {
        "network": network.name,
        "designed": network.designed_for is not None,
        "label": _short(network.designed_for)
        if network.designed_for
        else _shortened(network.name.removeprefix("timm:")),
        **estimate_fields(name, estimates[name]),
        "params": params,
        "params_text": format_size(round(params)),
    }
