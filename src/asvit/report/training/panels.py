"""The picture of a training."""

from pathlib import Path

from asvit.report.charts import Panel
from asvit.report.training.charts import accuracy_chart, loss_chart
from asvit.report.training.record import read_training


def training_panels(directory: Path) -> list[Panel]:
    """Accuracy against epochs and multiply-adds, and loss."""
    report = read_training(directory)
    return [
        (f"Top-1 accuracy by epoch: best {report.result.best.top1:.2%}", accuracy_chart(report, "epoch")),
        ("Top-1 accuracy by multiply-adds", accuracy_chart(report, "macs")),
        ("Loss by epoch", loss_chart(report, "epoch")),
    ]
