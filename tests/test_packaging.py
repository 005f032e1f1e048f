"""What a plain install brings is what its commands import, and each extra brings the rest of what it is named after."""

import ast
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import metadata, packages_distributions
from pathlib import Path
from typing import get_args

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import asvit
from asvit.errors import Extra, UserError, from_extra

ROOT = Path(asvit.__file__).parent
PROJECT = tomllib.loads((ROOT.parents[1] / "pyproject.toml").read_text())["project"]
BASE = "base"
"""A plain install, beside the names of the extras."""


def installed_by(extra: str) -> set[str]:
    """Distributions that an extra asks for, those of a plain install and of extras within it included."""
    asked = PROJECT["dependencies"] if extra == BASE else PROJECT["optional-dependencies"][extra]
    requirements = [Requirement(text) for text in asked]
    found = set() if extra == BASE else installed_by(BASE)
    for requirement in requirements:
        if requirement.name == "asvit":
            found = found.union(*(installed_by(inner) for inner in requirement.extras))
        else:
            found.add(canonicalize_name(requirement.name))
    return found


@dataclass(frozen=True)
class Import:
    """An import statement: of which module, and within which extra's block."""

    module: str
    extra: str | None


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    found: list[Import] = []

    def visit(node: ast.AST, extra: str | None) -> None:
        match node:
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                return
            case ast.With(items=[ast.withitem(ast.Call(ast.Name("from_extra"), [ast.Constant(str(name))]))]):
                extra = name
            case ast.Import(names):
                found.extend(Import(name.name, extra) for name in names)
            case ast.ImportFrom(str(module), names):
                found.append(Import(module, extra))
                found.extend(Import(f"{module}.{name.name}", extra) for name in names if file_of(module, name.name))
        for child in ast.iter_child_nodes(node):
            visit(child, extra)

    visit(ast.parse(path.read_text()), None)
    return tuple(found)


def file_of(*parts: str) -> Path | None:
    """Where a module of ours stands."""
    names = ".".join(parts).split(".")
    if names[0] != "asvit":
        return None
    path = ROOT.joinpath(*names[1:])
    return next((p for p in (path / "__init__.py", path.with_suffix(".py")) if p.exists()), None)


def reached(entry: Import, plain: str) -> dict[str, set[str]]:
    """Packages of others that an import leads to, by the install that is promised to have them."""
    found: dict[str, set[str]] = {}
    seen: set[Import] = set()
    waiting = [Import(entry.module, entry.extra or plain)]
    while waiting:
        now = waiting.pop()
        if now in seen:
            continue
        seen.add(now)
        assert now.extra is not None
        package = now.module.split(".")[0]
        if package == "asvit":
            path = file_of(now.module)
            if path is not None:
                waiting += [Import(one.module, one.extra or now.extra) for one in imports_of(path)]
        elif package not in sys.stdlib_module_names:
            found.setdefault(now.extra, set()).add(package)
    return found


DISTRIBUTIONS = packages_distributions()
REACHED = reached(Import("asvit.__main__", None), BASE)


@pytest.mark.parametrize("install", sorted(REACHED))
def test_what_a_command_imports_is_installed_with_it(install):
    brought = installed_by(install)
    lacking = [
        package
        for package in sorted(REACHED[install])
        if not brought & set(map(canonicalize_name, DISTRIBUTIONS[package]))
    ]
    assert lacking == []


def test_the_whole_package_is_looked_at():
    assert {"train", "detect", "study", "hf", BASE} <= set(REACHED)
    assert {"timm", "torchvision", "safetensors"} <= REACHED["train"]
    assert "faster_coco_eval" in REACHED["detect"]
    assert not {"timm", "torchvision", "sklearn", "optuna", "scipy"} & REACHED[BASE]


def test_the_public_names_ask_for_no_more_than_the_commands():
    python = reached(Import("asvit.api", None), BASE)
    assert python[BASE] <= REACHED[BASE]
    assert {"timm", "safetensors"} <= python["train"]


def test_a_plain_install_brings_nothing_that_is_not_imported():
    used = {canonicalize_name(name) for package in REACHED[BASE] for name in DISTRIBUTIONS[package]}
    assert installed_by(BASE) - used == set()


def test_extras_are_those_that_messages_name():
    extras = set(PROJECT["optional-dependencies"])
    assert extras == {*get_args(Extra), "all"}
    assert set(metadata("asvit").get_all("Provides-Extra") or []) == extras
    assert installed_by("all") == set().union(*(installed_by(extra) for extra in get_args(Extra)))


def test_a_missing_package_is_one_line_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with (
        pytest.raises(UserError, match=r"^the package optuna is missing.*`pip install \"asvit\[study\]\"`$"),
        from_extra("study"),
    ):
        import optuna  # noqa: F401


def test_a_torchvision_that_does_not_fit_is_one_line():
    with pytest.raises(UserError, match=r"^torch .* and torchvision .* do not fit"), from_extra("train"):
        raise RuntimeError("operator torchvision::nms does not exist")


@pytest.mark.parametrize("error", [RuntimeError("out of luck"), ModuleNotFoundError("asvit", name="asvit.gone")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error), match=str(error)), from_extra("train"):
        raise error
