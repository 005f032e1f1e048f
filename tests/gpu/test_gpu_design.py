"""The whole design on the device finds what it finds on the CPU."""

import torch
from on_device import CPU, ON_DEVICE

from asvit.design.budget import Budget
from asvit.design.pipeline import design
from asvit.design.recipes import RECIPES
from asvit.design.results import DesignResult
from asvit.design.settings import DesignSettings
from asvit.measure.measurer import Measurer
from asvit.networks.architecture import Task

pytestmark = ON_DEVICE


def test_the_smoke_recipe_finds_the_same_family(device, photographs):
    recipe, task = RECIPES["smoke"], Task(image_size=(32, 32), num_classes=10)
    settings = DesignSettings.of(recipe, task, [Budget.parse("params", "1M")])

    def designed(where: torch.device) -> DesignResult:
        return design(settings, Measurer(recipe.settings(), task, seed=3, photographs=photographs, device=where))

    there, here = designed(device), designed(CPU)
    assert there.search is not None
    assert here.search is not None
    assert [step.topology for step in there.search.steps] == [step.topology for step in here.search.steps]
    assert there.search.best_ranked == here.search.best_ranked
    assert [step.architecture for step in there.growth.steps] == [step.architecture for step in here.growth.steps]
    assert [member.architecture for member in there.family] == [member.architecture for member in here.family]
