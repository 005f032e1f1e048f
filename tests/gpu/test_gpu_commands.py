"""Commands as they are typed on a machine with the device: its defaults, its files, and what others read of them."""

import json
from pathlib import Path

import pytest
import torch
from on_device import ON_DEVICE, PRECISION, TINY
from torch import Tensor

from asvit.commands.app import main
from asvit.export import formats
from asvit.runs.devices import device_name
from asvit.training.trained import load_checkpoint

pytestmark = [*ON_DEVICE, pytest.mark.usefixtures("exact")]

WORKERS = {"cpu": 0, "cuda": 2}


def asvit(*arguments: object) -> None:
    """A command in this process."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in arguments])
    assert ended.value.code == 0


@pytest.fixture(scope="module")
def run(images, device, tmp_path_factory) -> Path:
    """Three epochs, two of them on coarse tokens, with everything random."""
    folder = tmp_path_factory.mktemp("train") / "run"
    workers = WORKERS.get(device.type, 0)
    where = ("--device", device, "--workers", workers, "--threads", 1, "--out", folder)
    asvit("train", TINY, "--data", images, "--recipe", "smoke", *where)
    return folder


def test_training_takes_the_devices_defaults(run, device):
    record = json.loads((run / "run.json").read_text())
    assert record["config"]["precision"] == PRECISION.get(device.type, "float32")
    assert record["environment"]["device"] == device_name(device)
    result = json.loads((run / "result.json").read_text())
    assert [epoch["coarseness"] for epoch in result["epochs"]] == [4, 2, 1]
    assert all(0 < epoch["train_loss"] < 10 for epoch in result["epochs"])


def test_what_was_trained_is_evaluated_and_predicts(run, images, device, capsys):
    best = json.loads((run / "result.json").read_text())["best"]
    asvit("evaluate", run, "--data", images, "--device", device, "--workers", 0, "--json")
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores["images"] == 24
    assert scores["loss"] == pytest.approx(best["loss"], rel=1e-2)
    asvit("predict", run, images / "val" / "dark" / "0.png", "--device", device, "--json")
    (row,) = json.loads(capsys.readouterr().out)["predictions"]
    assert sum(one["probability"] for one in row["classes"]) == pytest.approx(1, abs=1e-4)


def logits_there(run: Path, images: Tensor, device: torch.device) -> Tensor:
    """Of the network on the device that trained it."""
    with torch.no_grad():
        return load_checkpoint(run).model.to(device)(images.to(device)).cpu()


@pytest.mark.parametrize("to", ["timm", "onnx"])
def test_what_was_trained_has_the_same_logits_in_files_for_others(to, run, device, tmp_path):
    for package in formats.FORMATS[to].packages:
        pytest.importorskip(package)
    asvit("export", run, "--to", to, "--out", tmp_path / "out")
    images = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = formats.FORMATS[to].read(tmp_path / "out")(images)
    torch.testing.assert_close(found, logits_there(run, images, device), rtol=0, atol=1e-4)


def test_measuring_names_the_device(device, photographs, tmp_path):
    seen = ("--images", photographs.files[0].parent, "--kernel-images", 4, "--image-size", 32)
    metrics = ("--metrics", "length,ntk,latency,memory", "--recipe", "smoke")
    asvit("measure", TINY, "small", *metrics, *seen, "--device", device, "--out", tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["environment"]["device"] == device_name(device)
    for row in json.loads((tmp_path / "run" / "result.json").read_text())["measurements"]:
        assert row["invalid"] is None
        assert all(estimate["mean"] > 0 for estimate in row["estimates"].values())
