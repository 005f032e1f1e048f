"""The table of networks side by side, and the list of what is missing in it."""

from asvit.measure.compared import Row
from asvit.measure.metrics import METRICS
from asvit.measure.words import format_measure
from asvit.report.markup import Markup, join, symbol, table, tag
from asvit.report.parts import MOST_SHOWN, folded, unbroken, wrapped
from asvit.report.side_by_side.record import SideBySideReport
from asvit.report.side_by_side.verdict import named


def networks_table(report: SideBySideReport) -> Markup:
    """A row a network, by parameters where they were counted; the family's in bold, with what it was designed for."""
    missing = enumerate(report.missing, start=1)
    numbers = {(row.name, row.designed_for, name): str(number) for number, (row, name, _) in missing}
    metrics = report.result.metrics
    rows = [
        [_name(row), *(_cell(row, name, numbers.get((row.name, row.designed_for, name), "")) for name in metrics)]
        for row in report.by_size
    ]
    return table(["network", *map(_heading, metrics)], rows, class_="cards named")


def _heading(name: str) -> str:
    """What stands over a column: words for what has no symbol of its own."""
    metric = METRICS[name]
    return metric.title if metric.symbol.startswith("#") else symbol(metric)


def _name(row: Row) -> Markup:
    if row.designed_for is None:
        return named(row)
    return tag("div", tag("div", tag("strong", f"designed for {row.designed_for}")), named(row))


def _cell(row: Row, name: str, number: str) -> Markup:
    cell = row.cells[name]
    if cell.estimate is not None:
        return tag("span", unbroken(format_measure(name, cell.estimate)))
    return tag("span", "–", tag("sup", tag("a", number, href=f"#missing-{number}")), title=cell.missing or "")


def missing_list(report: SideBySideReport) -> Markup:
    """Why cells are empty; nothing where none are."""
    missing = report.missing
    if not missing:
        return Markup("")
    items = (
        tag("li", join([wrapped(row.name), ", ", symbol(METRICS[name]), ": ", reason]), id=f"missing-{number}")
        for number, (row, name, reason) in enumerate(missing, start=1)
    )
    summary = f"Why {len(missing)} of {len(report.result.rows) * len(report.result.metrics)} cells are empty"
    return folded(summary, tag("ol", *items), shown=len(missing) <= MOST_SHOWN)
