"""The design as a function: the command's result, typed, with nothing written."""

import json
import re
from dataclasses import replace

import commands
import pytest
from fakes import fake_meter

from asvit.design.budget import Budget
from asvit.design.family import FamilySettings
from asvit.design.pipeline import design
from asvit.design.recipes import RECIPES
from asvit.design.search import SearchSettings
from asvit.design.settings import DesignSettings
from asvit.errors import UserError
from asvit.measure.measurer import Measurer
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import Topology
from asvit.runs.records import to_json

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


def test_the_search_passes_over_topologies_that_cannot_meet_a_latency():
    """At 0.1 µs a parameter, about half of them."""

    def seconds(architecture: Architecture, runs: int) -> float:
        return architecture.params(TASK) * 1e-7

    budget = Budget.parse("latency", "11ms")
    family = FamilySettings.of(RECIPE, TASK, [budget])
    settings = DesignSettings(family=family, search=SearchSettings(steps=12), start_from="best-ranked")
    result = design(settings, Measurer(RECIPE.settings(), TASK), meter=fake_meter(seconds, lambda a: 10**6))
    assert result.search is not None
    for topology, measurement in result.search.measurements.items():
        narrow = Architecture.parse(topology)
        assert measurement.valid == (seconds(replace(narrow, width=8), 1) <= budget.limit), measurement.invalid
    assert 2 < sum(measurement.valid for measurement in result.search.measurements.values()) < 11
    assert Architecture.parse(result.growth.steps[0].architecture).topology == Topology.parse(result.search.best_ranked)
    (member,) = result.family
    assert member.usage is not None
    assert member.usage.latency <= budget.limit


def test_the_measurer_must_be_for_the_same_task_and_know_the_score():
    with pytest.raises(UserError, match=r"but measured for 64x64 images"):
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
