"""Networks handed over to other tools: the same logits, a card that tells where they came from, and refusals."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from fakes import fake_measure
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from test_cli import asvit
from torch import Tensor

from asvit.design.budget import Budget
from asvit.design.family import FamilySettings, grow_family
from asvit.design.job import write_family
from asvit.errors import UserError
from asvit.export import formats
from asvit.export.card import model_card
from asvit.export.job import run_export
from asvit.export.release import Release, drawn, trained
from asvit.export.settings import ExportSettings
from asvit.images import Normalisation
from asvit.networks.architecture import Architecture, Task
from asvit.networks.building import build_trainable
from asvit.networks.named import parse_network
from asvit.runs.records import open_run
from asvit.training.augment import evaluation_transform
from asvit.training.checkpoint import MODEL, State, with_prefix, write_checkpoint
from asvit.training.trained import ClassifierHeader, load_checkpoint, load_exported

TINY = "4,2,2,1|2,1,8,1|5,1,2,1|6,1,2,1|32,8"
DIGITS = Task(image_size=(32, 32), in_chans=1, num_classes=10)
CLOSE = {"rtol": 0.0, "atol": 1e-5}


def designed(folder: Path) -> None:
    """The run directory of a growth by a measure that needs no network."""
    settings = FamilySettings(
        task=DIGITS, budgets=(Budget.parse("params", "150k"),), limits=(Budget.parse("params", "1M"),)
    )
    measure = fake_measure(lambda a: float(sum(a.depths)), lambda a: 7.0)
    start = Architecture.parse("4,2,2|2,1,2|2,1,2|2,1,2|32")
    result = grow_family(start, settings, measure=measure, measure_proxy=measure)
    config = {"recipe": "quick", "seed": 3}
    with open_run(folder, "grow", config, {"threads": 1}, "asvit grow") as directory:
        directory.write_result(result)
        write_family(directory, result.family, DIGITS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A network that was designed, trained on digits with coarse tokens first, and exported in every format."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the extra `export` is not installed")
    folder = tmp_path_factory.mktemp("export")
    designed(folder / "design")
    (member,) = (folder / "design" / "family").iterdir()
    short = ("--recipe", "digits", "--stage-epochs", "1", "1", "--warmup-epochs", "1", "--threads", "1")
    asvit("train", member, "--data", "digits", *short, "--out", "run", cwd=folder)
    every = ("--to", "timm", "onnx", "torch", "--design", "design", "--out", "digits", "--json")
    said = asvit("export", "run", *every, cwd=folder).stdout
    (folder / "said.json").write_text(said)
    return folder


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Real digits as the network reads them."""
    digits = torch.from_numpy(load_digits().images[:7]).float()[:, None] / 16
    return digits.repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.fixture(scope="module")
def logits(folder, images) -> Tensor:
    """Of the network that `asvit evaluate` scores."""
    with torch.no_grad():
        return load_checkpoint(folder / "run").model(images)


@pytest.mark.parametrize("name", ["timm", "onnx", "torch"])
def test_a_designed_and_trained_network_has_the_same_logits_elsewhere(folder, images, logits, name):
    with torch.no_grad():
        exported = formats.FORMATS[name].read(folder / "digits")(images)
    assert logits.std() > 0.1
    torch.testing.assert_close(exported, logits, **CLOSE)


def test_the_record_says_how_far_the_files_are_from_the_network(folder):
    said = json.loads((folder / "said.json").read_text())
    assert [file["format"] for file in said["files"]] == ["timm", "onnx", "torch"]
    for file in said["files"]:
        assert 0 <= file["difference"] < 1e-5
        assert file["bytes"] == (folder / "digits" / file["file"]).stat().st_size
    assert {path.name for path in (folder / "digits").iterdir()} == {
        "README.md", "config.json", "model.safetensors", "model.onnx", "model.pt2"
    }  # fmt: skip


def test_all_files_of_an_export_and_of_a_training_are_as_readable_as_any_other(folder):
    (folder / "other").write_bytes(b"x")
    mode = (folder / "other").stat().st_mode
    checkpoints = [*folder.glob("run/checkpoints/*.safetensors")]
    assert checkpoints
    exported = [path for path in folder.glob("digits/*") if path.is_file()]
    assert {path.suffix for path in exported} >= {".md", ".json", ".safetensors", ".onnx", ".pt2"}
    assert {path.stat().st_mode for path in [*checkpoints, *exported]} == {mode}


def test_timm_knows_classes_and_preprocessing(folder):
    model = timm.create_model(f"local-dir:{folder}/digits", pretrained=True)
    assert model.pretrained_cfg["label_names"] == list("0123456789")
    config = timm.data.resolve_data_config(model=model)
    assert config == {
        "input_size": (1, 32, 32), "mean": [0.449], "std": [0.226], "interpolation": "bilinear", "crop_pct": 1.0,
        "crop_mode": "center",
    }  # fmt: skip
    digit = Image.fromarray((load_digits().images[4] * 15.9).astype("uint8"))
    ours = evaluation_transform((32, 32), 1.0, Normalisation.usual(1))(digit)
    theirs = timm.data.create_transform(**config)(digit)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1.5 / 255 / 0.226)  # PIL rounds to whole grey values


