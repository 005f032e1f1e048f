"""Charts of a growth (Fig. 3): depth against width, and the measures along the trajectory."""

from collections.abc import Sequence

import altair as alt

from asvit.design.record import Grown
from asvit.measure.estimates import Measurement
from asvit.networks.architecture import Architecture, Task, plane
from asvit.report.charts import Row, layered, tooltips
from asvit.report.design.plane import Plane, estimates_row, measure_tooltips
from asvit.report.theme import ACCENT, FAINT, FOUND
from asvit.units import format_size

LABELS = 10
"""Steps of a trajectory that get their number, about."""
_TITLES = {"step": "step", "architecture": "architecture", "params_text": "parameters"}


def depth_and_width_chart(grown: Grown, task: Task) -> alt.LayerChart:
    """Total depth against total width, step by step (Fig. 3, left)."""
    rows = [
        {"step": i, **_sizes(step.architecture, task)} | _numbered(i, len(grown.growth.steps))
        for i, step in enumerate(grown.growth.steps)
    ]
    plane = Plane(rows, "width", "depth")
    return layered(*_trajectory(plane, rows, tooltips(**_TITLES, depth="blocks", width="channels")))


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
        _row(step.architecture, measured[step.architecture], task, measures) | {"step": i} | _numbered(i, len(steps))
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
    family = plane.points(members).encode(tooltip=tooltips(budget="budget", **titles))
    return layered(
        plane.points(candidates)
        .mark_point(filled=True, color=FAINT, opacity=0.35, size=18)
        .encode(tooltip=tooltips(**titles)),
        *plane.error_bars(trajectory, color=ACCENT, opacity=0.45),
        *plane.error_bars(members, color=FOUND, opacity=0.7),
        *_trajectory(plane, trajectory, tooltips(**titles)),
        family.mark_point(filled=True, shape="diamond", color=FOUND, opacity=1, size=130, stroke="white"),
        family.mark_text(dy=16, color=FOUND, fontWeight="bold").encode(text="budget:N"),
    )


def _trajectory(plane: Plane, rows: Sequence[Row], tooltip: list[alt.Tooltip]) -> list[alt.Chart]:
    base = plane.points(rows)
    numbers = plane.points([row for row in rows if "number" in row])
    return [
        base.mark_line(color=ACCENT, strokeWidth=2).encode(order="step:Q"),
        base.mark_point(filled=True, color=ACCENT, opacity=1, size=45).encode(tooltip=tooltip),
        numbers.mark_text(dy=-10).encode(text="number:N"),
    ]


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


def _numbered(step: int, steps: int) -> Row:
    """The step's number where there is room for it."""
    every = -(-steps // LABELS)
    return {"number": str(step)} if step % every == 0 else {}


def _width(divisor: int) -> str:
    return f"; at 1/{divisor} width" if divisor > 1 else ""
