"""README and the site's pages do what they show: code and commands run and say what is shown; tables are the code's."""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import commands
import pytest
from image_sets import image_folder

from asvit.commands.app import app
from asvit.commands.said import joined_image_size
from asvit.measure.metric_functions import FUNCTIONS
from asvit.measure.metrics import METRICS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python.*\n((?:(?!```).*\n)*)```", re.MULTILINE)
PAGES = [str(page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md")) if BLOCK.search(page.read_text())]

SHELL = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
"""Pages on which commands are shown."""

SAYS = {
    "index.md": ["500k parameters 6,4,6,", "Estimate(mean="],
    "method.md": ["4,556,250 topologies", "15.332 nats", "L^E = ", "| 8 | 2 | 784 | 60 |", "saves "],
    "export.md": [],
    "guide-study.md": [],
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


def lines_of(block: str) -> Iterator[list[str]]:
    """Commands of a block for the shell, each as its words, without comments."""
    for line in block.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in shlex.split(line, comments=True):
            if word == "&&":
                yield words
                words = []
            else:
                words.append(word)
        if words:
            yield words


def arguments_of(words: list[str]) -> list[str] | None:
    """What is said to asvit in a command, be it under `uv run` or torchrun; None: it is another command."""
    if "asvit" not in words or words[0] not in ("asvit", "uv"):
        return None
    return [word.replace("$seed", "0") for word in words[words.index("asvit") + 1 :]]


def said_on(page: Path) -> list[list[str]]:
    """What is said to asvit on a page."""
    found = [arguments_of(words) for block in SHELL.findall(page.read_text()) for words in lines_of(block)]
    return [arguments for arguments in found if arguments]


def block_with(page: Path, words: str) -> str:
    """The block for the shell that holds some words."""
    return next(block for block in SHELL.findall(page.read_text()) if words in block)


def run_all(block: str, folder: Path, *, data: str = "", add: dict[str, list[str]] | None = None) -> dict[str, str]:
    """Run a block in a folder, with more options for some commands; what each command printed, the last by its name."""
    said = {}
    for words in lines_of(block):
        arguments = arguments_of([word.replace("$DATA", data) for word in words])
        if arguments is not None:
            done = commands.run(shortened(arguments, add or {}), folder)
            said[arguments[0]] = done.stdout
        elif words[:3] == ["uv", "run", "python"]:
            done = subprocess.run([sys.executable, *words[3:]], cwd=folder, capture_output=True, text=True)
        else:
            assert words == [f"DATA={data}"]
            continue
        assert done.returncode == 0, (words, done.stderr)
    return said


def shortened(arguments: list[str], add: dict[str, list[str]]) -> list[str]:
    """A command with more options, which take the place of those that it has."""
    more = [] if "--plan" in arguments else add.get(arguments[0], [])
    kept = list(arguments)
    for option in more[::2]:
        if option in kept:
            place = kept.index(option)
            del kept[place : place + 2]
    return [*kept, *more]


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


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.name)
def test_commands_of_a_page_are_understood(page):
    for arguments in said_on(page):
        app.parse_args(joined_image_size(arguments), exit_on_error=False, print_error=False)


def test_commands_are_found_where_they_are_shown():
    found = {str(page.relative_to(ROOT)): len(said_on(page)) for page in SHOWN}
    few = [name for name, number in found.items() if number < 3 and name != "docs/guide-promises.md"]  # programs, there
    assert [name for name in few if name.startswith("docs/guide-")] == []
    assert not {"README.md", "docs/index.md", "docs/recipes.md", "docs/export.md"} & set(few)
    assert sum(found.values()) > 80


def test_words_of_a_command_are_taken_apart():
    block = (
        "pip install uv && uv run asvit design   # minutes\nuv run torchrun --standalone \\\n  -m asvit train small\n"
    )
    assert [arguments_of(words) for words in lines_of(block)] == [None, ["design"], ["train", "small"]]
    assert arguments_of(["pip", "install", "asvit"]) is None
    assert shortened(["train", "x", "--recipe", "digits"], {"train": ["--recipe", "smoke"]})[2:] == [
        "--recipe",
        "smoke",
    ]


def test_commands_that_take_seconds_run(tmp_path):
    short = [
        said for page in SHOWN for said in said_on(page) if said[0] == "describe" and "runs/" not in " ".join(said)
    ]
    short += [["train", "seed", "--data", "digits", "--recipe", "smoke"]]
    assert short[-1] in said_on(DOCS / "recipes.md")
    assert len(short) >= 4
    for arguments in {shlex.join(arguments): arguments for arguments in short}.values():
        done = commands.run(arguments, tmp_path)
        assert done.returncode == 0, (arguments, done.stderr)


def test_journey_of_the_readme_on_digits(tmp_path):
    block = block_with(ROOT / "README.md", "DATA=digits")
    said = run_all(
        block, tmp_path, data="digits", add={"design": ["--recipe", "smoke"], "train": ["--recipe", "smoke"]}
    )
    assert "of digits, val: top-1" in said["evaluate"]
    assert re.match(r"four.png: \d \d+\.\d%, ", said["predict"])
    assert {path.name for path in (tmp_path / "exported").iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
    }
    assert {"model.onnx", "model.pt2"} <= {path.name for path in (tmp_path / "graphs").iterdir()}


@pytest.mark.parametrize(
    "page",
    ["README.md", *(pytest.param(f"docs/{name}.md", marks=pytest.mark.slow) for name in ("index", "guide-images"))],
)
def test_journey_on_images_of_ones_own(page, tmp_path):
    image_folder(tmp_path / "path/to/images")
    block = block_with(ROOT / page, "--images path/to/images")
    add = {"design": ["--recipe", "smoke", "--threads", "1"], "train": ["--epochs", "1", "--threads", "1"]}
    said = run_all(block, tmp_path, add=add)
    (run,) = (path.parent for path in tmp_path.glob("runs/*/checkpoints"))
    task = json.loads((run / "result.json").read_text())["task"]
    assert task == {"image_size": [96, 96], "in_chans": 3, "num_classes": 3}
    if "predict" in said:
        assert len(said["predict"].splitlines()) == 9
    assert {"design", "train"} < said.keys()


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


def test_page_of_commands_holds_every_command_and_option():
    page = hook("commands").on_page_markdown(text("commands.md"))
    golden = json.loads((ROOT / "tests" / "golden" / "commands.json").read_text())
    parts = dict(
        zip(re.findall(r"^## asvit (.*) {:", page, re.M), re.split(r"^## asvit .*$", page, flags=re.M)[1:], strict=True)
    )
    assert parts.keys() == golden.keys()
    for command, arguments in golden.items():
        assert f"](#asvit-{command.replace(' ', '-')})" in page
        options = [name for argument in arguments for name in argument["names"]]
        assert [name for name in options if not re.search(rf"^\| `.*{name}\b.*` \| \S", parts[command], re.M)] == []
    assert "```text\nasvit export --out PATH [OPTIONS] NETWORK\n```" in parts["export"]
    assert "| `--tolerance FLOAT` | Largest absolute difference" in parts["export"]
    assert "| `--seed INT` | Random seed, the number that all randomness follows from. | 0 |" in parts["design"]
    assert "| `--data STR` | " in parts["train"]
    assert parts["train"].count("| required |") == 2
    assert "annotations/\\*train\\*.json" in parts["detect train"]
    assert "```bash\nasvit describe small\n" in parts["describe"]


def test_page_of_commands_loads_no_torch():
    code = (
        f"import sys; sys.path.insert(0, {str(DOCS / 'hooks')!r}); import commands; "
        "assert len(commands.on_page_markdown('<!-- commands -->')) > 20_000; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("uri", "meta"), [("reference/design.md", {"search": {"boost": 0.2}}), ("index.md", {})])
def test_reference_comes_last_in_a_search(uri, meta):
    page = SimpleNamespace(file=SimpleNamespace(src_uri=uri), meta={})
    assert hook("search_order").on_page_markdown("words", page=page) == "words"
    assert page.meta == meta


def test_search_needs_no_server():
    config = (ROOT / "mkdocs.yml").read_text()
    assert "  - offline" in config
    assert "    - iframe-worker.js\n" in config
    assert "window.IFrameWorker = window.Worker = class" in (DOCS / "iframe-worker.js").read_text()


def test_links_out_of_the_docs_become_names_of_files():
    class Page:
        class file:
            src_uri = "results.md"

    class Config:
        docs_dir = str(DOCS)

    rename = hook("repository_links").on_page_markdown
    named = rename("[data](../README.md), [page](fidelity.md), [lost](../lost.md)", page=Page, config=Config)
    assert named == "data (`README.md`), [page](fidelity.md), [lost](../lost.md)"


def test_the_backslash_that_a_table_on_github_needs_is_not_on_the_site():
    page = r"<p><code>a\|b</code></p><table><td style='x'><code>8,2,3\|32</code> or \|</td></table>"
    seen = r"<p><code>a\|b</code></p><table><td style='x'><code>8,2,3|32</code> or \|</td></table>"
    assert hook("pipes").on_page_content(page) == seen


def test_damaged_files_that_a_page_counts_are_those_of_the_result_file():
    page = text("guide-promises.md")
    found = json.loads((ROOT / "benchmarks/results/fuzz.json").read_text())
    rows = re.findall(r"^\| (\w+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| (\d+) \|", page, re.M)
    counted = {name: [int(number.replace(",", "")) for number in numbers] for name, *numbers in rows}
    names = ("inputs", "read", "refused")
    in_file = {name: [*(one[key] for key in names), len(one["faults"])] for name, one in found["readers"].items()}
    assert counted == in_file
    assert f"{found['inputs']:,} files" in page


def test_kills_that_a_page_counts_are_those_of_the_result_file():
    page = text("guide-promises.md")
    found = json.loads((ROOT / "benchmarks/results/storm.json").read_text())
    kinds = ("lost", "differ", "processes", "files", "code", "words", "hangs")
    for signal in ("SIGINT", "SIGKILL", "SIGKILL of a helper", "SIGTERM"):
        rows = [row for row in found["counts"] if row["signal"] == signal]
        kills, resumed = (sum(row[name] for row in rows) for name in ("kills", "resumed"))
        assert f"| {signal} | {kills} | {resumed} | {sum(row[kind] for row in rows for kind in kinds)} |" in page
    assert f"{found['kills']} kills" in page
    assert f"{found['faults']} fault" in page
