"""A plane of two quantities: axes, points with error bars, tooltips, as all charts of measures use them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from asvit.measure.estimates import Estimate, Measurement
from asvit.measure.metrics import METRICS
from asvit.measure.words import format_measure
from asvit.report.charts import BYTES, LARGE_NUMBERS, Row, chart, counting_axis, near
from asvit.report.labels import PADDING, Label, Place, Point, places_for

_FORMAT = {"params": "~s", "macs": "~s"}
_LABELS = {"width": LARGE_NUMBERS, "length": LARGE_NUMBERS, "ntk": LARGE_NUMBERS, "memory": BYTES}
_TITLE = {
    "params": "parameters",
    "macs": "multiply-adds of one image",
    "latency": "milliseconds of a batch (lower is better)",
    "memory": "memory at the peak (lower is better)",
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
class Words:
    """Words beside the point of a row."""

    text: str
    row: Row
    color: str | None = None
    """Colour of words that stand out; None: as the axes'."""
    needed: bool = False
    """Whether they are written wherever there is most room, or only where there is enough."""


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

    def words(
        self, words: Sequence[Words], *, points: Sequence[Row] = (), lines: Sequence[Sequence[Row]] = ()
    ) -> list[alt.Chart]:
        """Words beside points, none on another, on a point or on a line; those for which there is no room left out.

        Args:
            words: words at rows, which have their error bars.
            points: rows that are drawn as points and have no words.
            lines: rows that are joined by lines.
        """
        places = places_for(
            [Label(w.text, self._position(w.row), needed=w.needed) for w in words],
            points=map(self._position, points),
            lines=[[self._position(row) for row in line] for line in [*lines, *self._bars(words)]],
        )
        groups: dict[tuple[Place, str | None], list[Row]] = {}
        for w, place in zip(words, places, strict=True):
            if place is not None:
                groups.setdefault((place, w.color), []).append({**w.row, "words": w.text})
        return [
            self.points(rows)
            .mark_text(align=place.align, dx=place.dx, dy=place.dy, **({} if color is None else _strong(color)))
            .encode(text="words:N")
            for (place, color), rows in groups.items()
        ]

    def _bars(self, words: Sequence[Words]) -> list[list[Row]]:
        """Ends of the error bars through points with words."""
        ends = [(field, row) for field in (self.x, self.y) for row in (w.row for w in words) if f"{field}_low" in row]
        return [[row | {field: row[f"{field}_{end}"]} for end in ("low", "high")] for field, row in ends]

    def _position(self, row: Row) -> Point:
        """Place of a row in the plane, from 0 to 1 both ways."""
        return self._share(self.x, row[self.x]), self._share(self.y, row[self.y])

    def _share(self, field: str, value: int | float) -> float:
        values = self._values(field)
        low, high, at = min(values), max(values), value
        if self._logarithmic(field):
            low, high, at = map(math.log, (low, high, at))
        return (at - low) / (high - low) if high > low else 0.5

    def _axis(self, channel: type, field: str, *, suffix: str = "") -> Any:
        axis = counting_axis() if field == "depth" else alt.Axis(format=_FORMAT.get(field, "~g"))
        if field in _LABELS:
            axis.labelExpr = _LABELS[field]
        return channel(f"{field}{suffix}:Q", scale=self._scale(field), title=self._title(field), axis=axis)

    def _title(self, field: str) -> str | list[str]:
        if field in _TITLE:
            return _TITLE[field]
        metric = METRICS[field]
        return [f"{metric.title} {metric.symbol}", f"({metric.better} is better{self.note})"]

    def _scale(self, field: str) -> alt.Scale:
        return near(logarithmic=self._logarithmic(field), padding=PADDING)

    def _logarithmic(self, field: str) -> bool:
        """Where all is positive, error bars included, and spans more than a factor of 4."""
        values = self._values(field)
        linear = field in ("width", "depth")  # as in Fig. 3
        return not linear and bool(values) and 0 < 4 * min(values) < max(values)

    def _values(self, field: str) -> list[int | float]:
        return [row[key] for row in self.rows for key in (field, f"{field}_low", f"{field}_high") if key in row]


def _strong(color: str) -> dict[str, Any]:
    return {"color": color, "fontWeight": "bold"}
