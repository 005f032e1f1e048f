"""A study on the device: two workers at a time, and what they find."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from image_sets import opened
from on_device import CPU, ON_DEVICE, PRECISION

from asvit.measure.measurer import Measurer
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture, Task
from asvit.networks.named import parse_network
from asvit.runs.devices import device_name
from asvit.study.plan import PlanSettings, planned
from asvit.study.recipes import RECIPES
from asvit.study.sample import sample_topologies
from asvit.training.classifier import ClassifierTraining
from asvit.training.recipe import TrainRecipe
from asvit.training.resident import Resident, stored_size
from asvit.training.schedule import named_schedule
from asvit.training.settings import Running

pytestmark = ON_DEVICE

PLAN = planned(PlanSettings(topologies=3, seeds=2, repeated=3, seed=0), sample_topologies(3, seed=0))


@pytest.fixture(scope="module")
def study(images, device, photographs, tmp_path_factory) -> Path:
    """Six trainings by two workers at a time, in miniature by one."""
    folder = tmp_path_factory.mktemp("study") / "run"
    data = ("--data", images, "--train-images", 48, "--batch-size", 16, "--images", photographs.files[0].parent)
    plan = ("--recipe", "smoke", "--topologies", 3, "--least-ratio", 0, "--metrics", "length,ntk,params")
    workers = 1 if device.type == "cpu" else 2  # of which each imports all of torch
    where = ("--device", device, "--workers", workers, "--threads", 1, "--out", folder)
    command = [sys.executable, "-m", "asvit", "study", *map(str, (*data, *plan, *where))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "has died" not in done.stderr
    return folder


def rows_of(study: Path) -> list[dict[str, str]]:
    with open(study / "topologies.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_workers_do_all_trainings_of_a_study(study, device):
    rows = rows_of(study)
    assert [(row["network"], int(row["seed"])) for row in rows] == [(one.network, one.seed) for one in PLAN]
    assert {row["device"] for row in rows} == {device_name(device)}
    assert {row["precision"] for row in rows} == {PRECISION.get(device.type, "float32")}
    assert all(float(row["seconds"]) > 0 for row in rows)


def by_itself(row: dict[str, str], images: Path, recipe: TrainRecipe, device: torch.device) -> tuple[float, float]:
    """Accuracy and loss of the training of a row, done here."""
    train, val = (
        Resident(opened(images, split), stored_size(recipe), device, images=count, evaluation=split == "val")
        for split, count in (("train", 48), ("val", None))
    )
    name, schedule = str(Architecture.parse(row["network"])), named_schedule("none", recipe.epochs)
    how = Running(precision=PRECISION.get(device.type, "float32"))
    one = ClassifierTraining(
        parse_network(name), train, val, recipe, schedule, seed=int(row["seed"]), device=device, running=how
    )
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
