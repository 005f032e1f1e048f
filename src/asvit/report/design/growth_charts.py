"""Charts of a growth (Fig. 3): depth against width, and the measures along the trajectory."""

from collections.abc import Sequence

import altair as alt

from asvit.design.record import Grown
from asvit.measure.estimates import Measurement
from asvit.networks.architecture import Architecture, Task, plane
from asvit.report.charts import Row, diamond, layered, tooltips
from asvit.report.design.plane import Plane, Words, estimates_row, measure_tooltips
from asvit.report.theme import ACCENT, FAINT, FOUND
from asvit.units import format_size

_TITLES = {"architecture": "architecture", "params_text": "parameters"}


def depth_and_width_chart(grown: Grown, task: Task) -> alt.LayerChart:
    """Total depth against total width, step by step (Fig. 3, left)."""
    rows = [{"step": i, **_sizes(step.architecture, task)} for i, step in enumerate(grown.growth.steps)]
    plane = Plane(rows, "width", "depth")
    tips = tooltips(step="step", **_TITLES, depth="blocks", width="channels")
    return layered(*_trajectory(plane, rows, tips), *plane.words(_numbers(rows), lines=[rows]))


def measures_chart(grown: Grown, task: Task, x: str, y: str) -> alt.LayerChart:
    """Trajectory with error bars, faintly the candidates it was chosen from, and the family (Fig. 3, right).

    Args:
        grown: growth and family.
        task: task that parameters are counted for.
        x: ``params`` or a measure.
        y: a measure.
    """
    steps = grown.growth.steps
    measures = grown.measures
    measured = grown.growth.measurements
    chosen = {step.architecture for step in steps}
    trajectory = [
        _row(step.architecture, measured[step.architecture], task, measures) | {"step": i}
        for i, step in enumerate(steps)
        if measured[step.architecture].valid
    ]
    candidates = [
        _row(name, measured[name], task, measures) | {"step": f"candidate of step {i}"}
        for i, step in enumerate(steps)
        for name in step.candidates
        if name not in chosen and measured[name].valid
    ]
    members = [
        _row(member.architecture, member.measurement, task, measures) | {"budget": member.budget.label}
        for member in grown.proxied
        if member.measurement.valid
    ]
    plane = Plane([*trajectory, *candidates, *members], x, y, note=_width(grown.width_divisor))
    titles = measure_tooltips(measures) | _TITLES
    tips = tooltips(step="step", **titles)
    budgets = [Words(member["budget"], member, FOUND, needed=True) for member in members]
    return layered(
        plane.points(candidates).mark_point(filled=True, color=FAINT, opacity=0.35, size=18).encode(tooltip=tips),
        *plane.error_bars(trajectory, color=ACCENT, opacity=0.45),
        *plane.error_bars(members, color=FOUND, opacity=0.7),
        *_trajectory(plane, trajectory, tips),
        diamond(plane.points(members).encode(tooltip=tooltips(budget="budget", **titles))),
        *plane.words([*budgets, *_numbers(trajectory)], points=candidates, lines=[trajectory]),
    )


def growth_points(grown: Grown) -> int:
    """Networks of a growth and its family that a chart of measures would show."""
    members = sum(member.measurement.valid for member in grown.proxied)
    return members + sum(measurement.valid for _, measurement in grown.measured)


def _trajectory(plane: Plane, rows: Sequence[Row], tooltip: list[alt.Tooltip]) -> list[alt.Chart]:
    base = plane.points(rows)
    return [
        base.mark_line(color=ACCENT, strokeWidth=2).encode(order="step:Q"),
        base.mark_point(filled=True, color=ACCENT, opacity=1, size=45).encode(tooltip=tooltip),
    ]


def _numbers(rows: Sequence[Row]) -> list[Words]:
    """Numbers of the steps; the last and the first first, for whom there is room."""
    order = sorted(rows, key=lambda row: row["step"] not in (rows[0]["step"], rows[-1]["step"]))
    return [Words(str(row["step"]), row) for row in order]


def _row(name: str, measurement: Measurement, task: Task, measures: Sequence[str]) -> Row:
    return estimates_row(measurement, measures) | _sizes(name, task)


def _sizes(name: str, task: Task) -> Row:
    architecture = Architecture.parse(name)
    params = architecture.params(task)
    depth, width = plane(architecture)
    return {
        "architecture": name,
        "params": params,
        "params_text": format_size(params),
        "depth": depth,
        "width": width,
    }


def _width(divisor: int) -> str:
    return f"; at 1/{divisor} width" if divisor > 1 else ""
