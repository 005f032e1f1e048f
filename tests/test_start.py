"""Trainings that start from trained weights: what is taken over, what is drawn, what does not fit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asvit.errors import UserError
from asvit.images import Normalisation
from asvit.networks.architecture import Task
from asvit.networks.building import build_trainable
from asvit.networks.named import TimmModel, parse_network
from asvit.training.classifier import ClassifierTraining
from asvit.training.fitting import AskedTraining
from asvit.training.recipe import RECIPES
from asvit.training.schedule import schedule_of
from asvit.training.settings import ImageData
from asvit.training.settled import settle
from asvit.training.sources import Digits
from asvit.training.start import Start, classifier_weights, load_start
from asvit.training.trained import load_checkpoint

TINY = parse_network("4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8")
RECIPE = replace(RECIPES["digits"], epochs=1, warmup_epochs=0, batch_size=32)
LAST_LAYER = {"head.fc.weight", "head.fc.bias"}


def few_digits() -> tuple[Digits, Digits]:
    sources = Digits("train"), Digits("val")
    for source in sources:
        source.images, source.labels = source.images[:64], source.labels[:64]
    return sources


def training(start: Start | None = None, classes: tuple[str, ...] | None = None, recipe=RECIPE) -> ClassifierTraining:
    sources = few_digits()
    for source in sources:
        source.classes = classes or source.classes
    cpu = torch.device("cpu")
    return ClassifierTraining(TINY, *sources, recipe, schedule_of((1,)), start=start, seed=0, device=cpu)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    result = training().run(folder, lambda _: None)
    return folder / Path(result.checkpoint).name


def test_of_the_same_classes_all_weights_are_taken(checkpoint):
    trained = load_checkpoint(checkpoint).model.state_dict()  # the moving average
    one = training(load_start(str(checkpoint), TINY))
    assert one.average is not None
    for model in (one.model, one.average.module):
        assert all(torch.equal(x, trained[name]) for name, x in model.state_dict().items())


def test_of_other_classes_all_but_the_last_layer(checkpoint):
    trained, drawn = load_checkpoint(checkpoint).model.state_dict(), training().model.state_dict()
    letters = tuple("abcdefghij")
    weights = training(load_start(str(checkpoint), TINY), letters).model.state_dict()
    assert {name for name in weights if not torch.equal(weights[name], trained[name])} == LAST_LAYER
    assert all(torch.equal(weights[name], drawn[name]) for name in LAST_LAYER)
    eleven = training(load_start(str(checkpoint), TINY), (*letters, "k")).model.state_dict()
    assert eleven["head.fc.weight"].shape[0] == 11
    assert torch.equal(eleven["head.norm.weight"], trained["head.norm.weight"])


def test_images_are_made_to_look_like_those_of_the_start(checkpoint):
    start = load_start(str(checkpoint), TINY)
    looking = replace(start.looking, normalisation=Normalisation((0.25,), (0.125,)), value_range=(0.0, 4.0))
    settled = settle(TINY, ImageData(data="digits"), AskedTraining(), None, replace(start, looking=looking))
    for source in (settled.train, settled.val):
        assert source.normalisation == Normalisation((0.25,), (0.125,))
    assert settled.task == start.task  # 32x32 pixels, where recipe auto has taken the digits' own 8x8
    assert f"starts from the weights of {checkpoint} ({TINY})" in settled.remarks
    other = replace(start, classes=("a", "b"))
    told = settle(TINY, ImageData(data="digits"), AskedTraining(), None, other).remarks
    assert told[-2].endswith("but for its last layer: it was trained on other classes")


def test_what_does_not_fit_is_refused(checkpoint):
    with pytest.raises(
        UserError, match=rf"is a training of {str(TINY)[:7]}.*, not of 8,2,3,1\|.*: expected the same network"
    ):
        load_start(str(checkpoint), parse_network("seed"))
    with pytest.raises(UserError, match=r"timm has no weights of 8,2,3,1.*: give a checkpoint of `asvit train`"):
        load_start("timm", parse_network("seed"))
    with pytest.raises(UserError, match=r"there is no nowhere: expected a run directory or a checkpoint"):
        load_start("nowhere", TINY)
    larger = replace(RECIPE, image_size=(64, 64))
    with pytest.raises(UserError, match=r"no fitting weights for position: expected the same network, for 32x32 im"):
        training(load_start(str(checkpoint), TINY), recipe=larger)


def test_all_last_layers_of_a_distilled_network_are_known():
    network = build_trainable(TimmModel("deit_tiny_distilled_patch16_224"), Task(image_size=(224, 224), num_classes=3))
    assert classifier_weights(network) == {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}
