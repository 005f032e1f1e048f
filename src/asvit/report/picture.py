"""One wide picture of a run."""

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from asvit.errors import UserError
from asvit.report.charts import VEGA_LITE, Panel, chart
from asvit.report.kinds import kind_of
from asvit.report.symbols import typeset_svg
from asvit.report.theme import LIGHT
from asvit.runs.read import fitting_records
from asvit.runs.records import write_file

SIGNATURE = "asvit.report.write_picture"
"""Words in a picture by which it is known, and may be drawn again."""
WIDTH, HEIGHT = 840, 240
"""Width of all panels together and height of each, in points; a PNG has two pixels per point."""


def write_picture(directory: Path, target: Path) -> Path:
    """Draw a run for a first glance: search and growth of a design, accuracy or precision and loss of a training.

    Args:
        directory: run directory of search, grow, design, train, detect train or study.
        target: file to write, ``.png`` or ``.svg``.

    Raises:
        UserError: the run has no result, there is nothing to draw, the picture is of another kind, or something that
            asvit has not drawn is there already.
    """
    if os.path.lexists(target) and not _is_drawn(target):
        raise UserError(f"{target} is there already and was not drawn by asvit: choose another name")
    with fitting_records(directory):
        specification = _side_by_side(kind_of(directory).panels(directory)).to_dict()
    picture = typeset_svg(vl_convert.vegalite_to_svg(specification, VEGA_LITE, config=_config()))
    match target.suffix:
        case ".png":
            content = _with_palette(vl_convert.svg_to_png(picture, scale=2))
        case ".svg":
            content = f"{picture}\n<!-- {SIGNATURE} -->\n".encode()
        case _:
            raise UserError(f"cannot draw {target}: expected a name that ends in .png or .svg")
    write_file(target, content)
    return target


def _is_drawn(target: Path) -> bool:
    """Whether a file is a picture of :func:`write_picture`."""
    return target.is_file() and SIGNATURE.encode() in target.read_bytes()


def _config() -> dict[str, Any]:
    legend = LIGHT["legend"] | {"orient": "bottom"}  # so that the panels' titles stand in one line
    return LIGHT | {"background": "white", "font": "sans-serif", "padding": 12, "legend": legend}


def _with_palette(png: bytes) -> bytes:
    """A picture in 256 colours: a quarter of the bytes."""
    content = BytesIO()
    about = PngInfo()
    about.add_text("Software", SIGNATURE)
    Image.open(BytesIO(png)).convert("RGB").quantize(256).save(content, "PNG", optimize=True, pnginfo=about)
    return content.getvalue()


def _side_by_side(panels: Sequence[Panel]) -> alt.HConcatChart:
    sized = [(panel + _heading(title)).properties(width=WIDTH // len(panels), height=HEIGHT) for title, panel in panels]
    row = alt.hconcat(*sized, spacing=36)
    return row.resolve_scale(color="independent", shape="independent", fill="independent", opacity="independent")


def _heading(title: str) -> alt.Chart:
    """A title at the same height over every panel, which vega's own is not."""
    text = chart([{"title": title}]).mark_text(align="left", fontSize=14, fontWeight="bold")
    return text.encode(x=alt.value(0), y=alt.value(-18), text="title:N")
