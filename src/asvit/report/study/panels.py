"""The picture of a study."""

from pathlib import Path

from asvit.report.charts import Panel
from asvit.report.study.charts import accuracy_chart
from asvit.report.study.record import read_study


def study_panels(directory: Path) -> list[Panel]:
    """Accuracy against the paper's measure, and against #params."""
    result = read_study(directory).result
    return [
        ("Accuracy against length distortion", accuracy_chart(result, "length")),
        ("Accuracy against parameters", accuracy_chart(result, "params")),
    ]
