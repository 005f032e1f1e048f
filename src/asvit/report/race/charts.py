"""Charts of a race: accuracy by epoch, and accuracy against what a network costs."""

from collections.abc import Callable, Sequence

import altair as alt

from asvit.report.charts import COLUMNS, LEAST, Row, chart, counting_axis, layered, near, tooltips
from asvit.report.theme import ACCENT, FAINT
from asvit.study.race.results import RaceResult, Ran
from asvit.units import format_cost, format_size

WAYS = {"score": "best by the score", "random": "at random", "guest": "named by you"}
"""How a runner was chosen, in words."""


def has_curves(result: RaceResult) -> bool:
    """Whether a runner was trained for as many epochs as make a line."""
    return max(ran.epochs for ran in result.runners) >= LEAST


def curves_chart(result: RaceResult) -> alt.LayerChart:
    """Accuracy of every runner after every epoch; a line ends where its runner was dropped."""
    rows: list[Row] = [
        {
            "network": ran.runner.network,
            "chosen": WAYS[ran.runner.way],
            "epoch": epoch,
            "top1": 100 * top1,
            "text": f"{top1:.2%}",
        }
        for ran in result.runners
        for epoch, top1 in enumerate(ran.curve, start=1)
    ]
    base = chart(rows).encode(
        x=alt.X("epoch:Q", title="epochs", axis=counting_axis(), scale=alt.Scale(nice=False, zero=False, padding=10)),
        y=alt.Y("top1:Q", title="top-1 accuracy (%)", scale=near()),
        color=alt.Color("chosen:N", title=None, legend=alt.Legend(columns=COLUMNS)),
        detail="network:N",
        tooltip=tooltips(network="network", chosen="chosen", epoch="epoch", text="top-1"),
    )
    return layered(base.mark_line(strokeWidth=1.5, opacity=0.7), base.mark_point(filled=True, size=30, opacity=0.9))


ALIKE = 1.05
"""Ratio of the largest cost to the smallest up to which networks cost the same: those that fill one budget do."""

Cost = Callable[[Ran], float | None]
COSTS: dict[str, tuple[str, Cost, Callable[[float], str]]] = {
    "macs": ("MACs of an image", lambda ran: ran.runner.macs, lambda value: format_size(round(value))),
    "params": ("parameters", lambda ran: ran.runner.params, lambda value: format_size(round(value))),
    "latency": (
        "latency of an image (ms)",
        lambda ran: None if ran.runner.usage is None else 1e3 * ran.runner.usage.latency,
        lambda value: format_cost("latency", value / 1e3),
    ),
}
"""What a network costs: title, value of a runner, and its words."""


def tells_apart(ran: Sequence[Ran], cost: Cost) -> bool:
    """Whether runners enough to draw have a cost, and different ones.

    >>> from asvit.study.race.runners import Runner
    >>> ran = [Ran(Runner("", "random", 1000 + i, 10**i, None), (0.5,), (), 1.0) for i in range(3)]
    >>> tells_apart(ran, lambda one: one.runner.macs), tells_apart(ran, lambda one: one.runner.params)
    (True, False)
    """
    known = [value for one in ran if (value := cost(one)) is not None]
    return len(known) >= LEAST and max(known) > ALIKE * min(known)


def worth_having(ran: Sequence[Ran], cost: Cost, epoch: int) -> list[Ran]:
    """Runners than which none is cheaper and, after so many epochs, more accurate: the front, the cheapest first."""
    known = [one for one in ran if cost(one) is not None]
    front: list[Ran] = []
    for one in sorted(known, key=lambda one: (cost(one), -one.curve[epoch - 1])):
        if not front or one.curve[epoch - 1] > front[-1].curve[epoch - 1]:
            front.append(one)
    return front


def cost_chart(result: RaceResult, name: str) -> alt.LayerChart:
    """Accuracy of all runners, after as many epochs, against a cost; the line joins those that are worth having."""
    title, cost, words = COSTS[name]
    shown = comparable(result)
    epoch = epochs_of(shown)

    def row(ran: Ran) -> Row:
        value = cost(ran)
        assert value is not None
        return {
            "network": ran.runner.network,
            "chosen": WAYS[ran.runner.way],
            "cost": value,
            "words": words(value),
            "top1": 100 * ran.curve[epoch - 1],
            "text": f"{ran.curve[epoch - 1]:.2%}",
        }

    x, y = (
        alt.X("cost:Q", title=title, scale=near(), axis=alt.Axis(format="~s")),
        alt.Y("top1:Q", title="top-1 accuracy (%)", scale=near()),
    )
    front = chart([row(ran) for ran in worth_having(shown, cost, epoch)]).mark_line(color=FAINT).encode(x=x, y=y)
    tips = tooltips(network="network", chosen="chosen", words=title, text="top-1")
    color = alt.Color("chosen:N", title=None, legend=alt.Legend(columns=COLUMNS))
    points = chart([row(ran) for ran in shown if cost(ran) is not None])
    marks = points.mark_point(filled=True, size=65, opacity=0.9, color=ACCENT)
    return layered(front, marks.encode(x=x, y=y, color=color, tooltip=tips))


def comparable(result: RaceResult) -> list[Ran]:
    """All runners, whose accuracies are compared after the first round, where every one has one."""
    return [ran for ran in result.runners if ran.epochs >= result.rounds[0].epochs]


def epochs_of(ran: Sequence[Ran]) -> int:
    """Epochs that all of some runners have seen."""
    return min(one.epochs for one in ran)
