"""The page of a designed family beside other networks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from asvit.measure.metrics import METRICS
from asvit.networks.named import TIMM
from asvit.report.charts import LEAST, figure
from asvit.report.design.next import data_of
from asvit.report.design.tables import in_words
from asvit.report.markup import Markup, symbol, tag
from asvit.report.parts import Page, head, images, next_steps, settings
from asvit.report.side_by_side.charts import has_both, measure_chart
from asvit.report.side_by_side.record import SideBySideReport, read_side_by_side
from asvit.report.side_by_side.tables import missing_list, networks_table
from asvit.report.side_by_side.verdict import verdict
from asvit.runs.differences import flat
from asvit.runs.next_steps import Step, command
from asvit.runs.records import REPORT
from asvit.units import count

SIDE_BY_SIDE_PAGE = "side-by-side.html"
"""File of the page, beside the report."""


def side_by_side_page(directory: Path) -> Page:
    """Page of the family of a search, growth or design beside other networks, from a run directory."""
    report = read_side_by_side(directory)
    result = report.result
    title = f"Designed and published networks side by side, for {images(result.task)}"
    words = "What they cost, and what measures say of them with random weights, on one machine by one way of measuring."
    answer = [*verdict(report), next_steps(_steps(report, directory))]
    return Page(
        title,
        [
            *head(report.run, title, words, [result.seed], answer=answer),
            tag("p", tag("a", "Report of the design", href=REPORT)),
            tag("h2", "Networks"),
            *_how(report),
            networks_table(report),
            missing_list(report),
            *_charts(report),
            settings(_everything(report), "All settings and versions"),
        ],
    )


def _steps(report: SideBySideReport, directory: Path) -> Iterator[Step]:
    """Train a designed network, and the one beside it."""
    data = data_of(directory)
    row = next((row for row in report.result.rows if row.subject in report.files), None)
    if row is None:
        return
    yield "train the designed network", command("asvit", "train", report.files[row.subject], *data)
    other = report.next_in_size(row)
    if other is not None and (other.name.startswith(TIMM) or ":" not in other.name):
        yield "train the other alike", command("asvit", "train", other.name, *data, *_size(report))


def _size(report: SideBySideReport) -> list[str]:
    """The size of the images, which the designed network's file says and a name does not."""
    height, width = report.result.task.image_size
    return ["--image-size", str(height) if height == width else f"{height}x{width}"]


def link_to_side_by_side() -> Markup:
    """Link to the page of networks side by side, for the report of the design."""
    link = tag("a", "the family beside other networks", href=SIDE_BY_SIDE_PAGE)
    return tag("p", "On a page of its own: ", link, ".")


def _how(report: SideBySideReport) -> list[Markup]:
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
    measures = [name for name in result.metrics if not METRICS[name].counted and not METRICS[name].in_use]
    return [tag("p", " ".join(words)), *([_measures(report, measures)] if measures else [])]


def _measures(report: SideBySideReport, measures: Sequence[str]) -> Markup:
    """What measures were taken of, and how they may be compared."""
    words = [in_words(measures), " Every network was measured itself, at its full width"]
    if report.width_divisor > 1:
        words.append(f"; the report of the design has networks at 1/{report.width_divisor} of it, with other values")
    words.append(". ")
    if "length" in measures:
        words += [symbol(METRICS["length"]), " grows with the size of a network: compare it at like size only."]
    return tag("p", *words)


def _charts(report: SideBySideReport) -> list[Markup]:
    """Every measure over parameters, but for what says the same as another."""
    names = [
        name
        for name in report.result.metrics
        if name not in ("params", "throughput") and sum(has_both(row, name) for row in report.result.rows) >= LEAST
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
