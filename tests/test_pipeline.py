"""The design as a function: the command's result, typed, with nothing written."""

import json
import re

import commands
import pytest

from asvit.architecture import Task
from asvit.budget import Budget
from asvit.design.pipeline import DesignSettings, design
from asvit.design.recipes import RECIPES
from asvit.errors import UserError
from asvit.measure import Measurer
from asvit.records import to_json

RECIPE, TASK = RECIPES["smoke"], Task(image_size=(32, 32), num_classes=10)
SETTINGS = DesignSettings.of(RECIPE, TASK, [Budget.parse("params", "1M")])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
def test_the_command_and_the_function_find_the_same(tmp_path, monkeypatch):
    options = ["--recipe", "smoke", "--num-classes", "10", "--params", "1M", "--seed", "3", "--threads", "1"]
    done = commands.run(["design", *options, "--out", "run"], tmp_path)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "run" / "result.json").read_text())

    (empty := tmp_path / "empty").mkdir()
    monkeypatch.chdir(empty)
    steps, grown = [], []
    result = design(
        SETTINGS,
        Measurer(RECIPE.settings(), TASK, seed=3),
        on_step=lambda step, measurement: steps.append(step),
        on_measured=lambda *progress: grown.append(progress),
    )
    found = json.loads(to_json(result))
    assert {name: written[name] for name in found} == found
    assert tuple(steps) == result.search.steps
    assert len(grown) == sum(len(step.candidates) for step in result.growth.steps)
    assert list(empty.iterdir()) == []


def test_the_measurer_must_be_for_the_same_task_and_know_the_score():
    with pytest.raises(UserError, match=r"but measured for Task\(image_size=\(64, 64\)"):
        design(SETTINGS, Measurer(RECIPE.settings(), Task(image_size=(64, 64))))
    with pytest.raises(UserError, match=re.escape("the score needs ntk, which the measurer leaves out")):
        design(SETTINGS, Measurer(RECIPE.settings(), TASK, metrics=["length"]))


def test_budgets_are_the_recipes_where_none_are_given():
    assert [str(budget) for budget in DesignSettings.of(RECIPES["paper"]).family.budgets] == [
        "30M parameters",
        "55M parameters",
        "90M parameters",
    ]
    with pytest.raises(UserError, match="below the smallest network"):
        DesignSettings.of(RECIPE, TASK, [Budget.parse("params", "10k")])
