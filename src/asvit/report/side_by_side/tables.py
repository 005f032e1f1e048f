"""The table of networks side by side, and the list of what is missing in it."""

from asvit.measure.compared import Row
from asvit.measure.metrics import METRICS
from asvit.measure.words import format_measure
from asvit.report.markup import Markup, architecture, join, symbol, table, tag
from asvit.report.parts import MOST_SHOWN, folded, unbroken, wrapped
from asvit.report.side_by_side.record import SideBySideReport


def networks_table(report: SideBySideReport) -> Markup:
    """A row a network, by parameters where they were counted; the family's in bold, with what it was designed for."""
    missing = enumerate(report.missing, start=1)
    numbers = {(row.name, row.designed_for, name): str(number) for number, (row, name, _) in missing}
    metrics = report.result.metrics
    rows = [
        [_name(row), *(_cell(row, name, numbers.get((row.name, row.designed_for, name), "")) for name in metrics)]
        for row in report.by_size
    ]
    return table(["network", *(symbol(METRICS[name]) for name in metrics)], rows, class_="cards named")


def _name(row: Row) -> Markup:
    name = architecture(row.name) if "|" in row.name else wrapped(row.name)
    if row.designed_for is None:
        return name
    return tag("div", tag("div", tag("strong", f"designed for {row.designed_for}")), name)


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
