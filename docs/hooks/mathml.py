"""Formulas of the pages as MathML, which browsers draw by themselves: no script, no font, nothing to load."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Replace what arithmatex has marked."""
    return FORMULA.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    latex = html.unescape(found[2]).strip()
    if found[1] == "div":
        return f'<div class="formula">{convert(latex, display="block")}</div>'
    return convert(latex)
