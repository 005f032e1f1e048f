"""Symbols of measures with their sub- and superscripts in the pictures of charts, whose texts are plain."""

import re

from asvit.measure.metrics import METRICS
from asvit.report.markup import Markup, join, parts_of_symbol, symbol

SMALLER, RAISED, LOWERED = 0.72, -0.45, 0.3
"""Size of a sub- or superscript over that of the text, and how far down it is moved, in its own size."""
ZERO_WIDTH = "\N{ZERO WIDTH SPACE}"


def marked_symbols() -> list[str]:
    """Symbols that are written with ``^`` or ``_`` in plain text, the longest first.

    >>> marked_symbols()[:2], "L^E" in marked_symbols(), "κ" in marked_symbols()
    (['L^E_norms', 'H_layers'], True, False)
    """
    marked = {metric.symbol for metric in METRICS.values() if re.search(r"[\^_]", metric.symbol)}
    return sorted(marked, key=lambda symbol: (-len(symbol), symbol))


def drawn_symbols() -> dict[str, object]:
    """What the script of a page needs to typeset symbols as :func:`typeset_svg` does."""
    return {"written": marked_symbols(), "smaller": SMALLER, "raised": RAISED, "lowered": LOWERED}


def typeset_svg(picture: str) -> str:
    """A picture with every symbol in its texts typeset.

    >>> typeset_svg("<text>L^E up</text>").replace(ZERO_WIDTH, "")
    '<text>L<tspan dy="-0.45em" font-size="72%">E</tspan><tspan dy="0.324em"></tspan> up</text>'
    """
    return re.sub(r">([^<>]+)<", lambda found: f">{_in_svg(found[1])}<", picture)


def typeset_html(text: str) -> Markup:
    """Words with every symbol in them typeset.

    >>> typeset_html("L^E < κ_Θ")
    'L<sup>E</sup> &lt; κ<sub>Θ</sub>'
    """
    by_symbol = {metric.symbol: symbol(metric) for metric in METRICS.values()}
    return join(by_symbol.get(part, part) for part in re.split(f"({_pattern()})", text))


def _pattern() -> str:
    return "|".join(map(re.escape, marked_symbols()))


def _in_svg(text: str) -> str:
    """Text with every symbol in it as elements; the last of each, even at the end of a line, goes back to the line."""
    return re.sub(_pattern(), lambda found: _elements(found[0]), text)


def _elements(symbol: str) -> str:
    base, *marked = parts_of_symbol(symbol)
    written, away = base, 0.0
    for part in marked:
        move = RAISED if part[0] == "^" else LOWERED
        written += f'<tspan dy="{move - away:.3g}em" font-size="{SMALLER:.0%}">{part[1:]}</tspan>'
        away = move
    return f'{written}<tspan dy="{-away * SMALLER:.3g}em">{ZERO_WIDTH}</tspan>'
