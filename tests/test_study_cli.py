"""A study as a user runs it: two workers on real digits, killed, continued, judged, refused."""

import csv
import json
import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import commands
import pytest
import torch
from image_sets import opened
from test_cli import asvit

from asvit.commands.app import main
from asvit.networks.architecture import Architecture
from asvit.networks.named import parse_network
from asvit.networks.space import Topology
from asvit.study.plan import PlanSettings, planned
from asvit.study.recipes import RECIPES
from asvit.study.sample import sample_topologies
from asvit.study.settings import StudySettings
from asvit.study.setup import images_used
from asvit.training.classifier import ClassifierTraining
from asvit.training.resident import Resident, stored_size
from asvit.training.schedule import named_schedule
from asvit.training.settings import ImageData

BARE = ("study", "--data", "digits", "--recipe", "smoke", "--threads", "1")
STUDY = (*BARE, "--metrics", "length,ntk,params")
SOON = ("--heartbeat", "2")  # seconds; twice that after a worker was killed, its training is given back
PLAN = planned(PlanSettings(topologies=4, seeds=2, repeated=4, seed=0), sample_topologies(4, seed=0))


def workers_of(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_for(command: commands.Started, happened) -> None:
    while command.at_work() and not happened():
        time.sleep(0.01)
    assert command.at_work(), command.ended().stderr


def rows_of(run: Path, name: str = "topologies.csv") -> list[dict[str, str]]:
    """Of a file that may not be there yet."""
    if not (run / name).exists():
        return []
    with open(run / name, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A study one of whose workers was killed, then all of it, and that then was continued.

    Beside it lies what it had written when it was killed.
    """
    folder = tmp_path_factory.mktemp("study")
    run = folder / "run"
    command = commands.Started([*STUDY, "--least-ratio", "0", "--workers", "2", *SOON, "--out", "run"], folder)
    wait_for(command, lambda: trials(run, "RUNNING") == 2)
    first, second = workers_of(command.pid)
    os.kill(first, signal.SIGKILL)
    wait_for(command, lambda: len(rows_of(run)) >= 3)
    command.send(signal.SIGKILL)
    said = command.ended().stderr
    shutil.copy(run / "topologies.csv", folder / "killed.csv")
    assert f"worker {first} has died (exit code -9): its training is given back" in said
    while alive(second):  # it ends with its parent
        time.sleep(0.01)
    assert not (run / "result.json").exists()
    asvit(*STUDY, "--least-ratio", "0", "--workers", "1", *SOON, "--out", "run", cwd=folder)
    return run


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def trials(run: Path, state: str) -> int:
    try:
        with sqlite3.connect(f"file:{run / 'study.sqlite3'}?mode=ro", uri=True, timeout=60) as database:
            return database.execute("SELECT count(*) FROM trials WHERE state = ?", (state,)).fetchone()[0]
    except sqlite3.OperationalError:  # not there yet
        return 0


def test_nothing_is_lost_when_workers_and_the_study_are_killed(finished):
    rows = rows_of(finished)
    assert [(row["network"], int(row["seed"])) for row in rows] == [(one.network, one.seed) for one in PLAN]
    assert trials(finished, "COMPLETE") == len(PLAN)
    assert list(finished.glob("trainings/*")) == []


def test_accuracies_are_those_of_a_training_by_itself(finished):
    recipe, cpu = RECIPES["smoke"].train, torch.device("cpu")
    train, val = (
        Resident(opened("digits", "train"), stored_size(recipe), cpu, images=RECIPES["smoke"].images),
        Resident(opened("digits", "val"), stored_size(recipe), cpu),
    )
    row = rows_of(finished)[5]
    name = str(Architecture(Topology.parse(row["network"])))
    schedule = named_schedule("none", recipe.epochs)
    training = ClassifierTraining(parse_network(name), train, val, recipe, schedule, seed=int(row["seed"]), device=cpu)
    result = training.run(finished.parent / "by-itself", lambda training: None)
    assert float(row["top1"]) == result.epochs[-1].top1
    assert float(row["loss"]) == result.epochs[-1].loss


def test_the_verdict_has_a_row_a_score_and_a_page(finished):
    result = json.loads((finished / "result.json").read_text())
    assert result["sentence"].startswith("No score is judged: this study trained 4 topologies")
    assert [score["name"] for score in result["scores"]] == ["length", "ntk", "params", "length+ntk"]
    assert len(result["points"]) == 4
    assert all(point["trainings"] == 2 for point in result["points"])
    page = (finished / "report.html").read_text()
    assert all(one.network.split("|")[0] in page for one in PLAN)


def test_a_study_continues_from_what_a_killed_one_had_written(finished, tmp_path):
    killed = finished.parent / "killed.csv"
    arguments = ("--continue-from", str(killed), "--least-ratio", "0", "--workers", "1", "--out", "run", "--json")
    said = asvit(*STUDY, *arguments, cwd=tmp_path)
    earlier = {(row["network"], row["seed"]): row["seconds"] for row in rows_of(finished.parent, killed.name)}
    assert f"{len(earlier)} of {len(earlier)} trainings of {killed} count here" in said.stderr
    assert 3 <= len(earlier) <= len(PLAN)
    rows = {(row["network"], row["seed"]): row["seconds"] for row in rows_of(tmp_path / "run")}
    assert len(rows) == len(PLAN)
    assert earlier.items() <= rows.items()  # the same seconds: not trained again
    ours, theirs = json.loads(said.stdout), json.loads((finished / "result.json").read_text())
    assert [one["top1"] for one in ours["trained"]] == [one["top1"] for one in theirs["trained"]]
    assert [score["tau"] for score in ours["scores"]] == [score["tau"] for score in theirs["scores"]]


@pytest.mark.slow
def test_a_study_at_a_budget_fills_it_and_goes_on_with_the_same_networks(tmp_path):
    budget = ("--params", "150k", "--macs", "9M", "--base-stride", "2", "--metrics", "length,ntk,params,macs,depth")
    arguments = (*BARE, *budget, "--least-ratio", "0", "--topologies", "4", "--out", "run")
    said = asvit(*arguments, "--json", cwd=tmp_path)
    result = json.loads(said.stdout)
    assert len(result["points"]) == 4
    assert len(result["trained"]) == 8
    for point in result["points"]:
        assert Architecture.parse(point["topology"]).topology.base_stride == 2
        assert 0.97 <= max(point["params"] / 150e3, point["macs"] / 9e6) <= 1
    assert result["baseline"] in ("params", "macs", "depth")
    again = asvit(*arguments, "--workers", "1", cwd=tmp_path)
    assert "4 of 4" in again.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["trained"] == result["trained"]
    best = max(result["points"], key=lambda point: point["top1"])["topology"]
    assert f"asvit train '{best}' --data digits --image-size 32" in again.stderr
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Random networks that fill 150k parameters and 9M MACs, in topology, blocks and width" in page
    refused = asvit(*BARE, "--latency", "9ms", "--storage", "sqlite:///s.sqlite3", "--out", "b", cwd=tmp_path, check=2)
    assert "are sampled by what this machine measures" in refused.stderr
    assert not (tmp_path / "b").exists()


def test_a_recipe_takes_as_many_images_as_there_are():
    train, data = opened("digits", "train"), ImageData(data="digits")
    assert images_used(StudySettings.of("cifar10-laptop", data), train) == len(train) == 1438
    assert images_used(StudySettings.of("smoke", data), train) == 128


def test_a_pilot_that_shows_nothing_ends_the_study_in_one_line(finished, tmp_path):
    arguments = ("--continue-from", str(finished / "topologies.csv"), "--least-ratio", "1000", "--out", "run")
    said = asvit(*STUDY, *arguments, cwd=tmp_path, check=2).stderr.splitlines()[-1]
    assert "in the pilot the variance between topologies is" in said
    assert "less than 1000" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--topologies", "2"], "expected at least 3 topologies"),
        (["--seeds", "1"], "expected at least 3 topologies and 2 seeds"),
        (["--repeated", "1"], "expected from 4, those of the pilot, to all 4"),
        (["--heartbeat", "0"], "heartbeat is 0: expected at least 1"),
        (["--metrics", "length"], "add them to --metrics"),
        (["--metrics", "length,ntk,params,beauty"], "unknown metrics beauty"),
        (["--no-resident", "--train-images", "5"], "--train-images takes a part of resident images"),
        (["--train-images", "2000"], "has 1438 images, not 2000"),
        (["--batch-size", "500"], "fewer than a batch of 500"),
        (["--storage", "nonsense"], "cannot use the storage ***: it is no URL of a database"),
        (["--continue-from", "nothing.csv"], "cannot read nothing.csv"),
        (["--so-far"], "0 trainings are done, and the pilot is not"),
        (["--storage", "sqlite:///:memory:"], "workers cannot share"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*BARE, *arguments, "--out", "run"])
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[-1]
    assert not any("Traceback" in line for line in lines)
