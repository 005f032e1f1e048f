"""Recipe auto, options over recipes, and the size that a network is trained at."""

import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asvit.errors import UserError
from asvit.networks.architecture import ARCHITECTURES, Architecture, Task
from asvit.networks.named import TimmModel
from asvit.training.fitting import AUTO, AskedTraining, DataFacts, recipe_for
from asvit.training.recipe import RECIPES, changed, recorded
from asvit.training.settled import usual_size

SEED = ARCHITECTURES["seed"]


def facts(images=744, channels=3, arrays=False, size=None):
    return DataFacts(images=images, channels=channels, arrays=arrays, size=size)


@given(st.integers(1, 2_000_000), st.integers(8, 512))
def test_recipe_auto_fits_any_number_of_images(images, side):
    recipe = recipe_for(facts(images), (side, side))
    assert recipe.image_size == (side, side)
    assert 30 <= recipe.epochs <= 100
    assert recipe.batch_size in (8, 16, 32, 64, 128, 256)
    assert images < 8 * 16 or images // recipe.batch_size >= 16
    assert 0 < recipe.lr <= 1e-3
    assert recipe.schedule == "none"


@pytest.mark.parametrize(
    ("images", "epochs", "batch_size"),
    [(60, 100, 8), (744, 100, 32), (9469, 100, 256), (25_000, 40, 256), (1_281_167, 30, 256)],
)
def test_more_images_take_fewer_epochs_and_larger_batches(images, epochs, batch_size):
    recipe = recipe_for(facts(images), (96, 96))
    assert (recipe.epochs, recipe.batch_size) == (epochs, batch_size)


def test_weights_are_drawn_as_in_the_release_where_nothing_else_is_asked_for():
    assert {recipe.initialisation for recipe in (*RECIPES.values(), recipe_for(facts(), (96, 96)))} == {"normal"}
    asked = AskedTraining(changes={"initialisation": "fan-in"})
    assert asked.fit(facts(), usual_size=(32, 32))[0].initialisation == "fan-in"


def test_an_unknown_initialisation_is_refused():
    """In a process of its own, for here the types of arguments are checked first."""
    words = "from asvit.training.recipe import *; changed(RECIPES['cifar10'], {'initialisation': 'kaiming'})"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False)
    assert "UserError: initialisation is 'kaiming': expected one of normal, fan-in" in done.stderr


def test_an_initialisation_is_recorded_where_it_is_not_that_of_the_release():
    recipe = recipe_for(facts(), (96, 96))
    other = replace(recipe, initialisation="fan-in")
    assert recorded(other) == asdict(other)
    assert recorded(other) == recorded(recipe) | {"initialisation": "fan-in"}


def test_grey_pictures_are_not_mirrored_and_arrays_are():
    assert recipe_for(facts(channels=1), (32, 32)).flip == 0
    assert recipe_for(facts(channels=1, arrays=True), (32, 32)).flip == 0.5


@pytest.mark.parametrize("name", RECIPES)
def test_one_epoch_works_in_every_recipe(name):
    recipe, schedule = AskedTraining(recipe=name, changes={"epochs": 1}).fit(facts(), usual_size=(32, 32))
    assert (recipe.epochs, recipe.warmup_epochs) == (1, 0)
    assert sum(stage.epochs for stage in schedule) == 1


def test_a_warm_up_that_is_said_is_kept_and_may_be_refused():
    assert changed(RECIPES["imagenet"], {"epochs": 30, "warmup_epochs": 25}).warmup_epochs == 25
    with pytest.raises(UserError, match=r"5 of 4 epochs are warm-up: .* --epochs or fewer --warmup-epochs"):
        changed(RECIPES["imagenet"], {"epochs": 4, "warmup_epochs": 5})


@pytest.mark.parametrize("name", [AUTO, "imagenette"])
def test_the_size_is_the_option_s_then_the_file_s_then_the_recipe_s(name):
    designed = Task(image_size=(96, 128))
    own = RECIPES[name].image_size if name != AUTO else (48, 48)
    for changes, of_file, expected in [
        ({"image_size": (64, 64)}, designed, (64, 64)),
        ({}, designed, (96, 128)),
        ({}, None, own),
    ]:
        asked = AskedTraining(recipe=name, changes=changes)
        assert asked.fit(facts(), designed=of_file, usual_size=(48, 48))[0].image_size == expected


def test_images_of_the_network_s_size_are_evaluated_whole():
    asked = AskedTraining(recipe="imagenette", changes={"image_size": (96, 96)})
    assert asked.fit(facts(size=(96, 96)), usual_size=(96, 96))[0].test_crop == 1
    assert asked.fit(facts(size=(96, 97)), usual_size=(96, 96))[0].test_crop == 0.875
    said = AskedTraining(recipe="imagenette", changes={"image_size": (96, 96), "test_crop": 0.9})
    assert said.fit(facts(size=(96, 96)), usual_size=(96, 96))[0].test_crop == 0.9


def test_epochs_of_stages_say_epochs_and_schedule():
    recipe, schedule = AskedTraining(stage_epochs=(1, 0, 3)).fit(facts(), usual_size=(32, 32))
    assert (recipe.epochs, recipe.schedule) == (4, "own")
    assert [(stage.coarseness, stage.epochs) for stage in schedule] == [(4, 1), (1, 3)]
    with pytest.raises(UserError, match="leave --epochs and --schedule out"):
        AskedTraining(stage_epochs=(1, 2), changes={"epochs": 3})


@pytest.mark.parametrize(
    ("network", "size", "expected"),
    [
        (SEED, (96, 96), (96, 96)),
        (SEED, None, (224, 224)),
        (SEED, (500, 375), (224, 224)),
        (SEED, (8, 8), (32, 32)),
        (SEED, (16, 24), (32, 48)),
        (Architecture.parse("2,2,3,1|2,1,2,1|2,1,4,1|2,1,6,1|32,32|1"), (8, 8), (8, 8)),
        (TimmModel("resnet18"), (96, 96), (96, 96)),
        (TimmModel("vit_tiny_patch16_224"), (96, 96), (224, 224)),
    ],
)
def test_a_network_of_no_design_takes_the_images_size_within_reason(network, size, expected):
    assert usual_size(network, facts(size=size)) == expected
