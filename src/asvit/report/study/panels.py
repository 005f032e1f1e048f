"""The picture of a study."""

from pathlib import Path

from asvit.errors import UserError
from asvit.report.charts import LEAST, Panel
from asvit.report.study.charts import accuracy_chart
from asvit.report.study.record import read_study


def study_panels(directory: Path) -> list[Panel]:
    """Accuracy against the paper's measure, and against #params.

    Raises:
        UserError: there is too little to draw.
    """
    result = read_study(directory).result
    titles = {"length": "Accuracy against length distortion", "params": "Accuracy against parameters"}
    shown = {name: sum(name in point.values for point in result.points) >= LEAST for name in titles}
    if not any(shown.values()):
        raise UserError(f"nothing to draw: fewer than {LEAST} topologies were trained and measured; train more")
    return [(title, accuracy_chart(result, name)) for name, title in titles.items() if shown[name]]
