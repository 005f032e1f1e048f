"""The house has eight floors: imports go strictly down, or stay within a room; and what needs no torch loads none."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import asvit

ROOT = Path(asvit.__file__).parent

# From the ground up. The files of the root that stand on the ground count as one room.
FLOORS = [
    ["complexity", "root"],
    ["runs"],
    ["networks"],
    ["measure", "training"],
    ["design", "detection"],
    ["study", "export"],
    ["report"],
    ["commands"],
]
FLOOR = {room: floor for floor, row in enumerate(FLOORS) for room in row}

# Files of the root: those on the ground, of which one is a folder, and the doors, which everything stands behind and
# nothing imports.
GROUND = {"errors", "units", "files", "listing", "images", "contents"}
DOORS = {"__init__", "__main__", "api", "zoo"}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in ROOT.rglob("*.py")}


def room_of(module: str) -> str:
    first = module.split(".")[1]
    return "root" if first in GROUND else first


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports, at the top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("asvit"):
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in FILES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.startswith("asvit")}
    return found


HOUSE = {name: path for name, path in FILES.items() if name.count(".") and name.split(".")[1] not in DOORS}
IMPORTS = {module: imports_of(path) for module, path in HOUSE.items()}


def test_the_root_holds_the_ground_and_the_doors_only():
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert {path.stem for path in ROOT.glob("*.py")} | (folders & GROUND) == GROUND | DOORS
    assert folders - GROUND | {"root"} == set(FLOOR)


def test_imports_go_strictly_down_or_stay_in_a_room():
    wrong = [
        f"{module} imports {imported}"
        for module, some in IMPORTS.items()
        for imported in some
        if imported == "asvit"
        or imported.split(".")[1] in DOORS
        or (room_of(imported) != room_of(module) and FLOOR[room_of(imported)] >= FLOOR[room_of(module)])
    ]
    assert wrong == []


def test_no_files_import_each_other_in_a_circle():
    graphlib.TopologicalSorter({m: some - {m} for m, some in IMPORTS.items()}).prepare()


def test_files_stay_short():
    long = {module: len(path.read_text().splitlines()) for module, path in FILES.items()}
    assert {module: lines for module, lines in long.items() if lines > 400} == {}


def test_complexity_imports_nothing_of_ours():
    assert all(
        i.startswith("asvit.complexity") for m in IMPORTS if m.startswith("asvit.complexity") for i in IMPORTS[m]
    )
    assert IMPORTS["asvit.networks.space"] == {"asvit.errors"}


def pages() -> list[str]:
    """Modules that draw reports, of jobs that need no torch to be read."""
    rooms = ("design", "side_by_side", "study", "training", "detection")
    return [f"asvit.report.{path.relative_to(ROOT / 'report').with_suffix('').as_posix().replace('/', '.')}"
            for room in rooms for path in sorted((ROOT / "report" / room).glob("[!_]*.py"))]  # fmt: skip


WITHOUT_TORCH = {
    "the package": ["asvit"],
    "the ground": ["asvit.errors", "asvit.units", "asvit.files", "asvit.listing"],
    "runs": ["asvit.runs.records", "asvit.runs.read", "asvit.runs.progress", "asvit.runs.job", "asvit.runs.next_steps"],
    "networks as text": [
        "asvit.networks.space",
        "asvit.networks.architecture",
        "asvit.networks.named",
        "asvit.networks.drawing",
    ],
    "measures as records": ["asvit.measure.estimates", "asvit.measure.metrics", "asvit.measure.settings"],
    "design": [
        f"asvit.design.{name}" for name in ("search", "grow", "ranking", "policy", "family", "settings", "words")
    ],
    "commands": ["asvit.commands.app"],
    "reports": ["asvit.report", *pages()],
}


@pytest.mark.parametrize("what", WITHOUT_TORCH)
def test_loads_no_torch(what):
    program = "\n".join(f"import {module}" for module in WITHOUT_TORCH[what])
    run(f"{program}\nimport sys\nassert 'torch' not in sys.modules")


def test_help_of_every_command_loads_no_torch():
    from asvit.commands.app import app

    names = [name for name in app if not name.startswith("-")]
    assert len(names) >= 13
    run(
        "from asvit.commands.app import main\nimport contextlib, io, sys\n"
        f"for name in {names!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        main([name, '--help'])\n"
        "assert 'torch' not in sys.modules"
    )


def test_design_on_a_fake_measure_loads_no_torch():
    run(
        "from asvit.design.family import FamilySettings, grow_family\n"
        "from asvit.design.budget import Budget\n"
        "from asvit.design.recipes import RECIPES\n"
        "from asvit.design.search import SearchSettings, search\n"
        "from asvit.measure.estimates import Estimate, Measurement\n"
        "from asvit.networks.architecture import Task\n"
        "def measure(architecture):\n"
        "    values = {'length': float(architecture.params()), 'ntk': 1.0}\n"
        "    return Measurement(str(architecture), {name: Estimate.of([value]) for name, value in values.items()})\n"
        "run = search(measure, SearchSettings(steps=5), seed=0)\n"
        "family = FamilySettings.of(RECIPES['smoke'], Task(), [Budget.parse('params', '6M')])\n"
        "result = grow_family(run.start('best-ranked'), family, measure=measure, measure_proxy=measure)\n"
        "assert 4_000_000 < result.family[0].params <= 6_000_000\n"
        "import sys\nassert 'torch' not in sys.modules"
    )


def run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_the_command_line_knows_options_prints_results_and_reads_what_was_said():
    wrong = []
    for module, path in HOUSE.items():
        if room_of(module) == "commands":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=[ast.alias(name=name)]) if name.startswith("cyclopts"):
                    wrong.append(f"{module} imports cyclopts")
                case ast.ImportFrom(module=str(name)) if name.startswith(("cyclopts", "rich.table")):
                    wrong.append(f"{module} imports {name}")
                case ast.Attribute(value=ast.Name("sys"), attr="argv" | "stdout"):
                    wrong.append(f"{module} uses sys.{node.attr}")
                case ast.Call(func=ast.Name("print")) if module != "asvit.runs.progress":  # which tells, on stderr
                    wrong.append(f"{module} prints")
    assert wrong == []
