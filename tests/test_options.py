"""Options are made of settings: their names, their help, and what they change."""

import json
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from cyclopts import Group

from asvit.commands.app import main
from asvit.commands.detect_options import DetectorOptions, DetectTrainOptions
from asvit.commands.export import CardOptions, ExportOptions
from asvit.commands.groups import OWN, Options, described, docstrings
from asvit.commands.options import (
    ComputerOptions,
    GrowthOptions,
    MeasureOptions,
    RunOptions,
    SearchOptions,
    TaskOptions,
    UseOptions,
)
from asvit.commands.study import SampleOptions
from asvit.commands.train_options import ClassifierRunningOptions, RunningOptions, TrainOptions
from asvit.design.grow import GrowthSettings
from asvit.design.search import SearchSettings
from asvit.detection.recipe import RECIPES as DETECT_RECIPES
from asvit.detection.recipe import DetectRecipe
from asvit.detection.settings import DetectorSettings, Resize
from asvit.export.settings import ExportSettings
from asvit.measure.settings import Settings, Use
from asvit.networks.architecture import Task
from asvit.runs.job import Computer, Job
from asvit.study.plan import PlanSettings
from asvit.training.recipe import RECIPES, TrainRecipe
from asvit.training.settings import Running

MADE_OF = {
    CardOptions: ExportSettings,
    ClassifierRunningOptions: Running,
    ComputerOptions: Computer,
    DetectorOptions: DetectorSettings,
    DetectTrainOptions: DetectRecipe,
    ExportOptions: ExportSettings,
    GrowthOptions: GrowthSettings,
    MeasureOptions: Settings,
    RunOptions: Job,
    RunningOptions: Running,
    SampleOptions: PlanSettings,
    SearchOptions: SearchSettings,
    TaskOptions: Task,
    TrainOptions: TrainRecipe,
    UseOptions: Use,
}


@pytest.mark.parametrize("options", MADE_OF, ids=lambda options: options.__name__)
def test_options_are_fields_of_settings_that_say_what_they_are(options):
    settings = MADE_OF[options]
    taken = set(options._read)
    assert taken
    assert taken <= {field.name for field in fields(settings)}
    for name in taken:
        assert docstrings(settings)[name].strip().endswith(".")
    assert options(**{"out": Path()} if options is ExportOptions else {}).given == {}


def test_what_is_not_said_is_what_the_recipe_says():
    recipe = RECIPES["digits"]
    assert TrainOptions().over(recipe) == recipe
    said = TrainOptions(lr=0.5, image_size="96x128")  # pyright: ignore[reportCallIssue]
    assert said.over(recipe) == replace(recipe, lr=0.5, image_size=(96, 128))


def test_sizes_of_a_detector_are_said_in_two_ways():
    recipe = DETECT_RECIPES["small"]
    bounds = DetectorOptions(sides=(800, 1333), channels=8)  # pyright: ignore[reportCallIssue]
    changed = DetectTrainOptions(epochs=3).recipe(recipe, bounds)  # pyright: ignore[reportCallIssue]
    assert changed.detector.resize == Resize(short_side=800, long_side=1333, square=False)
    assert (changed.detector.channels, changed.detector.hidden) == (8, recipe.detector.hidden)
    assert changed.augmentation.jitter is None  # which cuts squares
    assert changed.epochs == 3


def test_help_is_the_docstring_and_whose_default_it_is():
    assert described(Use, "precision", OWN).endswith("(default: float32).")
    assert described(ExportSettings, "to", OWN).endswith("(default: timm).")
    assert described(Running, "compile", OWN) == docstrings(Running)["compile"]  # off, as one would think
    repeats = docstrings(Settings)["repeats"].removesuffix(".")
    assert described(Settings, "repeats", "the recipe's") == f"{repeats} (default: the recipe's)."
    with pytest.raises(KeyError, match="nonsense"):

        class Wrong(Options[Use], of=Use, take={"nonsense": OWN}, group=Group("Wrong")): ...


def test_the_command_in_a_record_is_the_one_that_was_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["something", "else"])
    words = ["measure", "seed", "--metrics", "params", "--recipe", "smoke", "--json", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    said = json.loads((tmp_path / "run" / "run.json").read_text())["command"]
    assert said == f"asvit measure seed --metrics params --recipe smoke --out {tmp_path / 'run'}"
