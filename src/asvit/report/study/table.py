"""The page and the picture of scores judged by somebody else's accuracies."""

from pathlib import Path

from asvit.report.charts import Panel
from asvit.report.markup import Markup, tag
from asvit.report.parts import MOST_SHOWN, Page, folded, head, images, next_steps, wrapped
from asvit.report.study.panels import accuracy_panels
from asvit.report.study.sections import figures_section, networks_section, noise_section, scores_section
from asvit.report.symbols import typeset_html
from asvit.runs.next_steps import after_table
from asvit.runs.read import RunFile, read_result, read_run
from asvit.study.results import TableResult
from asvit.units import count


def table_page(directory: Path) -> Page:
    """Page of study table, from a run directory."""
    run = read_run(directory, RunFile)
    result = read_result(directory, run, TableResult)
    title = f"Do the measures predict the accuracies of {result.table}?"
    words = f"{count(len(result.points), 'network')}, measured with random weights for {images(result.task)}."
    answer = [
        tag("p", tag("strong", typeset_html(result.sentence))),
        tag("p", _found_out(result), class_="note"),
        next_steps(after_table()),
    ]
    noise = [] if result.variance is None else noise_section([("networks with several accuracies", result.variance)])
    parts = [*scores_section(result), *figures_section(result), *noise, *_missing(result), *networks_section(result)]
    return Page(title, [*head(run, title, words, [run.config.seed], answer=answer), *parts])


def _found_out(result: TableResult) -> str:
    words = "The accuracies are the file's: nothing was trained here, and how alike they were trained it does not say. "
    if result.variance is None:
        return words + "No network has several accuracies: how much of the differences is chance is not known either."
    several = count(result.variance.topologies, "network")
    return words + f"{several} have several accuracies, which tell what chance does."


def _missing(result: TableResult) -> list[Markup]:
    if not result.missing:
        return []
    left_out = len(result.missing)
    items = (tag("li", wrapped(f"{name}: {reason}")) for name, reason in result.missing.items())
    return [folded(f"{count(left_out, 'network')} left out", tag("ul", *items), shown=left_out <= MOST_SHOWN)]


def table_panels(directory: Path) -> list[Panel]:
    """Accuracy against the paper's measure, and against #params.

    Raises:
        UserError: there is too little to draw.
    """
    return accuracy_panels(read_result(directory, read_run(directory, RunFile), TableResult))
