"""Charts of a detector's training: average precision after every evaluation, and the parts of the loss."""

import altair as alt

from asvit.detection.results import DetectEpoch, DetectResult
from asvit.report.charts import COLUMNS, Row, chart, counting_axis, diamond, layered, point_size, tooltips
from asvit.report.theme import ACCENT, FAINT, FOUND, SECOND

_LOSSES = {
    "class_loss": "classes",
    "box_loss": "boxes",
    "mask_loss": "masks",
    "proposal_loss": "proposals",
}


def precision_chart(result: DetectResult) -> alt.LayerChart:
    """Average precision of boxes and of masks, the best epoch marked.

    Args:
        result: result of a training.
    """
    rows = [row for epoch in result.epochs for row in _precisions(epoch)]
    y = alt.Y("ap:Q", title="average precision", scale=alt.Scale(zero=True, nice=True), axis=alt.Axis(format="~%"))
    kinds = alt.Color("of:N", title=None, scale=alt.Scale(domain=["boxes", "masks"], range=[ACCENT, SECOND]))
    tips = tooltips(epoch="epoch", of="of", ap_text="AP", ap50_text="AP at 0.50", ap75_text="AP at 0.75")
    lines = chart(rows).encode(x=_axis(result), y=y, color=kinds, tooltip=tips)
    best = chart([row for row in _precisions(result.best) if row["of"] == "boxes"])
    return layered(
        lines.mark_line(strokeWidth=2),
        lines.mark_point(filled=True, opacity=1, size=point_size(len(result.epochs))),
        diamond(best.encode(x=_axis(result), y=y, tooltip=tips)),
    )


def loss_chart(result: DetectResult) -> alt.LayerChart:
    """Parts of the training loss.

    Args:
        result: result of a training.
    """
    rows: list[Row] = [
        {"epoch": epoch.epoch, "part": part, "loss": getattr(epoch, name), "text": f"{getattr(epoch, name):.4f}"}
        for epoch in result.epochs
        for name, part in _LOSSES.items()
    ]
    colours = alt.Scale(domain=list(_LOSSES.values()), range=[ACCENT, FOUND, SECOND, FAINT])
    lines = chart(rows).encode(
        x=_axis(result),
        y=alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=True)),
        color=alt.Color("part:N", title=None, scale=colours, legend=alt.Legend(columns=COLUMNS)),
        tooltip=tooltips(epoch="epoch", part="part", text="loss"),
    )
    return layered(
        lines.mark_line(strokeWidth=2), lines.mark_point(filled=True, opacity=1, size=point_size(len(result.epochs)))
    )


def _precisions(epoch: DetectEpoch) -> list[Row]:
    return [
        {
            "epoch": epoch.epoch,
            "of": kind,
            "ap": scores.ap,
            "ap_text": f"{scores.ap or 0:.2%}",
            "ap50_text": f"{scores.ap50 or 0:.2%}",
            "ap75_text": f"{scores.ap75 or 0:.2%}",
        }
        for kind, scores in (("boxes", epoch.boxes), ("masks", epoch.masks))
        if scores is not None
    ]


def _axis(result: DetectResult) -> alt.X:
    scale = alt.Scale(domain=[0, len(result.epochs)], nice=False)
    return alt.X("epoch:Q", title="epoch", scale=scale, axis=counting_axis())
