"""Training, evaluation and prediction as a user runs them: real digits, interruptions, two processes, bad input."""

import csv
import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from image_sets import array_folder, image_folder
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from test_cli import ASVIT, asvit

TINY = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8"
DIGITS = ("train", TINY, "--data", "digits", "--recipe", "digits", "--stage-epochs", "1", "1", "2")
RUN = (*DIGITS, "--warmup-epochs", "1", "--threads", "1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("trained")
    asvit(*RUN, "--out", "run", cwd=folder)
    return folder / "run"


def last_weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / "epoch-0004.safetensors")


def test_a_run_directory_tells_the_training(finished):
    result = json.loads((finished / "result.json").read_text())
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert rows == result["epochs"]
    with open(finished / "summary.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["top1"]) for row in table] == [row["top1"] for row in rows]
    assert [row["coarseness"] for row in rows] == [4, 2, 1, 1]
    assert (finished / result["checkpoint"]).exists()
    assert 0 < result["saved_macs"] < 0.5
    assert (finished / "report.html").stat().st_size > 100_000


@pytest.mark.parametrize("epochs", [0, 3])
def test_a_killed_training_ends_in_the_same_weights(finished, tmp_path, epochs):
    command = [ASVIT, *RUN, "--checkpoint-minutes", "0", "--out", "run"]
    folder = tmp_path / "run" / "checkpoints"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(folder.glob(f"epoch-{epochs:04d}*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -9
    assert not (tmp_path / "run" / "result.json").exists()
    asvit(*RUN, "--out", "run", cwd=tmp_path)  # how often it writes checkpoints is not part of what is trained
    ours, theirs = last_weights(tmp_path / "run"), last_weights(finished)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_ctrl_c_says_how_to_go_on(tmp_path):
    with subprocess.Popen([ASVIT, *RUN, "--out", "run"], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list((tmp_path / "run").glob("checkpoints/*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    assert process.returncode == 143
    assert said.splitlines()[-1] == "asvit: terminated; the same command goes on from what was kept"


def test_a_full_disk_leaves_the_last_good_checkpoint(finished, tmp_path):
    room = (finished / "checkpoints" / "epoch-0004.safetensors").stat().st_size - 1000

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    stopped = asvit(*RUN, "--out", "run", cwd=tmp_path, check=2, preexec_fn=small_files)
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
    assert np.trace(scored["confusion"]) == round(best["top1"] * 359)
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
    said = json.loads(
        asvit("train", "large", "--data", "digits", "--image-size", "224", "--plan", "--json", cwd=tmp_path).stdout
    )
    full = said["stages"][-1]["macs"]
    assert [stage["epochs"] for stage in said["stages"]] == [80, 60, 160]
    assert said["saved_macs"] == pytest.approx(0.402, abs=0.002)
    assert full == pytest.approx(22.36e9, rel=0.01)
    assert (
        "saved: 40.2% of the training's multiply-adds"
        in asvit("train", "large", "--data", "digits", "--image-size", "224", "--plan", cwd=tmp_path).stdout
    )
    assert list(tmp_path.iterdir()) == []


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
        "train", TINY, "--data", "set", *short, "--max-unreadable", "0", "--out", "b", cwd=tmp_path, check=2
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
        "there is no train or training folder or tar file in nowhere",
    ),
    "no data": (["train", TINY], "--data"),
    "no such timm model": (["train", "timm:nonsense", "--data", "digits"], "timm has no model named 'nonsense'"),
    "warm-up": ([*DIGITS, "--warmup-epochs", "4"], "4 of 4 epochs are warm-up"),
    "batch": ([*RUN, "--batch-size", "2000"], "fewer than a batch of 2000"),
    "schedule": ([*DIGITS[:-3], "3", "0"], "the stages' epochs are [3, 0]"),
    "no coarse tokens": (
        ["train", "timm:resnet18", "--data", "digits", "--recipe", "digits"],
        "ResNet cannot be re-tokenized",
    ),
    "no checkpoint": (["evaluate", "nothing.safetensors", "--data", "digits"], "cannot read the checkpoint"),
    "no image": (["predict", "run"], "no image to classify"),
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
