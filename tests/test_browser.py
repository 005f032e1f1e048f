"""Pages in a real browser, on a phone and on a desk, light and dark: nothing fails, and nothing is out of place."""

from functools import cache
from itertools import product
from pathlib import Path

import pytest
from browser import CHROMIUM, LABELS, Sight, chromium, look_at
from coco_sets import coco_folder
from pages import PAGES
from test_cli import SMOKE, asvit
from test_contest import OPTIONS, SEED
from test_study_cli import BARE
from test_train_cli import RUN, TINY

from asvit.report.kinds import KINDS

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")

WIDTHS = (390, 1280)
PHONE = {"width": 390, "height": 844}
BOTH = ("light", "dark")
ROOT = Path(__file__).parents[1]
DOCS = sorted(page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md"))
OUT = ("--out", "run")
DETECT = ("detect", "train", TINY, "--data", "set", "--recipe", "smoke", "--threads", "1", "--workers", "0")
COMMANDS = {
    "search": ("search", *SMOKE[1:], "--runs", "2", *OUT),
    "design": (*SMOKE, "--params", "3M", "--latency", "10s", "--together", *OUT),
    "train": (*RUN, *OUT),
    "detect": (*DETECT, *OUT),
    "study": (*BARE, "--least-ratio", "0", "--workers", "1", *OUT),
    "study-search": ("study", "search", "--measurements", "4", "--trainings", "1", *OPTIONS),
    "study-scaling": ("study", "scaling", SEED, "--params", "3M", *OPTIONS),
}
"""The smallest run of every kind."""


def nothing(faults: dict[str, str]) -> None:
    assert not faults, "\n".join(f"{scheme}: {words}" for words, scheme in faults.items())


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """The page of a kind, made when it is first asked for."""
    return cache(lambda kind: PAGES[kind](tmp_path_factory.mktemp(kind)))


@pytest.fixture(scope="module", params=product(PAGES, WIDTHS), ids=lambda param: f"{param[0]}-{param[1]}")
def seen(request, browser, page_of) -> Sight:
    kind, width = request.param
    return look_at(browser, page_of(kind), width, BOTH)


def test_every_kind_of_page_is_looked_at():
    assert PAGES.keys() - KINDS.keys() == {"design-latency", "side-by-side"}
    assert KINDS.keys() <= PAGES.keys()


def test_the_console_is_empty(seen):
    nothing(seen.errors)


def test_nothing_is_asked_of_a_network(seen):
    nothing(seen.requests)


def test_every_chart_is_drawn(seen):
    assert seen.charts
    assert [name for name, marks in seen.charts.items() if not marks] == []


def test_nothing_is_wider_than_the_page(seen):
    nothing(seen.wide)


def test_words_of_a_chart_neither_meet_nor_are_cut(seen):
    nothing(seen.overlapping)
    nothing(seen.cut)


def test_marks_say_what_they_are_where_one_points(seen):
    nothing(seen.tooltips)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_screen_of_a_phone_reaches_what_is_next(browser, page_of, kind):
    with browser.new_page(viewport=PHONE) as page:
        page.goto(page_of(kind).as_uri())
        assert page.locator(".next .command").first.bounding_box()["y"] < PHONE["height"]


FAULTY = f"""<!doctype html><body><p style="width: 500px">wide</p>
<p style="overflow: auto"><b style="padding: 300px">held</b></p>
<div class="chart" id="chart-x"><svg class="marks" width="200" height="60"><g class="mark-symbol role-mark"></g>
<g class="role-axis-label"><text x="9" y="20" fill="{LABELS["light"]}">one</text><text x="15" y="24">two</text>
<text x="180" y="50">three</text><text x="180" y="50" opacity="0">hidden</text></g></svg></div>
<img src="http://asvit.invalid/picture.png" alt=""><script>throw new Error("thrown")</script>"""


def test_faults_are_seen(browser, tmp_path):
    (tmp_path / "page.html").write_text(FAULTY)
    seen = look_at(browser, tmp_path / "page.html", 390, ["light"])
    assert seen.charts == {"chart-x": 0}
    assert set(seen.errors) == {"not caught: thrown", "Failed to load resource: net::ERR_INTERNET_DISCONNECTED"}
    assert list(seen.requests) == ["http://asvit.invalid/picture.png"]
    assert list(seen.wide) == ["508 wide: body > p to 508"]
    assert list(seen.overlapping) == ['chart-x: "one" on "two"']
    assert list(seen.cut) == ['chart-x: "three"']
    assert list(seen.tooltips) == ["chart-x: no mark to point at has a tooltip"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
def test_pages_that_commands_write(browser, tmp_path, kind):
    coco_folder(tmp_path / "set", train=12, val=5)
    asvit(*COMMANDS[kind], cwd=tmp_path)
    for width in WIDTHS:
        seen = look_at(browser, tmp_path / "run" / "report.html", width, BOTH)
        nothing(seen.faults)
        assert all(seen.charts.values())


@pytest.fixture(scope="module")
def site() -> Path:
    """The documentation as `mkdocs build` has left it in site/."""
    index = ROOT / "site" / "index.html"
    newest = max((ROOT / "docs" / page).stat().st_mtime for page in DOCS)
    if not index.exists() or index.stat().st_mtime < newest:
        pytest.skip("site/ is not there or older than docs/: uv run --group docs mkdocs build")
    return index.parent


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", DOCS, ids=str)
def test_pages_of_the_documentation(browser, site, page, width):
    seen = look_at(browser, site / page.with_suffix(".html"), width, ["light"])
    nothing(seen.faults)
    assert len(seen.charts) == (ROOT / "docs" / page).read_text().count("vegalite_to_svg(")
    assert all(seen.charts.values())


@pytest.mark.slow
def test_the_documentation_is_searched_from_a_file(browser, site):
    with browser.new_context(offline=True) as context:
        page = context.new_page()
        page.goto((site / "index.html").as_uri())
        page.locator(".md-search__input").click()
        page.locator(".md-search__input").press_sequentially("value range")
        page.wait_for_selector(".md-search-result__item")
        assert page.locator(".md-search-result__item h1").first.inner_text() == "Your own images"
