"""Charts of a study: accuracy against a score (Fig. 2), and the rank correlations of all scores."""

import altair as alt

from asvit.measure.metrics import METRICS
from asvit.report.charts import Row, chart, layered, near, tooltips
from asvit.report.theme import ACCENT, FAINT, FOUND
from asvit.study.correlation import Interval
from asvit.study.results import Point, Scored, Verdict
from asvit.units import format_size

ROW_HEIGHT = 22
"""Height of a score's row among the correlations, in points."""


def accuracy_chart(result: Verdict, name: str) -> alt.LayerChart:
    """Accuracy of every topology over a measure of it, coloured by #params; with a tooltip for each (Fig. 2).

    At a budget, where all have as many parameters, the colour is that of the MACs.
    """
    rows = [_row(point, name) for point in result.points if name in point.values]
    values = [row[key] for row in rows for key in ("value", "low", "high")]
    scale = near(logarithmic=0 < 4 * min(values) < max(values))
    metric = METRICS[name]
    title = [f"{metric.title} {metric.symbol}", f"({metric.better} is better)"]
    counted = alt.Axis(format="~s") if metric.counted else alt.Axis(format=",~f")
    x, y = (
        alt.X("value:Q", scale=scale, title=title, axis=counted),
        alt.Y("top1:Q", scale=near(), title="top-1 accuracy (%)"),
    )
    count = METRICS["params" if result.baseline == "params" else "macs"]
    legend = alt.Legend(format="~s")
    color = alt.Color(f"{count.name}:Q", title=count.title, scale=alt.Scale(nice=False), legend=legend)
    tips = tooltips(topology="topology", accuracy="top-1", shown=metric.symbol, size="parameters")
    points = chart(rows).mark_point(filled=True, size=55, opacity=0.9).encode(x=x, y=y, color=color, tooltip=tips)
    if all(row["low"] == row["high"] for row in rows):
        return layered(points)
    bars = chart(rows).mark_rule(color=FAINT, opacity=0.5).encode(x=alt.X("low:Q", scale=scale), x2="high:Q", y=y)
    return layered(bars, points)


def _row(point: Point, name: str) -> Row:
    value, error = point.values[name], point.errors.get(name, 0.0)
    shown = f"{value:.3g}" + (f" ± {error:.2g}" if error else "")
    times = f", {point.trainings} trainings" if point.trainings > 1 else ""
    return {
        "topology": point.topology,
        "value": value,
        "low": value - error,
        "high": value + error,
        "top1": 100 * point.top1,
        "accuracy": f"{point.top1:.2%}{times}",
        "params": point.params,
        "macs": point.macs,
        "size": format_size(point.params) + ("" if point.macs is None else f", {format_size(point.macs)} MACs"),
        "shown": shown,
    }


def correlation_chart(result: Verdict) -> alt.LayerChart:
    """Kendall τ of all scores with 95 % intervals, the best first; the dashed line is that of the baseline."""
    scores = result.judged
    rows: list[Row] = [
        {
            "score": score.symbol,
            "title": score.title,
            "value": _tau(score).value,
            "low": _tau(score).low,
            "high": _tau(score).high,
            "text": str(_tau(score)),
        }
        for score in scores
    ]
    order = [row["score"] for row in rows]
    y = alt.Y("score:N", sort=order, title=None, axis=alt.Axis(domain=False, ticks=False))
    x = alt.Scale(domain=[-1, 1])
    base = chart(rows).encode(y=y, tooltip=tooltips(score="score", title="of", text="τ"))
    bars = base.mark_rule(strokeWidth=2, color=ACCENT).encode(x=alt.X("low:Q", scale=x, title="Kendall τ"), x2="high:Q")
    points = base.mark_point(filled=True, size=70, opacity=1, color=ACCENT).encode(x=alt.X("value:Q", scale=x))
    zero = chart([{"value": 0}]).mark_rule(color=FAINT).encode(x=alt.X("value:Q", scale=x))
    baseline = [row for row, score in zip(rows, scores, strict=True) if score.name == result.baseline]
    line = chart(baseline).mark_rule(color=FOUND, strokeDash=[4, 4]).encode(x=alt.X("value:Q", scale=x))
    return layered(zero, line, bars, points)


def _tau(score: Scored) -> Interval:
    assert score.tau is not None
    return score.tau
