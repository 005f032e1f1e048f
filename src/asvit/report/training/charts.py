"""Charts of a training (Fig. 4): accuracy and loss against epochs and against multiply-adds, coarse stages shaded."""

from typing import Literal

import altair as alt

from asvit.report.charts import COLUMNS, Row, chart, counting_axis, diamond, layered, near, point_size, tooltips
from asvit.report.theme import ACCENT, FAINT, SECOND
from asvit.report.training.record import TrainReport
from asvit.training.results import Epoch
from asvit.training.schedule import share_of_tokens

Spent = Literal["epoch", "macs"]
"""What a chart's horizontal axis counts."""

STRONGEST = 0.4
"""Opacity of the coarsest stage's band."""
_TITLE = {"epoch": "epoch", "macs": "multiply-adds spent"}
_TRAIN, _VAL = "training", "validation"


def accuracy_chart(report: TrainReport, spent: Spent) -> alt.LayerChart:
    """Top-1 accuracy on the validation images after every epoch, the best epoch marked.

    Args:
        report: records of a training.
        spent: what accuracy is drawn against.
    """
    x = _axis(report, spent)
    y = alt.Y("top1:Q", title="top-1 accuracy", scale=near(), axis=alt.Axis(format="~%"))
    line = chart(_row(epoch) for epoch in report.result.epochs).encode(x=x, y=y, tooltip=_tooltips())
    return layered(
        *_bands(report, spent),
        line.mark_line(color=ACCENT, strokeWidth=2),
        line.mark_point(filled=True, color=ACCENT, opacity=1, size=point_size(len(report.result.epochs))),
        diamond(chart([_row(report.result.best)]).encode(x=x, y=y, tooltip=_tooltips())),
    )


def loss_chart(report: TrainReport, spent: Spent) -> alt.LayerChart:
    """Loss on the training and the validation images, the best epoch marked.

    Args:
        report: records of a training.
        spent: what the loss is drawn against.
    """
    rows = [
        _row(epoch) | {"images": images, "value": value}
        for epoch in report.result.epochs
        for images, value in ((_TRAIN, epoch.train_loss), (_VAL, epoch.loss))
    ]
    x, y = _axis(report, spent), alt.Y("value:Q", title="loss (nats)", scale=near())
    kinds = alt.Color("images:N", title=None, scale=alt.Scale(domain=[_TRAIN, _VAL], range=[SECOND, ACCENT]))
    lines = chart(rows).encode(x=x, y=y, color=kinds, tooltip=_tooltips())
    best = report.result.best
    return layered(
        *_bands(report, spent),
        lines.mark_line(strokeWidth=2),
        lines.mark_point(filled=True, opacity=1, size=point_size(len(report.result.epochs))),
        diamond(chart([_row(best) | {"value": best.loss}]).encode(x=x, y=y, tooltip=_tooltips())),
    )


def _bands(report: TrainReport, spent: Spent) -> list[alt.Chart]:
    """A shaded band for every coarse stage, the stronger the fewer tokens."""
    spans = [span for span in report.spans if span.coarseness > 1]
    if not spans:
        return []
    rows = []
    for span in spans:
        start, end = span.epochs if spent == "epoch" else span.spent
        rows.append({"start": start, "end": end, "stage": f"{span.tokens} of the tokens", "epochs": span.numbers})
    opacities = [STRONGEST * (len(spans) - i) / len(spans) for i in range(len(spans))]
    shades = alt.Opacity(
        "stage:O",
        scale=alt.Scale(domain=[row["stage"] for row in rows], range=opacities),
        legend=alt.Legend(title=None, orient="bottom", columns=COLUMNS, offset=14, symbolType="square"),
    )
    bands = chart(rows).mark_rect(color=FAINT)
    x = _axis(report, spent, field="start")
    return [bands.encode(x=x, x2="end:Q", opacity=shades, tooltip=tooltips(stage="stage", epochs="epochs"))]


def _axis(report: TrainReport, spent: Spent, *, field: str | None = None) -> alt.X:
    """Axis from zero to all that was spent."""
    scale = alt.Scale(domain=[0, getattr(report.result.epochs[-1], spent)], nice=False)
    axis = {
        "epoch": counting_axis(),
        "macs": alt.Axis(format="~s", tickMinStep=1, labelExpr="datum.value ? datum.label : '0'"),
    }
    return alt.X(f"{field or spent}:Q", title=_TITLE[spent], scale=scale, axis=axis[spent])


def _row(epoch: Epoch) -> Row:
    return {
        "epoch": epoch.epoch,
        "macs": epoch.macs,
        "top1": epoch.top1,
        "tokens": share_of_tokens(epoch.coarseness),
        "top1_text": f"{epoch.top1:.2%}",
        "top5_text": f"{epoch.top5:.2%}",
        "loss": f"{epoch.loss:.4f}",
        "train_loss": f"{epoch.train_loss:.4f}",
        "lr": f"{epoch.lr:.2e}",
    }


def _tooltips() -> list[alt.Tooltip]:
    words = tooltips(
        epoch="epoch",
        tokens="tokens",
        top1_text="top-1",
        top5_text="top-5",
        loss="validation loss",
        train_loss="training loss",
        lr="learning rate",
    )
    return [*words, alt.Tooltip("macs:Q", title="multiply-adds", format=".4~s")]
