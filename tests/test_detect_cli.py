"""Detection as a user runs it: train, evaluate, predict, report, two processes, bad input."""

import csv
import json
import shutil
import signal
import time
from base64 import b64encode
from pathlib import Path

import commands
import numpy as np
import pytest
import torch
from coco_sets import coco_folder, edit
from PIL import Image
from pycocotools.coco import COCO as Reference
from safetensors.torch import load_file
from test_cli import asvit
from test_train_cli import TINY

from asvit.commands.app import main

SMOKE = ("detect", "train", TINY, "--data", "set", "--recipe", "smoke", "--threads", "1", "--workers", "0")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with a data set and a training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("detect")
    coco_folder(folder / "set", train=12, val=5)
    asvit(*SMOKE, "--out", "run", cwd=folder)
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    coco_folder(tmp_path / "set", train=12, val=5)
    return tmp_path


def test_a_run_directory_tells_the_training(finished):
    result = json.loads((finished / "run" / "result.json").read_text())
    rows = [json.loads(line) for line in (finished / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows == result["epochs"]
    with open(finished / "run" / "summary.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["boxes.ap"]) for row in table] == [row["boxes"]["ap"] for row in rows]
    assert [float(row["mask_loss"]) for row in table] == [row["mask_loss"] for row in rows]
    assert result["classes"] == ["box", "disc", "wedge"]
    assert [part["part"] for part in result["costs"]] == ["backbone", "pyramid", "proposals", "boxes", "masks"]
    assert (finished / "run" / result["checkpoint"]).exists()


def test_the_report_shows_it(finished, tmp_path):
    from asvit.report import write_picture

    shutil.copytree(finished / "run", tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    done = asvit("report", "run", cwd=tmp_path)
    assert done.stdout.strip() == "run/report.html"
    page = (tmp_path / "run" / "report.html").read_text()
    for words in ("Cascade Mask R-CNN on ", "96×96 images, 3 kinds of objects", "after epoch 2", "has no curve"):
        assert words in page
    mistakes = json.loads((tmp_path / "run" / "result.json").read_text())["mistakes"]
    assert len(mistakes) == 4  # of five images one has no object, and nothing is sure after two epochs
    for shown in mistakes:
        picture = (tmp_path / "run" / shown["picture"]).read_bytes()
        assert page.count(f"data:image/jpeg;base64,{b64encode(picture).decode()}") == 1
    assert "http://" not in page.replace("http://www.w3.org", "")
    picture = write_picture(tmp_path / "run", tmp_path / "run.png")
    with Image.open(picture) as image:
        assert image.width > 1000
    damaged = json.loads((tmp_path / "run" / "result.json").read_text())
    del damaged["epochs"][0]
    (tmp_path / "run" / "result.json").write_text(json.dumps(damaged))
    done = asvit("report", "run", cwd=tmp_path, check=2)
    assert "result.json is damaged: its epochs are not those of the recipe" in done.stderr


def test_a_killed_training_ends_in_the_same_weights(finished, folder):
    loading = [*SMOKE[:-1], "1"]  # how many processes load images is not part of what is trained
    command = commands.Started([*loading, "--checkpoint-minutes", "0", "--out", "run"], folder)
    while command.at_work() and not list((folder / "run" / "checkpoints").glob("epoch-0001*")):
        time.sleep(0.01)
    command.send(signal.SIGKILL)
    assert command.ended().returncode == -signal.SIGKILL
    while commands.processes_in(folder):  # those that load images end as well
        time.sleep(0.01)
    assert not (folder / "run" / "result.json").exists()
    asvit(*SMOKE, "--out", "run", cwd=folder)
    a, b = (load_file(root / "run" / "checkpoints" / "epoch-0002.safetensors") for root in (finished, folder))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    whole, parts = (look_back_of(root / "run") for root in (finished, folder))
    assert whole == parts


def look_back_of(run: Path) -> tuple:
    """What a result says of the best detector's mistakes, and their pictures."""
    result = json.loads((run / "result.json").read_text())
    return result["by_class"], result["mistakes"], [(run / one["picture"]).read_bytes() for one in result["mistakes"]]


def test_evaluate_gives_the_numbers_of_the_training_and_results_that_others_read(finished, tmp_path):
    result = json.loads((finished / "run" / "result.json").read_text())
    best = result["best"]
    asked = ("detect", "evaluate", finished / "run", "--data", finished / "set", "--threads", "1", "--workers", "0")
    done = asvit(*asked, "--results", "found.json", "--json", cwd=tmp_path)
    record = json.loads(done.stdout)
    for kind in ("boxes", "masks"):
        for name, value in record["scores"][kind].items():
            assert value == pytest.approx(best[kind][name], abs=1e-6), name
    for one, known in zip(record["by_class"], result["by_class"], strict=True):
        assert one == {**known, "boxes": pytest.approx(known["boxes"]), "masks": pytest.approx(known["masks"])}
    truth = Reference(str(finished / "set" / "annotations" / "instances_val2017.json"))
    found = truth.loadRes(str(tmp_path / "found.json"))
    assert len(found.anns) == record["detections"] > 0
    assert {one["category_id"] for one in found.anns.values()} <= {3, 7, 90}
    table = asvit(*asked, cwd=tmp_path).stdout
    assert len([line for line in table.splitlines() if line.strip().startswith(("AP ", "AR "))]) == 12
    rows = [line.split() for line in table.splitlines() if line.strip().startswith(("box ", "disc ", "wedge "))]
    with_objects = [one for one in record["by_class"] if one["objects"]]
    assert {(row[0], row[1]) for row in rows} == {(one["name"], str(one["objects"])) for one in with_objects}
    assert [float(row[2]) for row in rows] == sorted(float(row[2]) for row in rows)


def test_predict_draws_what_it_finds(finished, tmp_path):
    image = finished / "set" / "val2017" / "000.png"
    grey = tmp_path / "grey" / "000.png"
    grey.parent.mkdir()
    Image.open(image).convert("L").save(grey)
    asked = ("detect", "predict", finished / "run", image, grey, "--min-score", "0.06", "--threads", "1", "--json")
    record = json.loads(asvit(*asked, "--out", "drawn", cwd=tmp_path).stdout)
    assert [one["drawn"] for one in record["images"]] == ["drawn/000.png", "drawn/000-2.png"]
    first = record["images"][0]["objects"]
    assert first
    assert all(one["score"] >= 0.06 for one in first)
    assert {one["class"] for one in first} <= {"box", "disc", "wedge"}
    before, after = np.asarray(Image.open(image)), np.asarray(Image.open(tmp_path / "drawn" / "000.png"))
    assert before.shape == after.shape
    assert (before != after).any()
    nothing = asvit(*asked[:5], "--min-score", "0.99", "--threads", "1", "--out", "none", cwd=tmp_path)
    assert nothing.stdout.startswith(f"{image}: nothing of score 0.99 or more (--min-score) -> none/000.png")
    assert np.array_equal(before, np.asarray(Image.open(tmp_path / "none" / "000.png")))
    folders = asvit(*asked[:3], grey.parent, grey, "--threads", "1", "--out", "folders", cwd=tmp_path)
    assert f"{grey.parent}: 1 image\n" in folders.stderr
    assert sorted(path.name for path in (tmp_path / "folders").iterdir()) == ["000-2.png", "000.png"]
    again = asvit(*asked[:3], ".", "--threads", "1", "--out", "again", cwd=tmp_path)  # not what is drawn there
    assert ".: 1 image; skipped: 6 drawn by an earlier call, such as drawn/000-2.png\n" in again.stderr
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["000.png"]


def test_predict_and_evaluate_take_no_users_file_place(finished, tmp_path):
    image, precious = finished / "set" / "val2017" / "000.png", tmp_path / "drawn" / "001.png"
    precious.parent.mkdir()
    precious.write_text("precious")
    asked = ("detect", "predict", finished / "run", image, image.with_name("001.png"), "--threads", "1")
    done = asvit(*asked, "--out", "drawn", cwd=tmp_path, check=2)
    assert "drawn/001.png is there already and was not drawn by `asvit detect predict`" in done.stderr.splitlines()[-1]
    assert [path.read_text() for path in precious.parent.iterdir()] == ["precious"]
    asvit(*asked, "--out", "other", cwd=tmp_path)
    asvit(*asked, "--out", "other", cwd=tmp_path)  # what it has drawn itself it draws again
    assert len(list((tmp_path / "other").iterdir())) == 2
    truth = finished / "set" / "annotations" / "instances_val2017.json"
    before = truth.read_bytes()
    asked = ("detect", "evaluate", finished / "run", "--data", finished / "set", "--results", truth)
    assert "holds no detections in COCO's format" in asvit(*asked, cwd=tmp_path, check=2).stderr
    assert truth.read_bytes() == before


def test_without_objects_nothing_is_scored_and_what_is_found_may_be_written(finished, tmp_path):
    shutil.copytree(finished / "set", tmp_path / "set")
    edit(tmp_path / "set", "val", lambda d: d.update(annotations=[]))
    asked = ("detect", "evaluate", finished / "run", "--data", "set", "--threads", "1", "--workers", "0")
    said = asvit(*asked, cwd=tmp_path, check=2).stderr
    assert "has no objects, so there is nothing to score: expected annotations with a box and an outline each" in said
    asvit(*asked, "--results", "found.json", cwd=tmp_path)
    assert {one["image_id"] for one in json.loads((tmp_path / "found.json").read_text())} <= set(range(100, 200, 7))


def test_describe_counts_the_papers_detector(tmp_path):
    record = json.loads(asvit("detect", "describe", "large", "--json", cwd=tmp_path).stdout)
    assert record["params"] - record["position_embedding"] == 138_922_410
    assert record["image_size"] == [1024, 1024]
    table = asvit("detect", "describe", "seed", "--recipe", "small", "--sides", "200", "300", cwd=tmp_path).stdout
    assert "MACs at 224x320" in table


def test_two_processes_train_together_and_score_every_picture_once(folder):
    for done in commands.run_together([*SMOKE, "--out", "pair"], folder):
        assert done.returncode == 0, done.stderr
    best = json.loads((folder / "pair" / "result.json").read_text())["best"]
    alone = asvit("detect", "evaluate", "pair", "--data", "set", "--threads", "1", "--json", cwd=folder)
    scores = json.loads(alone.stdout)["scores"]
    assert best["boxes"]["ar_100"] > 0
    assert scores["boxes"]["ar_100"] == pytest.approx(best["boxes"]["ar_100"], abs=1e-6)
    assert scores["masks"]["ap"] == pytest.approx(best["masks"]["ap"], abs=1e-6)
    by_class, mistakes, pictures = look_back_of(folder / "pair")
    assert by_class == [
        {**one, "boxes": pytest.approx(one["boxes"], abs=1e-6), "masks": pytest.approx(one["masks"], abs=1e-6)}
        for one in json.loads(alone.stdout)["by_class"]
    ]
    assert len(mistakes) == len(pictures) == 4


def test_bad_input_is_one_line(finished, folder, monkeypatch, capsys):
    def refused(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in arguments])
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    monkeypatch.chdir(folder)
    run, checkpoint = finished / "run", finished / "run" / "checkpoints" / "epoch-0002.safetensors"
    assert "expected one JSON file for train" in refused(*SMOKE[:4], "nowhere")
    vit = ("detect", "train", "timm:vit_tiny_patch16_224", *SMOKE[3:])
    assert "a detector needs 4, 8, 16, 32" in refused(*vit, "--drop-path", "0")
    assert "expected a short and a long side" in refused(*SMOKE, "--sides", "90", "40")
    assert "give one" in refused(*SMOKE, "--sides", "40", "90", "--square", "64")
    assert "there is no nothing.safetensors" in refused(*SMOKE, "--start", "nothing.safetensors")
    assert "is not a checkpoint of `asvit train`" in refused(*SMOKE, "--start", checkpoint)
    assert "is not the run directory of `asvit train`" in refused("predict", run, "x.png")
    assert "cannot read the image gone.png" in refused("detect", "predict", run, "gone.png")
    assert "no image to look at" in refused("detect", "predict", run)
    evaluate = ("detect", "evaluate", run, "--data", "set")
    assert "give --in-chans" in refused(*evaluate, "--in-chans", "1")
    edit(folder / "set", "val", lambda d: d["categories"][0].update(name="ring"))
    words = refused(*evaluate)
    assert "are not those of" in words
    assert "differing: disc, ring" in words
    assert "are not those of" in refused(*SMOKE)
    edit(folder / "set", "train", lambda d: d["annotations"][0].update(bbox=[3, 3, 0, 0]))
    assert "--max-left-out 1 (now 0)" in refused(*SMOKE)
    (folder / "set" / "train2017" / "003.png").unlink()
    assert "there is no set/train2017/003.png" in refused(*SMOKE, "--max-left-out", "1")
    assert list(folder.glob("run*")) == []


def test_another_configuration_does_not_go_on_in_the_same_directory(finished):
    done = asvit(*SMOKE, "--lr", "0.1", "--out", "run", cwd=finished, check=2)
    assert "was begun with --lr 0.001, not 0.1: repeat its command" in done.stderr
