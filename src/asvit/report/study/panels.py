"""The picture of a study."""

from pathlib import Path

from asvit.errors import UserError
from asvit.report.charts import LEAST, Panel
from asvit.report.study.charts import accuracy_chart
from asvit.report.study.record import read_study
from asvit.study.results import Verdict


def study_panels(directory: Path) -> list[Panel]:
    """Accuracy against the paper's measure, and against #params.

    Raises:
        UserError: there is too little to draw.
    """
    return accuracy_panels(read_study(directory).result)


def accuracy_panels(result: Verdict) -> list[Panel]:
    """Accuracy against length distortion, and against #params, where enough networks have them.

    Raises:
        UserError: there is too little to draw.
    """
    titles = {"length": "Accuracy against length distortion", "params": "Accuracy against parameters"}
    shown = {name: sum(name in point.values for point in result.points) >= LEAST for name in titles}
    if not any(shown.values()):
        raise UserError(f"nothing to draw: fewer than {LEAST} topologies were trained and measured; train more")
    return [(title, accuracy_chart(result, name)) for name, title in titles.items() if shown[name]]
