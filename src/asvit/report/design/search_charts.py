"""Charts of a search: the policy and the reward over steps (Fig. 5), the final policy, the measured topologies."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import altair as alt

from asvit.design.search import SearchRun
from asvit.design.words import undecided
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import SPACE, TABLE_1, Space, Topology
from asvit.report.charts import COLUMNS, WHOLE_NUMBERS, Row, answering, chart, counting_axis, layered, near, tooltips
from asvit.report.design.plane import Plane, estimates_row, measure_tooltips, trade_off
from asvit.report.labels import PADDING
from asvit.report.theme import ACCENT, FAINT, FOUND, SECOND

PAPER_ENTROPY = 5.7
"""Entropy of the paper's policy after 500 steps, in nats (Section 3.3)."""

BOTH, MOST_PROBABLE, BEST_RANKED = "most probable and best ranked", "most probable", "best ranked"
_MARKS = {BOTH: (FOUND, "diamond"), MOST_PROBABLE: (FOUND, "diamond"), BEST_RANKED: (SECOND, "triangle-up")}


def entropy_chart(searches: Sequence[SearchRun]) -> alt.LayerChart:
    """How undecided the policy is over steps, between a uniform policy and the paper's last (Fig. 5)."""
    space = space_of(searches[0])
    rows = [
        {
            "seed": search.seed,
            "step": step.step + 1,
            "entropy": step.entropy,
            "undecided": (share := undecided(step.entropy, space)),
            "share": f"{share:.1%}",
            "nats": f"{step.entropy:.2f} nats",
        }
        for search in searches
        for step in search.steps
    ]
    lines = chart(rows).encode(
        x=alt.X("step:Q", title="step", scale=alt.Scale(nice=False, zero=False), axis=counting_axis()),
        y=alt.Y(
            "undecided:Q",
            title=["how undecided the policy is", "(its entropy, of a uniform policy's)"],
            scale=near(padding=PADDING),
            axis=alt.Axis(format="~%"),
        ),
        tooltip=tooltips(step="step", share="undecided", nats="entropy", seed="seed"),
        **_by_seed(searches),
    )
    paper = undecided(PAPER_ENTROPY, TABLE_1)
    return layered(
        *_level(1.0, "uniform policy", "right"),
        *_level(paper, f"paper, after 500 steps: {100 * paper:.0f} %", "left"),
        lines.mark_line(color=ACCENT, strokeWidth=2),
        answering(lines),
    )


def space_of(search: SearchRun) -> Space:
    """The space that a search chose from."""
    values = {name: tuple(map(int, distribution)) for name, distribution in search.probabilities.items()}
    return Space(values, Topology.parse(search.most_probable).base_stride)


def _level(value: float, text: str, side: str) -> list[alt.Chart]:
    """A dashed line across with words on it."""
    base = chart([{"undecided": value, "text": text}]).encode(y="undecided:Q")
    place = alt.value("width") if side == "right" else alt.value(4)
    words = base.mark_text(align=side, dy=-7, fontStyle="italic").encode(x=place, text="text:N")  # pyright: ignore
    return [base.mark_rule(color=FAINT, strokeDash=[4, 4]), words]


def _by_seed(searches: Sequence[SearchRun]) -> dict[str, Any]:
    return {"color": alt.Color("seed:O", title="seed", legend=alt.Legend(columns=8))} if len(searches) > 1 else {}


def reward_chart(searches: Sequence[SearchRun]) -> alt.LayerChart:
    """Reward of every step; steps without a valid measurement are crosses."""
    rows = [
        {
            "seed": search.seed,
            "step": step.step + 1,
            "reward": step.reward,
            "topology": step.topology,
            "measurement": "valid" if search.measurements[step.topology].valid else "invalid",
        }
        for search in searches
        for step in search.steps
    ]
    shape: dict[str, Any] = {}
    if any(row["measurement"] == "invalid" for row in rows):
        shapes = alt.Scale(domain=["valid", "invalid"], range=["circle", "cross"])
        shape = {"shape": alt.Shape("measurement:N", scale=shapes, title=None)}
    zero = chart([{"reward": 0}]).mark_rule(color=FAINT, strokeDash=[4, 4]).encode(y="reward:Q")
    points = chart(rows).mark_point(filled=True, color=ACCENT, opacity=0.75, size=30)
    points = points.encode(
        x=alt.X("step:Q", title="step", scale=alt.Scale(nice=False, zero=False), axis=counting_axis()),
        y=alt.Y("reward:Q", title="reward (sum of relative changes)"),
        tooltip=tooltips(step="step", reward="reward", topology="topology", seed="seed"),
        **_by_seed(searches),
        **shape,
    )
    return layered(zero, points)


