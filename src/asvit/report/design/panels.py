"""The picture of a search, growth or design."""

from pathlib import Path

from asvit.design.record import read_design
from asvit.errors import UserError
from asvit.report.charts import LEAST, Panel
from asvit.report.design.growth_charts import growth_points, measures_chart
from asvit.report.design.plane import trade_off, trade_off_heading
from asvit.report.design.search_charts import entropy_chart, topologies_chart


def design_panels(directory: Path) -> list[Panel]:
    """The policy over steps, measured topologies, growth with the family: those that apply to the job.

    Raises:
        UserError: there is too little to draw.
    """
    report = read_design(directory)
    measures = report.measures
    panels: list[Panel] = []
    if report.searches and len(report.searches[0].steps) >= LEAST:
        panels.append(("Search: how undecided it is", entropy_chart(report.searches)))
    if sum(measurement.valid for _, measurement in report.topologies_measured) >= LEAST:
        chart = topologies_chart(report.searches, report.task, measures)
        panels.append(("Topologies measured, none trained", chart))
    grown, task = report.grown, report.task
    if grown is not None and growth_points(grown) >= LEAST:
        panels.append(("Growth to every budget", measures_chart(grown, task, "params", measures[0])))
        if not report.searches and len(measures) > 1:
            panels.append((trade_off_heading(measures), measures_chart(grown, task, *trade_off(measures))))
    if not panels:
        raise UserError(f"nothing to draw: fewer than {LEAST} networks were valid; search longer, or with other images")
    return panels
