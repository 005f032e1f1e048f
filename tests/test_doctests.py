import doctest
import importlib
import pkgutil

import pytest

import asvit

MODULES = [
    module.name for module in pkgutil.walk_packages(asvit.__path__, "asvit.") if not module.name.endswith("__main__")
]


# torch itself reaches for its deprecated compiler the first time it differentiates forward.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_are_found_behind_the_type_checks():
    finder = doctest.DocTestFinder(exclude_empty=True)
    module = importlib.import_module("asvit.networks.attention")
    examples = {test.name: len(test.examples) for test in finder.find(module) if test.examples}
    assert examples == {
        "asvit.networks.attention.WindowAttention": 1,
        "asvit.networks.attention.split_windows": 1,
    }
