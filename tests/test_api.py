"""What `import asvit` offers: the names, and that they do what the commands do."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import asvit
from asvit.errors import UserError
from asvit.export.job import run_export
from asvit.export.release import trained
from asvit.export.settings import ExportSettings
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Settings
from asvit.measure.subject import subject_of
from asvit.networks.named import parse_network
from asvit.training.sources import Digits

TINY = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8"


def four() -> np.ndarray:
    """A digit as grey values from 0 to 255."""
    digits: Any = load_digits()
    return np.round(digits.images[4] * (255 / 16)).astype(np.uint8)


def test_names_are_few_typed_and_hide_no_room():
    rooms = {path.parent.name for path in Path(asvit.__file__).parent.glob("*/__init__.py")}
    assert len(asvit.__all__) <= 15
    assert not rooms & set(asvit.__all__)
    tree = ast.parse(Path(asvit.__file__).read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    names = {name.name for node in ast.walk(typed) if isinstance(node, ast.ImportFrom) for name in node.names}
    assert names == set(asvit.__all__)
    assert set(asvit.__all__) <= set(dir(asvit))
    assert all(getattr(asvit, name).__doc__ for name in asvit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = asvit.nonsense  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(scope="module")
def designed(tmp_path_factory):
    out = tmp_path_factory.mktemp("design") / "run"
    asked = {"image_size": (32, 48), "in_chans": 2, "num_classes": 7, "params": ["600k", 900_000], "recipe": "smoke"}
    return asvit.design_family(**asked, out=out), asked, out


def test_a_family_is_the_same_with_and_without_a_run_directory_and_after_an_interruption(designed):
    family, asked, out = designed
    assert [str(member.budget) for member in family.family] == ["600k parameters", "900k parameters"]
    assert [member.params <= budget for member, budget in zip(family.family, (600_000, 900_000), strict=True)] == [
        True
    ] * 2
    assert asvit.design_family(**asked) == family
    ledger = (out / "measurements.sqlite").stat().st_mtime
    assert asvit.design_family(**asked, out=out) == family
    assert (out / "measurements.sqlite").stat().st_mtime == ledger  # nothing was measured again


def test_a_member_its_file_and_its_text_form_are_one_network(designed):
    family, _, out = designed
    member = family.family[0]
    of_task = asvit.build(member, family.task)
    images = torch.zeros(2, 2, 32, 48)
    assert of_task(images).shape == (2, 7)
    assert sum(parameter.numel() for parameter in of_task.parameters()) == member.params
    for other in (
        asvit.build(out / "family" / "600k-params.json"),  # says its images and classes itself
        asvit.build(member.architecture, image_size=(32, 48), in_chans=2, num_classes=7),
        asvit.build(asvit.Architecture.parse(member.architecture), family.task),
    ):
        assert {name: x.shape for name, x in other.state_dict().items()} == {
            name: x.shape for name, x in of_task.state_dict().items()
        }


def test_models_of_timm_and_functions_are_built_too():
    assert asvit.build("timm:resnet10t", in_chans=1, num_classes=3)(torch.zeros(2, 1, 64, 64)).shape == (2, 3)
    network = asvit.build("torchvision.models:SqueezeNet", num_classes=3)
    assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 3)


def test_measures_are_those_of_the_measurer():
    found = asvit.measure_network(TINY, ["length", "params"], image_size=32, num_classes=3, recipe="smoke", seed=3)
    settings, task = Settings(repeats=1, angles=2, kernel_images=4), asvit.Task(image_size=(32, 32), num_classes=3)
    measurer = Measurer(settings, task, metrics=["length", "params"], seed=3)
    assert found == measurer(subject_of(parse_network(TINY), task))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("train") / "run"
    return asvit.train(
        TINY, "digits", recipe="digits", schedule="none", epochs=1, warmup_epochs=0, out=out, device="cpu"
    )


def test_a_run_directory_predicts_on_images_arrays_and_tensors(run):
    classifier, seen = asvit.load(run), Digits("val")
    assert classifier.classes == tuple(map(str, range(10)))
    best = [classifier.predict(seen.read(i)[0])[0][0] == str(seen.read(i)[1]) for i in range(len(seen))]
    assert sum(best) / len(best) == json.loads((run / "result.json").read_text())["best"]["top1"]
    array = four()
    found = classifier.predict(Image.fromarray(array))
    assert len(found) == 5
    assert found == classifier.predict(array) == classifier.predict(torch.from_numpy(array[None] / 255).float())
    shares = [share for _, share in classifier.predict((array / 255).astype(np.float32), top=99)]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    with pytest.raises(UserError, match=r"array of \(8, 8, 4\).*but 1 channels are read"):
        classifier.predict(np.zeros((8, 8, 4)))


def test_an_exported_folder_predicts_the_same(run, tmp_path):
    run_export(trained(run), ExportSettings(out=tmp_path / "out"), design=None)
    ours, exported = asvit.load(run), asvit.load(tmp_path / "out")
    assert (exported.classes, exported.task) == (ours.classes, ours.task)
    assert str(exported.network) == str(ours.network) == TINY
    image = Image.fromarray(four())
    for (name, share), (other, same) in zip(ours.predict(image), exported.predict(image), strict=True):
        assert name == other
        assert share == pytest.approx(same, abs=1e-6)
    (tmp_path / "out" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"cannot load .*expected a folder that `asvit export` wrote"):
        asvit.load(tmp_path / "out")


def test_the_same_training_is_not_done_twice(run):
    before = json.loads((run / "result.json").read_text())
    again = asvit.train(
        TINY, "digits", recipe="digits", schedule="none", epochs=1, warmup_epochs=0, out=run, device="cpu"
    )
    assert again == run
    assert json.loads((run / "result.json").read_text()) == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            lambda: asvit.design_family(recipe="paperr"),
            "there is no recipe 'paperr': did you mean paper?",
        ),
        (
            lambda: asvit.train(TINY, "digits", recipe="quick"),
            "there is no recipe 'quick': expected one of auto,",
        ),
        (lambda: asvit.train(TINY, "digits", epoch=3), "a training recipe has no epoch: did you mean epochs?"),
        (lambda: asvit.train("torch.nn:Linear", "digits"), "torch.nn:Linear is a function of yours"),
        (lambda: asvit.design_family(params="tiny"), "cannot read the size 'tiny'"),
        (lambda: asvit.build("smalll"), "smalll"),
        (lambda: asvit.load("nowhere"), "nowhere"),
        (lambda: asvit.measure_network("seed", ["lenght"]), "unknown metrics lenght"),
    ],
)
def test_mistakes_are_one_line(wrong, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said) as caught:
        wrong()
    assert len(str(caught.value).splitlines()) == 1


def test_without_the_packages_of_training_one_line_says_what_to_install():
    program = "import sys\nfor name in ('timm', 'torchvision', 'safetensors'): sys.modules[name] = None\nimport asvit\n"
    for use in ("asvit.load('nowhere')", "asvit.train('seed', 'digits')", "asvit.Classifier"):
        program += f"try: {use}\nexcept asvit.UserError as error: print(error)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    said = re.compile(r'the package \w+ is missing, which this needs: install it with `pip install "asvit\[train\]"`')
    assert all(said.fullmatch(line) for line in lines)
