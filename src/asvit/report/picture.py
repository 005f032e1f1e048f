"""One wide picture of a run."""

from io import BytesIO
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from PIL import Image

from asvit.errors import UserError
from asvit.records import write_file
from asvit.report.growth_charts import measures_chart
from asvit.report.plane import VEGA_LITE, chart, layered
from asvit.report.read import Report, read_report
from asvit.report.search_charts import entropy_chart, topologies_chart
from asvit.report.theme import LIGHT

WIDTH, HEIGHT = 840, 240
"""Of all panels together, and of one, in points; a PNG has two pixels a point."""


def write_picture(directory: Path, target: Path) -> Path:
    """Draw a run for a first glance: entropy over steps, measured topologies, growth with the family.

    Args:
        directory: run directory of search, grow or design.
        target: file to write, ``.png`` or ``.svg``.

    Raises:
        UserError: the run has no result, or the picture is of another kind.
    """
    specification = _panels(read_report(directory)).to_dict()
    match target.suffix:
        case ".png":
            content = _with_palette(vl_convert.vegalite_to_png(specification, VEGA_LITE, scale=2, config=_config()))
        case ".svg":
            content = vl_convert.vegalite_to_svg(specification, VEGA_LITE, config=_config()).encode()
        case _:
            raise UserError(f"cannot draw {target}: expected a name that ends in .png or .svg")
    write_file(target, content)
    return target


def _config() -> dict[str, Any]:
    legend = LIGHT["legend"] | {"orient": "bottom"}  # so that the panels' titles stand in one line
    return LIGHT | {"background": "white", "font": "sans-serif", "padding": 12, "legend": legend}


def _with_palette(png: bytes) -> bytes:
    """The same picture in 256 colours: a quarter of the bytes."""
    content = BytesIO()
    Image.open(BytesIO(png)).convert("RGB").quantize(256).save(content, "PNG", optimize=True)
    return content.getvalue()


def _panels(report: Report) -> alt.HConcatChart:
    panels: list[tuple[str, alt.LayerChart]] = []
    if report.searches:
        panels.append(("Search: the policy's entropy", entropy_chart(report.searches)))
    if any(measurement.valid for _, measurement in report.topologies_measured):
        panels.append(("Topologies measured, none trained", topologies_chart(report.searches, report.task)))
    grown, task = report.grown, report.task
    if grown is not None and any(measurement.valid for _, measurement in grown.measured):
        panels.append(("Growth to every budget", measures_chart(grown, task, "params", "length")))
        if not report.searches:
            panels.append(("Both measures", measures_chart(grown, task, "ntk", "length")))
    if not panels:
        raise UserError("nothing to draw: no network was valid; repeat the job with other images or another topology")
    sized = [
        layered(*panel.layer, _heading(title))
        .resolve_scale(color="independent")
        .properties(width=WIDTH // len(panels), height=HEIGHT)
        for title, panel in panels
    ]
    return alt.hconcat(*sized, spacing=36).resolve_scale(color="independent", shape="independent", fill="independent")


def _heading(title: str) -> alt.Chart:
    """A title at the same height over every panel, which vega's own is not."""
    text = chart([{"title": title}]).mark_text(align="left", fontSize=14, fontWeight="bold")
    return text.encode(x=alt.value(0), y=alt.value(-18), text="title:N")
