"""Training, evaluation and prediction as a user runs them: real digits, interruptions, two processes, bad input."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import commands
import numpy as np
import pytest
import torch
from image_sets import array_folder, image_folder
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from test_cli import asvit

from asvit import Architecture, Task, load
from asvit.images import Normalisation
from asvit.runs.records import write_record
from asvit.units import format_size

TINY = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8"
DIGITS = ("train", TINY, "--data", "digits", "--recipe", "digits", "--stage-epochs", "1", "1", "1")
RUN = (*DIGITS, "--warmup-epochs", "1", "--threads", "1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("trained")
    asvit(*RUN, "--out", "run", cwd=folder)
    return folder / "run"


def last_weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / "epoch-0003.safetensors")


def test_a_run_directory_tells_the_training(finished):
    result = json.loads((finished / "result.json").read_text())
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert rows == result["epochs"]
    with open(finished / "summary.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["top1"]) for row in table] == [row["top1"] for row in rows]
    assert [row["coarseness"] for row in rows] == [4, 2, 1]
    assert (finished / result["checkpoint"]).exists()
    assert 0 < result["saved_macs"] < 0.5
    assert (finished / "report.html").stat().st_size > 100_000


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_killed_training_ends_in_the_same_weights(finished, tmp_path, epochs):
    command = commands.Started([*RUN, "--checkpoint-minutes", "0", "--out", "run"], tmp_path)
    while command.at_work() and not list((tmp_path / "run" / "checkpoints").glob(f"epoch-{epochs:04d}*")):
        time.sleep(0.01)
    command.send(signal.SIGKILL)
    assert command.ended().returncode == -9
    assert not (tmp_path / "run" / "result.json").exists()
    asvit(*RUN, "--out", "run", cwd=tmp_path)  # how often it writes checkpoints is not part of what is trained
    ours, theirs = last_weights(tmp_path / "run"), last_weights(finished)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_ctrl_c_says_how_to_go_on(tmp_path):
    command = commands.Started([*RUN, "--out", "run"], tmp_path)
    while command.at_work() and not list((tmp_path / "run").glob("checkpoints/*")):
        time.sleep(0.01)
    command.send(signal.SIGTERM)
    done = command.ended()
    assert done.returncode == 143
    assert done.stderr.splitlines()[-1] == "asvit: terminated; the same command goes on from what was kept"


def test_a_full_disk_leaves_the_last_good_checkpoint(finished, tmp_path):
    room = (finished / "checkpoints" / "epoch-0003.safetensors").stat().st_size - 1000
    stopped = asvit(*RUN, "--out", "run", cwd=tmp_path, check=2, largest_file=room)
    assert "cannot write run/checkpoints/epoch-0001.safetensors" in stopped.stderr.splitlines()[-1]
    assert "make room, then repeat the command" in stopped.stderr.splitlines()[-1]
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []
    asvit(*RUN, "--out", "run", cwd=tmp_path)
    assert all(torch.equal(x, last_weights(finished)[name]) for name, x in last_weights(tmp_path / "run").items())


def test_a_finished_training_is_not_repeated(finished):
    before = (finished / "metrics.jsonl").read_bytes()
    asvit(*RUN, "--out", finished, cwd=finished)
    assert (finished / "metrics.jsonl").read_bytes() == before


def test_evaluate_and_predict_say_what_training_said(finished, tmp_path):
    best = json.loads((finished / "result.json").read_text())["best"]
    scored = json.loads(asvit("evaluate", finished, "--data", "digits", "--json", cwd=tmp_path).stdout)["scores"]
    assert scored["images"] == 359
    for name in ("top1", "top5", "loss"):
        assert scored[name] == pytest.approx(best[name], rel=1e-5)
    assert sum(cell["images"] for cell in scored["confusion"] if cell["true"] == cell["said"]) == round(
        best["top1"] * 359
    )
    raw = asvit("evaluate", finished, "--data", "digits", "--raw", "--image-size", "48", cwd=tmp_path).stdout
    assert "on 359 images of digits, val: top-1" in raw
    digits = load_digits()
    for i in (4, 9):
        Image.fromarray((digits.images[i] / 16 * 255).round().astype(np.uint8)).save(tmp_path / f"{i}.png")
    said = json.loads(asvit("predict", finished, "4.png", "9.png", "--top", "10", "--json", cwd=tmp_path).stdout)
    assert [row["image"] for row in said["predictions"]] == ["4.png", "9.png"]
    for row in said["predictions"]:
        assert {c["class"] for c in row["classes"]} == set("0123456789")
        assert sum(c["probability"] for c in row["classes"]) == pytest.approx(1, abs=1e-5)


def test_a_plan_trains_nothing(tmp_path):
    plan = (
        "train",
        TINY,
        "--data",
        "digits",
        "--recipe",
        "imagenet",
        "--image-size",
        "64",
        "--batch-size",
        "64",
        "--plan",
    )
    said = json.loads(asvit(*plan, "--json", cwd=tmp_path).stdout)
    full = said["stages"][-1]["macs"]
    assert [stage["epochs"] for stage in said["stages"]] == [80, 60, 160]
    spent = sum(stage["epochs"] * stage["macs"] for stage in said["stages"])
    assert said["saved_macs"] == pytest.approx(1 - spent / (300 * full))
    assert (said["images"], said["task"]["image_size"], said["recipe"]["warmup_epochs"]) == ([1438, 359], [64, 64], 20)
    assert said["seconds"] > 0
    text = asvit(*plan, cwd=tmp_path).stdout
    assert f"saved: {said['saved_macs']:.1%} of the training's multiply-adds" in text
    assert "imagenet: 300 epochs in batches of 64" in text
    assert list(tmp_path.iterdir()) == []


def designed_file(folder: Path, *, size=(48, 48), channels=5, classes=3) -> Path:
    path = folder / "mine.json"
    task = {"image_size": size, "in_chans": channels, "num_classes": classes}
    write_record(path, "design", {"architecture": TINY, "task": task})
    return path


SHORT = ("--recipe", "smoke", "--epochs", "1", "--batch-size", "4", "--threads", "1", "--workers", "0")


def test_what_was_designed_is_what_is_trained(tmp_path):
    array_folder(tmp_path / "set", 5)
    designed = designed_file(tmp_path)
    done = asvit("train", designed, "--data", "set", *SHORT, "--out", "run", cwd=tmp_path)
    network, task = Architecture.parse(TINY), Task(image_size=(48, 48), in_chans=5, num_classes=3)
    macs = format_size(network.macs(task))
    assert f"trains on {task}, as the network was designed: {format_size(network.params(task))}" in done.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["stages"][-1]["macs"] == network.macs(task)
    larger = asvit("train", designed, "--data", "set", *SHORT, "--image-size", "96", "--out", "b", cwd=tmp_path)
    more = format_size(network.macs(Task(image_size=(96, 96), in_chans=5, num_classes=3)))
    assert "and is trained on 96x96 images, 5 channels, 3 classes: parameters" in larger.stderr
    assert f"MACs {macs} -> {more}" in larger.stderr


def test_grey_and_coloured_pictures_are_read_as_designed_and_arrays_refused(tmp_path):
    image_folder(tmp_path / "set")
    done = asvit("train", designed_file(tmp_path, channels=1), "--data", "set", *SHORT, "--out", "run", cwd=tmp_path)
    assert "pictures are read with 1 channel, as the network was designed" in done.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["task"]["in_chans"] == 1
    said = asvit("evaluate", "run", "--data", "set", cwd=tmp_path).stdout  # in grey too
    assert "on 9 images" in said
    array_folder(tmp_path / "arrays", 5)
    refused = asvit("train", designed_file(tmp_path, channels=3), "--data", "arrays", *SHORT, cwd=tmp_path, check=2)
    assert "was designed for 3 channels, but arrays/train has 5 channels" in refused.stderr
    assert "--in-chans 5" in refused.stderr
    own = asvit("train", tmp_path / "mine.json", "--data", "arrays", *SHORT, "--in-chans", "5", cwd=tmp_path)
    assert "the network was designed for 48x48 images, 3 channels, 3 classes" in own.stderr


def test_mean_deviation_and_range_travel_with_the_checkpoint_and_the_export(tmp_path):
    folder = array_folder(tmp_path / "set", 5)
    for path in folder.rglob("*.npy"):
        np.save(path, np.load(path).astype(np.uint16) * 8)
    plain = asvit("train", TINY, "--data", "set", *SHORT, "--out", "plain", cwd=tmp_path)
    assert "uint16" in plain.stderr
    assert "--value-range" in plain.stderr
    ranged = (*SHORT, "--value-range", "2040")
    done = asvit("train", TINY, "--data", "set", *ranged, "--out", "run", cwd=tmp_path)
    assert "uint16" not in done.stderr
    asvit("export", "run", "--out", "exported", cwd=tmp_path)
    classifier, exported = load(tmp_path / "run"), load(tmp_path / "exported")
    images = np.stack([np.load(path) for path in (folder / "train").rglob("*.npy")]) / 2040
    expected = Normalisation(tuple(images.mean((0, 1, 2))), tuple(images.std((0, 1, 2))))
    for loaded in (classifier, exported):
        assert loaded.looking.value_range == (0, 2040)
        assert loaded.looking.normalisation.mean == pytest.approx(expected.mean, rel=1e-4)
        assert loaded.looking.normalisation.std == pytest.approx(expected.std, rel=1e-4)
    array = np.load(folder / "val" / "dark" / "0.npy")
    assert dict(classifier.predict(array)) == pytest.approx(dict(exported.predict(array)))
    card = (tmp_path / "exported" / "README.md").read_text()
    assert "numbers less 0, over 2040" in card
    assert "PIL" not in card


def test_predict_takes_folders(finished, tmp_path):
    image_folder(tmp_path / "set")
    said = json.loads(asvit("predict", finished, "set/val", "set/train/mid", "--json", cwd=tmp_path).stdout)
    assert len(said["predictions"]) == 9 + 8
    assert said["predictions"][0]["image"] == "set/val/dark/0.png"


def test_images_with_five_channels_from_a_folder(tmp_path):
    array_folder(tmp_path / "set", 5)
    short = ("--recipe", "smoke", "--epochs", "2", "--batch-size", "4", "--threads", "1", "--workers", "0")
    asvit("train", TINY, "--data", "set", *short, "--out", "run", cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["task"]["in_chans"] == 5
    assert result["classes"] == ["dark", "light", "mid"]
    said = asvit("predict", "run", "set/val/dark/0.npy", cwd=tmp_path).stdout
    assert said.startswith("set/val/dark/0.npy: ")


def test_photographs_with_every_augmentation_and_an_unreadable_one(tmp_path):
    image_folder(tmp_path / "set", train=12)
    (tmp_path / "set" / "train" / "mid" / "5.png").write_bytes(b"\x89PNG no more")
    short = ("--recipe", "smoke", "--threads", "1", "--workers", "1", "--tensorboard")
    asvit("train", TINY, "--data", "set", *short, "--out", "run", cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    (unreadable,) = result["unreadable"]
    assert unreadable.startswith("mid/5.png: ")
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    too_many = asvit(
        "train", TINY, "--data", "set", *SHORT, "--max-unreadable", "0", "--out", "b", cwd=tmp_path, check=2
    )
    assert "1 training images cannot be read, the last: mid/5.png" in too_many.stderr.splitlines()[-1]


def torchrun(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run([*command, "-m", "asvit", *arguments], cwd=cwd, capture_output=True, text=True)


def test_two_processes_give_the_losses_of_one_and_one_goes_on_where_two_stopped(tmp_path):
    plain = ("--drop-path", "0", "--mixup", "0", "--cutmix", "0")
    asvit(*RUN, *plain, "--out", "alone", cwd=tmp_path)
    every_step = ("--checkpoint-minutes", "0", "--keep", "1000")
    done = torchrun(*RUN, *plain, *every_step, "--out", "pair", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    alone, pair = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("alone", "pair")
    )
    for name in ("train_loss", "loss"):
        assert [row[name] for row in pair] == pytest.approx([row[name] for row in alone], rel=1e-4)
    assert [row["top1"] for row in pair] == pytest.approx([row["top1"] for row in alone], abs=0.01)

    (tmp_path / "pair" / "result.json").unlink()
    for path in (tmp_path / "pair" / "checkpoints").iterdir():
        if path.name > "epoch-0002-step-000011":
            path.unlink()
    asvit(*RUN, *plain, "--out", "pair", cwd=tmp_path)  # from the middle of the third epoch
    again = [json.loads(line) for line in (tmp_path / "pair" / "metrics.jsonl").read_text().splitlines()]
    assert again[:2] == pair[:2]
    assert [row["train_loss"] for row in again] == pytest.approx([row["train_loss"] for row in pair], rel=1e-4)


@pytest.mark.slow
def test_compiled_training_gives_the_same_losses(finished, tmp_path):
    asvit(*RUN, "--compile", "--out", "run", cwd=tmp_path)
    compiled, plain = (
        [json.loads(line)["train_loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (tmp_path / "run", finished)
    )
    assert compiled == pytest.approx(plain, rel=1e-3)


BAD_INPUT = {
    "no such folder": (
        ["train", TINY, "--data", "nowhere"],
        "there is no nowhere: expected a folder or tar file with train and val",
    ),
    "no data": (["train", TINY], "--data"),
    "no such timm model": (["train", "timm:nonsense", "--data", "digits"], "timm has no model named 'nonsense'"),
    "initialisation of timm's": (
        ["train", "timm:resnet18", "--data", "digits", "--initialisation", "fan-in"],
        "timm:resnet18 draws its weights by itself: leave --initialisation out",
    ),
    "warm-up": ([*DIGITS, "--warmup-epochs", "3"], "3 of 3 epochs are warm-up"),
    "batch": ([*RUN, "--batch-size", "2000"], "fewer than a batch of 2000"),
    "schedule": ([*DIGITS[:-3], "3", "0"], "the stages' epochs are [3, 0]"),
    "no coarse tokens": (
        ["train", "timm:resnet18", "--data", "digits", "--recipe", "digits"],
        "ResNet cannot be re-tokenized",
    ),
    "no checkpoint": (["evaluate", "nothing.safetensors", "--data", "digits"], "there is no nothing.safetensors"),
    "no image": (["predict", "run"], "no image to look at: expected one or more files, or folders of them"),
    "two schedules": ([*RUN, "--schedule", "none"], "--stage-epochs says epochs and schedule"),
    "no checkpoints": ([*RUN, "--keep", "0"], "keep is 0: expected at least 1"),
    "an option of another command": (["predict", "run", "a.png", "--out", "b"], "--out"),
}


@pytest.mark.parametrize(("arguments", "said"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_one_line(tmp_path, arguments, said):
    done = asvit(*arguments, cwd=tmp_path, check=2)
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_batch_that_is_too_large_is_refused_before_anything_is_written(tmp_path):
    said = asvit(*DIGITS, "--batch-size", "2000", "--out", "run", cwd=tmp_path, check=2).stderr
    assert "fewer than a batch of 2000: choose a smaller --batch-size" in said
    assert list(tmp_path.iterdir()) == []


def test_the_time_of_a_network_with_batch_norm_is_told(tmp_path):
    """Its last map of 32x32 images has one pixel: of a single image batch norm has nothing to go by."""
    words = ("--data", "digits", "--recipe", "smoke", "--schedule", "none", "--plan", "--workers", "0")
    said = asvit("train", "timm:test_resnet", *words, cwd=tmp_path)
    assert re.search(r"time +about \d+ (seconds?|minutes?) on", said.stdout)
