"""Folders for timm whose parts contradict each other: a network is what its weights are, or is refused."""

import json

import pytest
import timm
import torch
from timm.models import save_for_hf

from asvit.errors import UserError
from asvit.training.trained import load_exported


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=3)
    save_for_hf(model, path, model_config={"label_names": ["a", "b", "c"]}, safe_serialization=True)
    return path


@pytest.fixture
def config(folder):
    """Its ``config.json`` to change, which is put back."""
    before = (folder / "config.json").read_text()
    yield json.loads(before)
    (folder / "config.json").write_text(before)


def five_outputs(config):
    config["model_args"]["num_classes"] = 5


def five_classes(config):
    config.update(num_classes=5, label_names=list("abcde"))


def another_size(config):
    config["model_args"]["img_size"] = [96, 96]


def two_names(config):
    config["label_names"] = ["a", "b"]


def a_model_that_fails_an_assertion(config):
    config["architecture"] = "test_vit2"


CASES = [
    (five_outputs, "its network does not take head.* as it is"),
    (five_classes, "its network does not take head.* as it is"),
    (another_size, "its network does not take pos_embed as it is"),
    (two_names, "it names 2 classes of 3 outputs"),
    (a_model_that_fails_an_assertion, "Token pooling needs the class token"),
]


@pytest.mark.parametrize(("change", "complaint"), CASES)
def test_a_folder_that_contradicts_itself_is_refused(folder, config, change, complaint):
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=f"cannot load {folder}: {complaint}"):
        load_exported(folder)


def test_a_folder_of_timm_is_loaded_as_it_is(folder):
    classifier = load_exported(folder)
    assert classifier.classes == ("a", "b", "c")
    assert classifier.task.image_size == (160, 160)
    again = timm.create_model(f"local-dir:{folder}", pretrained=True)
    assert all(torch.equal(x, again.state_dict()[name]) for name, x in classifier.model.state_dict().items())
