"""The picture of a detector's training."""

from pathlib import Path

from asvit.report.charts import Panel
from asvit.report.detection.charts import loss_chart, precision_chart
from asvit.report.detection.record import read_detection


def detection_panels(directory: Path) -> list[Panel]:
    """Average precision, and the parts of the loss."""
    result = read_detection(directory).result
    return [
        ("Average precision by epoch", precision_chart(result)),
        ("Parts of the training loss by epoch", loss_chart(result)),
    ]
