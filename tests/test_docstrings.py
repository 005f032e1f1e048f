"""Every public function and class that a Python user meets first is shown in use."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import asvit

ROOT = Path(asvit.__file__).parent
WRITING = {"job", "against", "record"}
"""What works in run directories; tests of the commands show it."""
FIRST = [
    "networks/architecture", "networks/space", "networks/model",
    "measure/measurer", "measure/evaluate", "measure/metrics", "measure/subject", "measure/settings",
    "training/retokenize", "training/schedule",
    "study/scaling_rules", "study/published_rules", "study/rivals", "study/optuna_search", "study/trace",
    "study/comparison", "networks/named", "networks/building",
    *(
        f"{room}/{path.stem}"
        for room in ("design", "complexity")
        for path in sorted((ROOT / room).glob("[!_]*.py"))
        if path.stem not in WRITING
    ),
]  # fmt: skip

# Records, each beside the function that makes it and whose example shows it.
MADE_BY = {
    "asvit.study.comparison.MethodScore": "asvit.study.comparison.compare",
    "asvit.design.results.DesignResult": "asvit.design.pipeline.design",
    "asvit.design.family.GrowResult": "asvit.design.family.grow_family",
    "asvit.design.family.Member": "asvit.design.family.grow_family",
    "asvit.design.grow.Growth": "asvit.design.grow.grow",
    "asvit.design.grow.GrowthStep": "asvit.design.grow.grow",
    "asvit.study.scaling_rules.Band": "asvit.study.scaling_rules.random_band",
    "asvit.study.scaling_rules.Scaled": "asvit.study.scaling_rules.scaled_by",
    "asvit.design.search.SearchRun": "asvit.design.search.search",
    "asvit.design.search.SearchStep": "asvit.design.search.search",
    "asvit.design.search.Statistic": "asvit.design.search.statistics_of",
    "asvit.study.trace.Trace": "asvit.study.rivals.random_search",
    "asvit.study.trace.Trial": "asvit.study.rivals.random_search",
    "asvit.training.schedule.StageCost": "asvit.training.retokenize.stage_costs",
}

# What stands alone nowhere, and why.
WITHOUT_EXAMPLE = {
    "asvit.design.costs.no_meter": "refuses; Costs has it where no meter is given",
    "asvit.design.grow.told_nothing": "does nothing",
    "asvit.design.family.member_for": "a step of grow_family, whose example shows what it makes",
    "asvit.study.optuna_search.import_optuna": "imports a package or names the extra that has it",
    "asvit.study.rivals.Searcher": "protocol; SEARCHERS has its functions",
    "asvit.design.search.SearchResult": "what a command with several runs writes",
    "asvit.complexity.layerwise.tap": "hook of layerwise_kernel, which alone can call it",
    "asvit.measure.evaluate.admitted": "a step of Measurer, which refuses what it leaves out",
    "asvit.measure.settings.Measuring": "nothing but fields with defaults",
    "asvit.measure.settings.Settings": "nothing but fields with defaults",
    "asvit.measure.settings.Use": "nothing but fields with defaults",
    "asvit.measure.subject.ModelSubject": "abstract, as Subject",
    "asvit.measure.subject.Subject": "abstract; ArchitectureSubject and TimmSubject show it",
    "asvit.training.retokenize.follow_the_map": "sets switches of timm's models; part of retokenize",
    "asvit.training.retokenize.take_any_size": "the same, for models that were never coarse",
}

Definition = ast.FunctionDef | ast.ClassDef


def public(module: str) -> Iterator[tuple[str, Definition]]:
    """Public functions and classes that a module defines, by their full names."""
    for node in ast.parse((ROOT / f"{module}.py").read_text()).body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield f"asvit.{module.replace('/', '.')}.{node.name}", node


DEFINED = dict(entry for module in FIRST for entry in public(module))


def has_example(node: Definition) -> bool:
    own = [node, *(inner for inner in node.body if isinstance(node, ast.ClassDef) and isinstance(inner, Definition))]
    return any(">>> " in (ast.get_docstring(one) or "") for one in own)


def test_everything_public_has_an_example_or_a_reason():
    without = {name for name, node in DEFINED.items() if not has_example(node)}
    assert without == set(MADE_BY) | set(WITHOUT_EXAMPLE)


@pytest.mark.parametrize("maker", sorted(set(MADE_BY.values())))
def test_what_makes_a_record_has_an_example(maker: str):
    assert has_example(DEFINED[maker])


def test_docstrings_begin_with_one_line():
    wrong = []
    for name, node in DEFINED.items():
        first, *rest = (ast.get_docstring(node) or "").splitlines() or [""]
        if not first or (rest and rest[0]):
            wrong.append(name)
    assert wrong == []


INNER = ("commands", "report", "__main__")
"""What Python users do not call: the command line, and how pages are drawn."""


def test_every_public_module_is_in_the_reference():
    pages = "".join(page.read_text() for page in (Path(__file__).parents[1] / "docs" / "reference").glob("*.md"))
    modules = [path.relative_to(ROOT).with_suffix("") for path in ROOT.rglob("[!_]*.py")]
    public = [".".join(module.parts) for module in modules if module.parts[0] not in INNER]
    assert len(public) > 100
    assert sorted(module for module in public if f"::: asvit.{module}\n" not in pages) == []
    for line in pages.splitlines():
        if line.startswith("::: "):
            assert importlib.util.find_spec(line.removeprefix("::: ")) is not None, line


REFERENCE = re.compile(r":(?:class|func|data|meth|mod|attr):`~?(asvit\.[\w.]+)`")
NAMED = re.compile(r"^from (asvit\.[\w.]+) import (.+?)$|^from (asvit\.[\w.]+) import \(([^)]+)\)", re.MULTILINE)
REFERRED = re.compile(r":(?:class|func|data|meth|mod|attr):`~?(\w+)")


def in_reference(pages: str, name: str) -> bool:
    """Whether a dotted name is a module of the reference, or lies in one."""
    parts = name.split(".")
    return any(f"::: {'.'.join(parts[:end])}\n" in pages for end in range(2, len(parts) + 1))


def references(source: str) -> Iterator[str]:
    """Full names of ours that a module's docstrings refer to, and the types that its public functions name."""
    imported = {}
    for module, names, other, inner in NAMED.findall(source):
        for name in (names or inner).split(","):
            if name.strip():
                imported[name.strip().rpartition(" as ")[2]] = f"{module or other}.{name.strip().partition(' as ')[0]}"
    yield from REFERENCE.findall(source)
    yield from (imported[name] for name in REFERRED.findall(source) if name in imported)


def test_what_the_reference_refers_to_is_in_it():
    pages = "".join(page.read_text() for page in (Path(__file__).parents[1] / "docs" / "reference").glob("*.md"))
    missing = set()
    for module in re.findall(r"^::: asvit\.([\w.]+)$", pages, re.MULTILINE):
        path = ROOT / module.replace(".", "/")
        source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
        missing |= {name for name in references(source) if not in_reference(pages, name)}
    assert missing == set()