def policy_chart(searches: Sequence[SearchRun]) -> alt.LayerChart:
    """Final policy: probability of every value of every choice, the mean over runs."""
    order = sorted(SPACE, key=lambda name: "KSEh".index(name[0]))
    rows: list[Row] = []
    for name in order:
        p = {value: fmean(s.probabilities[name][value] for s in searches) for value in searches[0].probabilities[name]}
        likeliest = max(p, key=lambda value: p[value])
        rows += [
            {
                "choice": name,
                "place": place,
                "value": value,
                "probability": p[value],
                "text": f"{value}: {p[value]:.0%}",
                "likeliest": value == likeliest,
            }
            for place, value in enumerate(p)
        ]
    base = chart(rows).encode(
        x=alt.X("place:O", axis=None),
        y=alt.Y("choice:N", sort=order, title=None, axis=alt.Axis(domain=False, ticks=False, labelFontSize=12)),
        tooltip=tooltips(choice="choice", value="value", probability="probability"),
    )
    cells = base.mark_rect(cornerRadius=3).encode(
        color=alt.Color("probability:Q", scale=alt.Scale(domain=[0, 1]), legend=None)
    )
    words = base.encode(text="text:N")
    bold = words.mark_text(fontWeight="bold").transform_filter("datum.likeliest")
    return layered(cells, words.mark_text().transform_filter("!datum.likeliest"), bold)


def topologies_chart(searches: Sequence[SearchRun], task: Task, measures: Sequence[str]) -> alt.LayerChart:
    """Valid measured topologies in the plane of two measures, or of one over parameters, the found ones marked."""
    rows = [row for search in searches for row in _topology_rows(search, task, measures)]
    plane = Plane(rows, *trade_off(measures))
    titles = measure_tooltips(measures) | {
        "topology": "topology",
        "params": "parameters",
        "step": "step",
        "seed": "seed",
    }
    points = plane.points([row for row in rows if "marked" not in row])
    steps = alt.Legend(orient="bottom", format="d", tickMinStep=1, labelExpr=WHOLE_NUMBERS)
    points = points.mark_point(filled=True, size=45, opacity=0.85).encode(
        color=alt.Color("order:Q", title="step", scale=alt.Scale(nice=False), legend=steps),
        tooltip=tooltips(**titles),
    )
    marked = [row for row in rows if "marked" in row]
    kinds = [kind for kind in _MARKS if any(row["marked"] == kind for row in marked)]
    colors, shapes = ([_MARKS[kind][i] for kind in kinds] for i in (0, 1))
    legend = alt.Legend(title=None, symbolOpacity=1, columns=COLUMNS)
    marks = plane.points(marked).mark_point(filled=True, size=170, opacity=1, stroke="white", strokeWidth=1)
    marks = marks.encode(
        fill=alt.Fill("marked:N", scale=alt.Scale(domain=kinds, range=colors), legend=legend),
        shape=alt.Shape("marked:N", scale=alt.Scale(domain=kinds, range=shapes), legend=legend),
        tooltip=tooltips(**titles),
    )
    layers = [
        *plane.error_bars([row for row in rows if "marked" not in row], color=FAINT, opacity=0.3),
        points,
        *(
            bar
            for kind in kinds
            for bar in plane.error_bars(
                [row for row in marked if row["marked"] == kind], color=_MARKS[kind][0], opacity=0.9
            )
        ),
        marks,
    ]
    return layered(*layers).resolve_scale(color="independent")


def _topology_rows(search: SearchRun, task: Task, measures: Sequence[str]) -> list[Row]:
    """A row a valid topology, with the step that first sampled it; the marked ones last, to be drawn on top."""
    first: dict[str, int] = {}
    for step in search.steps:
        first.setdefault(step.topology, step.step + 1)
    rows = [
        {
            "topology": name,
            "params": Architecture.parse(name).params(task),
            "seed": search.seed,
            "order": first.get(name, len(search.steps)),
            "step": first.get(name, "after the search"),
            **estimates_row(measurement, measures),
            **marked_as(search, name),
        }
        for name, measurement in search.measurements.items()
        if measurement.valid
    ]
    return sorted(rows, key=lambda row: "marked" in row)


def marked_as(search: SearchRun, topology: str) -> Mapping[str, str]:
    """What a topology is to its search, if anything."""
    if topology == search.most_probable:
        return {"marked": BOTH if topology == search.best_ranked else MOST_PROBABLE}
    return {"marked": BEST_RANKED} if topology == search.best_ranked else {}
