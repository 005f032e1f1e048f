"""The page of a designed family beside other networks."""

from pathlib import Path

from asvit.measure.metrics import METRICS
from asvit.report.charts import figure
from asvit.report.markup import Markup, tag
from asvit.report.parts import Page, count, head, images, settings
from asvit.report.side_by_side.charts import has_both, measure_chart
from asvit.report.side_by_side.record import SideBySideReport, read_side_by_side
from asvit.report.side_by_side.tables import missing_list, networks_table
from asvit.runs.records import REPORT, flat

SIDE_BY_SIDE_PAGE = "side-by-side.html"
"""File of the page, beside the report."""


def side_by_side_page(directory: Path) -> Page:
    """Page of the family of a search, growth or design beside other networks, from a run directory."""
    report = read_side_by_side(directory)
    result = report.result
    title = f"Designed and published networks side by side, for {images(result.task)}"
    words = "None of them is trained: accuracies are unknown here."
    return Page(
        title,
        [
            *head(report.run, title, words, [result.seed]),
            tag("p", tag("a", "Report of the design", href=REPORT)),
            tag("h2", "Networks"),
            tag("p", _how(report)),
            networks_table(report),
            missing_list(report),
            *_charts(report),
            settings(_everything(report), "All settings and versions"),
        ],
    )


def link_to_side_by_side() -> Markup:
    """Link to the page of networks side by side, for the report of the design."""
    link = tag("a", "the family beside other networks", href=SIDE_BY_SIDE_PAGE)
    return tag("p", "On a page of its own: ", link, ".")


def _how(report: SideBySideReport) -> str:
    """Words on how the numbers were measured."""
    result = report.result
    repeats = result.settings.repeats
    words = []
    if any(METRICS[name].in_use for name in result.metrics):
        batch = count(result.use.batch_size, "image")
        words.append(f"In use: batches of {batch} in {result.use.precision}. Memory is the peak of one.")
    if repeats == 1:
        words.append("A single repeat has no error bars.")
    else:
        words.append(
            f"± is the standard error over {repeats} repeats, each of all networks in turn and with weights of its own."
        )
    return " ".join(words)


def _charts(report: SideBySideReport) -> list[Markup]:
    """Every measure over parameters, but for what says the same as another."""
    names = [
        name
        for name in report.result.metrics
        if name not in ("params", "throughput") and any(has_both(row, name) for row in report.result.rows)
    ]
    if not names:
        return []
    caption = "Diamonds are designed. Point at a network for its figures."
    charts = [
        figure(name, METRICS[name].title[0].upper() + METRICS[name].title[1:], caption, measure_chart(report, name))
        for name in names
    ]
    return [tag("h2", "By size"), tag("div", *charts, class_="charts")]


def _everything(report: SideBySideReport) -> list[tuple[str, object]]:
    result = report.result
    fields = {name: vars(value) for name, value in (("measure", result.settings), ("use", result.use))}
    return list(flat({**fields, "environment": result.environment, "photographs": result.photographs}).items())
