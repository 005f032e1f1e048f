"""Commands as they are typed on a machine with the device: its defaults, its files, and what others read of them."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from image_sets import image_folder
from on_device import CPU, ON_DEVICE, TINY
from torch import Tensor

from asvit.architecture import Architecture, Task
from asvit.cli import main
from asvit.export import formats
from asvit.measure import Measurer
from asvit.study.plan import PlanSettings, planned
from asvit.study.recipes import RECIPES
from asvit.subject import ArchitectureSubject
from asvit.training.classifier import ClassifierTraining
from asvit.training.recipe import TrainRecipe
from asvit.training.resident import Resident, stored_size
from asvit.training.retokenize import named_schedule
from asvit.training.running import Running
from asvit.training.sources import open_source
from asvit.training.trained import load_network
from asvit.work import device_name

pytestmark = [*ON_DEVICE, pytest.mark.usefixtures("exact")]

WORKERS = {"cpu": 0, "cuda": 2}
PRECISION = {"cpu": "float32", "cuda": "bfloat16"}
"""By default."""


def asvit(*arguments: object) -> None:
    """A command in this process."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in arguments])
    assert ended.value.code == 0


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """72 to learn from, 24 to evaluate on, in three classes."""
    return image_folder(tmp_path_factory.mktemp("images"), train=24, val=8)


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
        return load_network(run).model.to(device)(images.to(device)).cpu()


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


PLAN = planned(PlanSettings(topologies=3, seeds=2, repeated=3, seed=0))


@pytest.fixture(scope="module")
def study(images, device, photographs, tmp_path_factory) -> Path:
    """Six trainings by two workers at a time."""
    folder = tmp_path_factory.mktemp("study") / "run"
    data = ("--data", images, "--train-images", 48, "--batch-size", 16, "--images", photographs.files[0].parent)
    plan = ("--recipe", "smoke", "--topologies", 3, "--least-ratio", 0, "--metrics", "length,ntk,params")
    where = ("--device", device, "--workers", 2, "--threads", 1, "--out", folder)
    command = [sys.executable, "-m", "asvit", "study", *map(str, (*data, *plan, *where))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "has died" not in done.stderr
    return folder


def rows_of(study: Path) -> list[dict[str, str]]:
    with open(study / "topologies.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_two_workers_do_all_trainings_of_a_study(study, device):
    rows = rows_of(study)
    assert [(row["network"], int(row["seed"])) for row in rows] == [(one.network, one.seed) for one in PLAN]
    assert {row["device"] for row in rows} == {device_name(device)}
    assert {row["precision"] for row in rows} == {PRECISION.get(device.type, "float32")}
    assert all(float(row["seconds"]) > 0 for row in rows)


def by_itself(row: dict[str, str], images: Path, recipe: TrainRecipe, device: torch.device) -> tuple[float, float]:
    """Accuracy and loss of the training of a row, done here."""
    train, val = (
        Resident(open_source(str(images), split), stored_size(recipe), device, images=count, evaluation=split == "val")
        for split, count in (("train", 48), ("val", None))
    )
    name, schedule = str(Architecture.parse(row["network"])), named_schedule("none", recipe.epochs)
    how = Running(precision=PRECISION.get(device.type, "float32"))
    one = ClassifierTraining(name, train, val, recipe, schedule, seed=int(row["seed"]), device=device, running=how)
    one.train_epoch(Path("nowhere"), lambda training: None)
    scores = one.evaluate()
    return scores.top1, scores.loss


def test_its_accuracies_and_measures_are_those_of_a_network_by_itself(study, images, device, photographs):
    row, recipe = rows_of(study)[4], RECIPES["smoke"]
    top1, loss = by_itself(row, images, replace(recipe.train, batch_size=16), device)
    if device.type == "cpu":
        assert (float(row["top1"]), float(row["loss"])) == (top1, loss)
    assert float(row["top1"]) == pytest.approx(top1, abs=1.5 / 24)
    assert float(row["loss"]) == pytest.approx(loss, rel=2e-2)
    subject = ArchitectureSubject(
        Architecture.parse(row["network"]), Task(image_size=recipe.train.image_size, num_classes=3)
    )
    measured = Measurer(recipe.settings(), subject.task, photographs=photographs, device=CPU)(subject)
    assert float(row["length"]) == pytest.approx(measured.estimates["length"].mean, rel=1e-5)
    assert float(row["ntk"]) == pytest.approx(measured.estimates["ntk"].mean, rel=5e-3)