def test_weights_pass_to_another_number_of_classes_channels_and_pixels(folder):
    source = f"local-dir:{folder}/digits"
    model = timm.create_model(source, pretrained=True, num_classes=3, in_chans=3, img_size=64)
    original = timm.create_model(source, pretrained=True)
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 3)
    for name, weight in original.stages.state_dict().items():
        assert torch.equal(model.stages.state_dict()[name], weight), name


def test_the_card_tells_how_the_network_was_found_trained_and_scored(folder):
    card = (folder / "digits" / "README.md").read_text()
    best = json.loads((folder / "run" / "result.json").read_text())["best"]
    (member,) = json.loads((folder / "design" / "result.json").read_text())["family"]
    assert f"- **Architecture:** `{member['architecture']}`" in card
    assert "- **Found:** by `asvit grow` without training (recipe quick, seed 3); grown from " in card
    assert f"fitted to 150k parameters, of which it uses {member['share']:.1%}" in card
    assert "NTK condition number 7.000 ± 0.070" in card
    assert "1,438 images of digits: recipe digits, 2 epochs (1 with 1/4 of the tokens, 1 with all tokens)" in card
    assert f"after epoch 2 on 359 validation images: top-1 {best['top1']:.2%}" in card
    assert f"- **Size:** {member['params']:,} parameters" in card
    assert "license: apache-2.0" in card.split("---")[1]


def test_the_code_on_the_card_runs(folder, monkeypatch):
    monkeypatch.chdir(folder)
    blocks = re.findall(r"```python\n(.*?)```", (folder / "digits" / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        names: dict = {}
        exec(block, names)
        assert names["logits"].shape == (2, 10)


@pytest.mark.parametrize(("name", "side"), [("seed", (96, 64)), ("small", (32, 32))])
def test_a_network_that_was_drawn_comes_back_from_its_folder(tmp_path, name, side):
    task = Task(image_size=side, in_chans=5, num_classes=7)
    release = drawn(Architecture.parse(name), task, seed=1)
    written = formats.write(release, "timm", tmp_path, tolerance=1e-6)
    assert written.difference <= 1e-6
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert again.architecture == Architecture.parse(name)
    assert (again.image_size, again.in_chans, again.num_classes) == (side, 5, 7)
    other = drawn(Architecture.parse(name), task, seed=2)
    assert formats.largest_difference(release, other.model) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "torch"])
@pytest.mark.parametrize(("name", "side"), [("seed", (96, 64)), ("small", (224, 224))])
def test_published_networks_as_graphs(tmp_path, name, side, to):
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    size = f"{side[0]}x{side[1]}"
    said = asvit("export", name, "--image-size", size, "--to", to, "--out", "out", "--json", cwd=tmp_path).stdout
    (file,) = json.loads(said)["files"]
    assert file["difference"] < 1e-5


def tiny() -> Release:
    return drawn(Architecture.parse(TINY), Task(image_size=(32, 32)), seed=0)


def checkpoint(path: Path, name: str, task: Task) -> Path:
    """Of a classifier that was never trained."""
    torch.manual_seed(0)
    header = ClassifierHeader(network=name, task=task, classes=tuple("abc"), test_crop=0.9, coarseness=1, state=State())
    write_checkpoint(path, with_prefix(build_trainable(parse_network(name), task).state_dict(), MODEL), header)
    return path


@pytest.mark.parametrize("name", ["timm:test_vit", "timm:test_vit:depth=2:mlp_ratio=1.5:patch_size=8"])
def test_a_model_of_timm_that_we_trained_goes_back_to_timm(tmp_path, name):
    file = checkpoint(tmp_path / "alone.safetensors", name, Task(image_size=(160, 160), num_classes=3))
    asvit("export", file.name, "--out", "out", "--license", "cc-by-4.0", cwd=tmp_path)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "license: cc-by-4.0" in card
    assert "by `asvit train`; its run directory was not at hand" in card
    assert "- **Scored:** not at all" in card
    model = timm.create_model(f"local-dir:{tmp_path}/out", pretrained=True).eval()
    assert type(model).__name__ == "VisionTransformer"
    x = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(model(x), load_checkpoint(file).model(x))
    assert str(load_exported(tmp_path / "out").network) == name


def shifted(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["head.fc.bias"][2] += 0.01
    save_file(weights, folder / "model.safetensors")


def without_numbers(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: x.fill_(float("nan")) for name, x in weights.items()}, folder / "model.safetensors")


