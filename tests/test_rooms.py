"""No import points the wrong way through the rooms."""

import ast
from pathlib import Path

import asvit

ROOT = Path(asvit.__file__).parent

# From the bottom up: a room may import rooms of earlier rows and of its own row only.
ROOMS = [
    ["errors"],
    ["extras", "help"],
    ["networks", "complexity"],
    ["budget", "tables", "records", "zoo", "measure"],
    ["design", "training"],
    ["detection", "study"],
    ["report", "describe", "show", "progress", "doctor", "welcome"],
    ["export"],
    ["options"],
    ["train_options", "train_show", "detect_options", "detect_show", "study_options", "export_options"],
    ["job"],
    ["hand_over"],
    ["training_job", "study_show"],
    ["jobs", "train_jobs", "detect_jobs", "export_jobs", "side_by_side_jobs"],
    ["study_setup"],
    ["study_trainer"],
    ["study_training"],
    ["study_jobs", "contest_jobs"],
    ["train_cli", "detect_cli", "study_cli"],
    ["cli"],
    ["__main__"],
]
LEVEL = {room: level for level, row in enumerate(ROOMS) for room in row}


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports, at the top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("asvit"):
            found |= {node.module} if node.module != "asvit" else {f"asvit.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.startswith("asvit.")}
    return found


def room_of(module: str) -> str:
    return module.split(".")[1]


FILES = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]


def test_every_file_has_a_room():
    rooms = {path.relative_to(ROOT).with_suffix("").parts[0] for path in FILES}
    assert rooms == set(LEVEL)


def test_imports_point_up_the_list_only():
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in FILES
        for module in imports_of(path)
        if LEVEL[room_of(module)] > LEVEL[path.relative_to(ROOT).with_suffix("").parts[0]]
    ]
    assert wrong == []


def test_complexity_and_space_stand_alone():
    for path in [*(ROOT / "complexity").glob("*.py")]:
        assert all(module.startswith("asvit.complexity") for module in imports_of(path))
    assert imports_of(ROOT / "networks/space.py") == {"asvit.errors"}


def test_design_never_sees_a_tensor():
    for path in [*(ROOT / "design").glob("*.py"), ROOT / "networks/space.py", ROOT / "networks/architecture.py"]:
        tree = ast.parse(path.read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert "torch" not in names
