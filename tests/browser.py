"""A page in a real browser: what it asks for, what goes wrong, and what there is to see.

Debian's chromium, driven by playwright. Of three ways it is the one that needs a single package of each side, works
offline, and reports console, exceptions and requests by itself: selenium needs a driver of the browser's own version,
and the bare protocol over a socket a client of ours.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, ElementHandle, Page, TimeoutError, sync_playwright

from asvit.report.theme import DARK, LIGHT

CHROMIUM = shutil.which("chromium")
LABELS = {"light": LIGHT["axis"]["labelColor"], "dark": DARK["axis"]["labelColor"]}
"""Colour of the labels of a chart, by which it is known to be drawn for a scheme."""
LOOK, PLACES = ((Path(__file__).parent / name).read_text() for name in ("look.js", "places.js"))

NOTHING = ("", "null", "undefined", "NaN")
UNFOLD = "() => document.querySelectorAll('details').forEach((folded) => { folded.open = true; })"
DRAWN = """(colour) => [...document.querySelectorAll(".chart")].every((place) =>
    [...place.querySelectorAll(".role-axis-label text")].some((text) => text.getAttribute("fill") === colour))"""
TOOLTIP = """() => {
    const shown = document.querySelector("#vg-tooltip-element.visible");
    if (!shown) return null;
    const { left, right } = shown.getBoundingClientRect();
    const rows = [...shown.querySelectorAll("tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
    return { rows, inside: left >= 0 && right <= innerWidth };
}"""


@dataclass
class Sight:
    """What was seen of a page at one width; faults in words, each with the first colour scheme that shows it."""

    charts: dict[str, int] = field(default_factory=dict)
    """Marks of every chart, the fewest of all schemes."""
    errors: dict[str, str] = field(default_factory=dict)
    """Errors and warnings of the console, exceptions that nothing caught, charts that were not drawn in time."""
    requests: dict[str, str] = field(default_factory=dict)
    """What was asked of a network."""
    wide: dict[str, str] = field(default_factory=dict)
    """What reaches past the right edge of the page."""
    overlapping: dict[str, str] = field(default_factory=dict)
    """Words of a chart that meet others."""
    cut: dict[str, str] = field(default_factory=dict)
    """Words of a chart that reach past its edge."""
    tooltips: dict[str, str] = field(default_factory=dict)
    """Marks with no tooltip, another's, one without words, or one that leaves the window."""

    @property
    def faults(self) -> dict[str, str]:
        """All of them."""
        kinds = (self.errors, self.requests, self.wide, self.overlapping, self.cut, self.tooltips)
        return {words: scheme for known in kinds for words, scheme in known.items()}

    def add(self, kind: str, scheme: str, faults: Iterable[str]) -> None:
        """Faults that were not seen in an earlier scheme."""
        known = getattr(self, kind)
        for words in faults:
            known.setdefault(words, scheme)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's chromium without a window."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu", "--disable-quic"])
        yield browser
        browser.close()


def look_at(browser: Browser, path: Path, width: int, schemes: Sequence[str]) -> Sight:
    """Open a file, unfold all that is folded, and look at it in one colour scheme after the other.

    Args:
        browser: browser to open it in.
        path: file of the page.
        width: width of the window in pixels.
        schemes: ``light``, ``dark``.
    """
    sight = Sight()
    scheme = schemes[0]

    def seen(kind: str, words: str) -> None:
        sight.add(kind, scheme, [words])

    with browser.new_context(viewport={"width": width, "height": 900}, offline=True) as context:
        page = context.new_page()
        page.on("console", lambda said: said.type in ("error", "warning") and seen("errors", said.text))
        page.on("pageerror", lambda error: seen("errors", f"not caught: {error}"))
        page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or seen("requests", asked.url))
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            if scheme == schemes[0]:
                page.goto(path.as_uri())
                page.evaluate(UNFOLD)
            try:
                page.wait_for_function(DRAWN, arg=LABELS[scheme])
            except TimeoutError:
                seen("errors", "charts are not drawn")
            _look(sight, page, scheme)
    return sight


def _look(sight: Sight, page: Page, scheme: str) -> None:
    page.mouse.move(0, 0)  # away from what it pointed at in another scheme
    found = page.evaluate(LOOK)
    for name, marks in found.pop("marks").items():
        sight.charts[name] = min(marks, sight.charts.get(name, marks))
    for kind, faults in found.items():
        sight.add(kind, scheme, faults)
    for chart in page.query_selector_all(".chart"):
        sight.add(
            "tooltips", scheme, (f"{chart.get_attribute('id')}: {words}" for words in _tooltip_faults(page, chart))
        )


def _tooltip_faults(page: Page, chart: ElementHandle) -> Iterator[str]:
    """Point at every kind of mark and compare its tooltip with what the mark holds."""
    places = chart.evaluate(PLACES)
    if not places:
        yield "no mark to point at has a tooltip"
    for place in places:
        page.mouse.move(0, 0)  # away, or an earlier tooltip lies over the mark
        page.mouse.move(place["x"], place["y"])
        try:
            page.wait_for_function(TOOLTIP, timeout=5_000)
        except TimeoutError:
            yield f"{place['kind']} does not answer"
            continue
        shown = page.evaluate(TOOLTIP)
        says = {key: value for key, value in shown["rows"]}
        if list(map(_plain, says.values())) != list(map(_plain, map(str, place["says"].values()))):
            yield f"{place['kind']} says {says} instead of {place['says']}"
        if nothing := [key for key, value in says.items() if not key or value in NOTHING]:
            yield f"{place['kind']} says nothing of {', '.join(nothing)}"
        if not shown["inside"]:
            yield f"{place['kind']}: the tooltip leaves the window"


def _plain(words: str) -> str:
    """Words without the marks of superscripts and subscripts, which a tooltip sets as such."""
    return words.replace("^", "").replace("_", "")
