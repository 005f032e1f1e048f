"""The page: a run directory as ``report.html``, which opens with no network."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template

import vl_convert

from asvit.measure.compared import SIDE_BY_SIDE
from asvit.report.charts import VEGA_LITE
from asvit.report.kinds import kind_of
from asvit.report.markup import escape, escape_json, join
from asvit.report.parts import Page, settings
from asvit.report.side_by_side.page import SIDE_BY_SIDE_PAGE, link_to_side_by_side, side_by_side_page
from asvit.report.symbols import drawn_symbols
from asvit.report.theme import DARK, LIGHT
from asvit.runs.differences import flat
from asvit.runs.read import fitting_records
from asvit.runs.records import REPORT, read_asked, write_file


def write_report(directory: Path) -> Path:
    """Write ``report.html`` into a run directory; the same records give the same bytes.

    Args:
        directory: run directory of a job that has a report.

    Returns:
        The page's path.

    Raises:
        UserError: the result is missing or damaged, or the job has no report.
    """
    with fitting_records(directory):
        shown = kind_of(directory).page(directory)
    asked = read_asked(directory)
    everything = flat({"config": asked["config"], "environment": asked["environment"]}).items()
    beside = [link_to_side_by_side()] if (directory / SIDE_BY_SIDE).exists() else []
    page = Page(shown.title, [*shown.parts, *beside, settings(everything, "All settings and versions")])
    return _write(directory / REPORT, page)


def write_side_by_side(directory: Path) -> Path | None:
    """Write the page on which the family stands beside other networks; None where nothing was measured for it.

    Args:
        directory: run directory of search, grow or design.

    Returns:
        The page's path.

    Raises:
        UserError: what was measured is damaged.
    """
    if not (directory / SIDE_BY_SIDE).exists():
        return None
    with fitting_records(directory):
        page = side_by_side_page(directory)
    return _write(directory / SIDE_BY_SIDE_PAGE, page)


def _write(path: Path, shown: Page) -> Path:
    page = Template(_file("page.html")).substitute(
        title=escape(shown.title),
        css=_file("page.css"),
        body=join(shown.parts),
        bundle=drawing_scripts(),
        themes=escape_json({"light": LIGHT, "dark": DARK}),
        symbols=escape_json(drawn_symbols()),
        script=_file("page.js"),
    )
    write_file(path, page.encode())
    return path


def _file(name: str) -> str:
    return files("asvit.report").joinpath(name).read_text(encoding="utf-8")


@cache  # it takes a second
def drawing_scripts() -> str:
    """The scripts that draw charts."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)
    return bundle.replace("</script", "<\\/script")