@pytest.mark.parametrize(("damage", "said"), [(shifted, "up to 1.00e-02"), (without_numbers, "up to nan")])
def test_a_file_with_other_logits_is_refused_and_leaves_nothing(tmp_path, monkeypatch, damage, said):
    def write_and_damage(release, folder: Path) -> None:
        formats.write_timm(release, folder)
        damage(folder)

    damaged = replace(formats.FORMATS["timm"], write=write_and_damage)
    monkeypatch.setattr(formats, "FORMATS", {**formats.FORMATS, "timm": damaged})
    settings = ExportSettings(out=tmp_path / "out")
    with pytest.raises(UserError, match=f"logits of model.safetensors differ from torch's by {said}: expected at most"):
        run_export(tiny(), settings, design=None)
    assert list(tmp_path.iterdir()) == []


def test_timms_own_function_publishes(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(timm.models, "push_to_hf_hub", lambda *args, **options: calls.append((args, options)))
    file = checkpoint(tmp_path / "c.safetensors", TINY, Task(image_size=(32, 32), num_classes=3))
    (tmp_path / "out").mkdir()  # an empty folder may be there
    settings = ExportSettings(out=tmp_path / "out", push_to_hub="owner/name")
    run_export(trained(file), settings, design=None)
    (((model, repository), said),) = calls
    assert repository == "owner/name"
    assert said["safe_serialization"] is True
    assert said["model_config"] == {"label_names": ["a", "b", "c"]}
    assert said["data_config"]["crop_pct"] == 0.9
    assert '"hf-hub:owner/name"' in said["model_card"]["usage"]
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(weights[name], x) for name, x in model.state_dict().items())


def test_a_hub_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    settings = ExportSettings(out=tmp_path / "out", push_to_hub="owner/name")
    with pytest.raises(UserError, match=r"^cannot push to owner/name: [^\n]*refused[^\n]*$"):
        run_export(tiny(), settings, design=None)
    assert list(tmp_path.iterdir()) == []  # the same command can be repeated


def test_packages_of_a_format_are_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r'package onnxscript is missing.*`pip install "asvit\[export\]"`'):
        formats.require("onnx")


def test_many_classes_are_not_all_named():
    release = drawn(Architecture.parse(TINY), Task(image_size=(32, 32), num_classes=21), seed=0)
    named = replace(release, classes=tuple(f"c{i}" for i in range(21)))
    details = model_card(named, "", [], source="local-dir:x", license="mit")["details"]
    assert details["Outputs"].startswith("21 logits: c0, c1, ")
    assert details["Outputs"].endswith("c19, ...")


BAD_INPUT = {
    "coarse tokens": (["run/checkpoints/epoch-0001.safetensors"], "tokens were still 2 times coarser"),
    "no such folder": (["nowhere/run"], "unknown architecture 'nowhere/run'"),
    "a design": (["design"], "expected one of the architecture files in it, such as design/family/*.json"),
    "a detector": (["detector"], "detector is a detector: expected a classifier of `asvit train`"),
    "a folder": (["family"], "family is not the run directory of `asvit train`"),
    "images of a trained network": (["run", "--in-chans", "3"], "leave out --in-chans"),
    "another design": ([TINY, "--design", "design"], "design found "),
    "no design": ([TINY, "--design", "run"], "run is not the run directory of asvit design, grow or search"),
    "twice": (["small", "--to", "timm", "timm"], "--to names timm, timm: expected each of timm, onnx, torch once"),
    "no weights to publish": (["small", "--to", "torch", "--push-to-hub", "a/b"], "expected timm among --to"),
    "no repository": (["small", "--push-to-hub", "name"], "cannot push to 'name': expected OWNER/NAME"),
    "tolerance": (["small", "--tolerance", "-1"], "tolerance is -1.0: expected a number of at least 0"),
    "format": (["small", "--to", "tflite"], "tflite"),
}


@pytest.mark.parametrize(("arguments", "said"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_one_line(folder, arguments, said):
    (folder / "family").mkdir(exist_ok=True)
    with open_run(folder / "detector", "detect", {}, {}, "asvit detect train"):
        pass
    done = asvit("export", *arguments, "--out", "out", cwd=folder, check=2)
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (folder / "out").exists()


def test_a_folder_that_is_there_is_kept(folder):
    before = (folder / "digits" / "README.md").read_bytes()
    done = asvit("export", "run", "--out", "digits", cwd=folder, check=2)
    assert "digits is there already: expected a new folder, choose another --out" in done.stderr
    assert (folder / "digits" / "README.md").read_bytes() == before


def test_the_best_checkpoint_and_its_average_are_exported(folder):
    best = json.loads((folder / "run" / "result.json").read_text())["checkpoint"]
    tensors = load_file(folder / "run" / best)
    exported = load_file(folder / "digits" / "model.safetensors")
    assert all(torch.equal(x, tensors[f"ema.{name}"]) for name, x in exported.items())
    assert trained(folder / "run").epoch == trained(folder / "run" / best).epoch
