"""The site's pages do what they show: their code runs, and says what the page says; tables are the code's own."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from asvit.measure.metric_functions import FUNCTIONS
from asvit.measure.metrics import METRICS

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python.*\n((?:(?!```).*\n)*)```", re.MULTILINE)
PAGES = [str(page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md")) if BLOCK.search(page.read_text())]

SAYS = {
    "index.md": ["500k parameters 6,4,6,", "Estimate(mean="],
    "method.md": ["4,556,250 topologies", "15.332 nats", "L^E = ", "| 8 | 2 | 784 | 60 |", "saves "],
    "export.md": [],
    "python.md": ["500k parameters: 6,4,6,", "read True", "length: ", " ± "],
    "extend/metric.md": ["feature_spread", "best: "],
    "extend/space.md": ["810,000 of 4,556,250 topologies", "best ranked: "],
    "extend/scaling-rule.md": ["8,2,3,1|4,1,2,1|4,1,4,3|4,1,6,1|32,60", "8,2,3,2|4,1,2,2|4,1,4,6|4,1,6,2|32,84"],
}
"""What the code of each page prints, among other things."""


@pytest.fixture
def registry():
    """Metrics by name, as before afterwards."""
    before = dict(METRICS), dict(FUNCTIONS)
    yield
    for registered, names in zip((METRICS, FUNCTIONS), before, strict=True):
        registered.clear()
        registered.update(names)


def text(page: str) -> str:
    return (DOCS / page).read_text()


def blocks(page: str) -> list[str]:
    return BLOCK.findall(text(page))


def hook(name: str) -> ModuleType:
    """A hook of the build, which is no module of ours."""
    spec = importlib.util.spec_from_file_location(f"docs_hook_{name}", DOCS / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_with_code_is_looked_at():
    assert set(PAGES) == set(SAYS)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
@pytest.mark.parametrize("page", PAGES)
def test_code_of_a_page_runs_from_top_to_bottom(page, registry, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks(page):
        exec(compile(block, page, "exec"), namespace)
    printed = capsys.readouterr().out
    assert [words for words in SAYS[page] if words not in printed] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("page", ["extend/metric.md", "extend/space.md", "extend/scaling-rule.md"])
def test_pages_on_extending_show_one_short_example(page):
    (block,) = blocks(page)
    assert block.count("\n") < 40


def test_pictures_are_drawn_by_the_code_beside_them():
    fenced = [
        found for page in PAGES for found in re.findall(r"^(```python.*)\n((?:(?!```).*\n)*)```", text(page), re.M)
    ]
    drawing = [fence for fence, block in fenced if "vegalite_to_svg" in block]
    assert len(drawing) == 3
    assert all(fence.startswith('```python exec="true" source="above" html="true"') for fence in drawing)


def test_tables_hold_every_field_of_every_recipe():
    page = text("recipes.md")
    rows = [line for line in hook("recipes").on_page_markdown(page).splitlines() if line.startswith("| `")]
    table = {tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]) for row in rows}
    assert ("`steps`", "Steps of the search.", "500", "50", "4") in table
    assert ("`kernel_images`", "Images that the kernel sees.", "16", "16", "4") in table
    assert ("`image_size`", "Height and width in pixels.", "224x224", "160x160", "32x32", "32x32", "32x32") in table
    assert any(row[0] == "`detector.proposals`" and row[2:] == ("1000", "300", "50") for row in table)
    assert any(row[0] == "`train.epochs`" and row[2:] == ("300", "30", "2", "1") for row in table)
    assert [row[0] for row in table if not row[1]] == []


def test_links_out_of_the_docs_become_names_of_files():
    class Page:
        class file:
            src_uri = "results.md"

    class Config:
        docs_dir = str(DOCS)

    rename = hook("repository_links").on_page_markdown
    named = rename("[data](../README.md), [page](fidelity.md), [lost](../lost.md)", page=Page, config=Config)
    assert named == "data (`README.md`), [page](fidelity.md), [lost](../lost.md)"
