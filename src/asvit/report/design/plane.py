"""A plane of two quantities: axes, points with error bars, tooltips, as all charts of measures use them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from asvit.measure.estimates import Estimate, Measurement
from asvit.measure.metrics import METRICS
from asvit.measure.words import format_measure
from asvit.report.charts import Row, chart, counting_axis

_FORMAT = {
    "length": ",~f",
    "ntk": ",~f",
    "params": "~s",
    "macs": "~s",
    "memory": "~s",
    "width": ",~f",
}
_TITLE = {
    "params": "parameters",
    "macs": "multiply-adds of one image",
    "latency": "milliseconds (lower is better)",
    "memory": "bytes (lower is better)",
    "width": "total width (channels, over all blocks)",
    "depth": "total depth (blocks)",
}


def estimates_row(measurement: Measurement, measures: Sequence[str]) -> Row:
    """A valid measurement's means, the ends of error bars where there are any, and both as text."""
    row: Row = {}
    for name in measures:
        row |= estimate_fields(name, measurement.estimates[name])
    return row


def estimate_fields(name: str, estimate: Estimate) -> Row:
    """Mean of one measure, the ends of its error bar if it has one, and both as text."""
    row: Row = {name: estimate.mean, f"{name}_text": format_measure(name, estimate)}
    if estimate.standard_error is not None and not METRICS[name].counted:
        row[f"{name}_low"] = estimate.mean - estimate.standard_error
        row[f"{name}_high"] = estimate.mean + estimate.standard_error
    return row


def measure_tooltips(measures: Sequence[str]) -> dict[str, str]:
    """Titles of the measures in a tooltip."""
    return {f"{name}_text": METRICS[name].symbol for name in measures}


def trade_off(measures: Sequence[str]) -> tuple[str, str]:
    """Fields of the plane that shows what was weighed: the first measure over the second, or over parameters.

    >>> trade_off(["length", "ntk"]), trade_off(["naswot"])
    (('ntk', 'length'), ('params', 'naswot'))
    """
    return (measures[1] if len(measures) > 1 else "params"), measures[0]


def trade_off_heading(measures: Sequence[str]) -> str:
    """Heading of the chart of a score's first two measures."""
    return "Both measures" if len(measures) == 2 else "The first two measures"


def better_corner(x: str, y: str) -> str:
    """Where good ones are in a plane.

    >>> better_corner("ntk", "length"), better_corner("params", "naswot")
    ('upper left', 'upper half')
    """
    vertical = "upper" if METRICS[y].better == "higher" else "lower"
    if x == "params":
        return f"{vertical} half"
    return f"{vertical} {'right' if METRICS[x].better == 'higher' else 'left'}"


@dataclass(frozen=True)
class Plane:
    """Two fields against each other; the scales hold all rows."""

    rows: Sequence[Row]
    x: str
    y: str
    note: str = ""
    """Words in the titles of measures: at which width they were taken."""

    def points(self, rows: Sequence[Row]) -> alt.Chart:
        """A chart of rows at their places, without a mark yet."""
        return chart(rows).encode(x=self._axis(alt.X, self.x), y=self._axis(alt.Y, self.y))

    def error_bars(self, rows: Sequence[Row], *, color: str, opacity: float) -> list[alt.Chart]:
        """Rules over one standard error on either side, for the fields that have errors."""
        bars = []
        for field, x, y in ((self.x, True, False), (self.y, False, True)):
            with_errors = [row for row in rows if f"{field}_low" in row]
            if with_errors:
                base = chart(with_errors).mark_rule(color=color, opacity=opacity, strokeWidth=1.2)
                bars.append(
                    base.encode(
                        x=self._axis(alt.X, self.x, suffix="_low" if x else ""),
                        y=self._axis(alt.Y, self.y, suffix="_low" if y else ""),
                        **({"x2": f"{field}_high:Q"} if x else {"y2": f"{field}_high:Q"}),
                    )
                )
        return bars

    def _axis(self, channel: type, field: str, *, suffix: str = "") -> Any:
        axis = counting_axis() if field == "depth" else alt.Axis(format=_FORMAT.get(field, "~g"))
        return channel(f"{field}{suffix}:Q", scale=self._scale(field), title=self._title(field), axis=axis)

    def _title(self, field: str) -> str | list[str]:
        if field in _TITLE:
            return _TITLE[field]
        metric = METRICS[field]
        return [f"{metric.title} {metric.symbol}", f"({metric.better} is better{self.note})"]

    def _scale(self, field: str) -> alt.Scale:
        """Logarithmic where all is positive, error bars included, and spans more than a factor of 4."""
        values = [row[key] for row in self.rows for key in (field, f"{field}_low", f"{field}_high") if key in row]
        logarithmic = bool(values) and 0 < 4 * min(values) < max(values)
        logarithmic &= field not in ("width", "depth")  # linear as in Fig. 3
        return alt.Scale(type="log" if logarithmic else "linear", zero=False, nice=False, padding=14)
