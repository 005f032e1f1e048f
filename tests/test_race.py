"""A race: its rounds in closed form, its words, and the whole as a user runs it, with a worker killed."""

import json
import os
import signal
from dataclasses import replace
from itertools import pairwise

import commands
import pages
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cli import asvit
from test_study_cli import trials, wait_for, workers_of

from asvit.commands.app import main
from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.design.ranking import parse_score
from asvit.errors import UserError
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Settings
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import space_for
from asvit.report.race.charts import has_curves, worth_having
from asvit.report.race.page import race_panels
from asvit.study.race.clock import CLOCK, Clock
from asvit.study.race.results import RaceResult, Ran, in_order
from asvit.study.race.rounds import FINALISTS, Round, epochs_in_all, epochs_that_fit, rounds
from asvit.study.race.runners import Runner, check_cost, designed, random_runners
from asvit.study.race.settings import RaceSettings
from asvit.study.race.verdict import lead, sentences

BUDGET = Budget.parse("params", "150k")
RACE = ("race", "--data", "digits", "--recipe", "smoke", "--params", "150k", "--base-stride", "2", "--threads", "1")
SHORT = ("--repeats", "1", "--angles", "2", "--kernel-images", "4")


@given(runners=st.integers(2, 300), epochs=st.integers(1, 1000))
def test_every_round_has_fewer_runners_and_more_epochs_and_the_last_is_the_whole(runners, epochs):
    parts = rounds(runners, epochs)
    assert parts[0].runners == runners
    assert parts[-1].epochs == epochs
    assert all(a.runners > b.runners >= FINALISTS and a.epochs < b.epochs for a, b in pairwise(parts))
    if epochs >= runners:
        assert parts[-1].runners == FINALISTS
    more = [b.epochs - a.epochs for a, b in pairwise([Round(0, 0), *parts])]
    by_hand = sum(part.runners * epochs for part, epochs in zip(parts, more, strict=True))
    assert epochs_in_all(runners, epochs) == by_hand + FINALISTS * epochs


@given(runners=st.integers(2, 50), time=st.floats(0, 1e5))
def test_epochs_that_fit_are_the_most_that_do(runners, time):
    if time < epochs_in_all(runners, 1):
        with pytest.raises(UserError, match="runners take"):
            epochs_that_fit(runners, time, most=300)
        return
    epochs = epochs_that_fit(runners, time, most=300)
    assert epochs_in_all(runners, epochs) <= time
    assert epochs == 300 or epochs_in_all(runners, epochs + 1) > time


def ran(name: str, *curve: float, way="random", rank=None, macs=2000, further=()) -> Ran:
    return Ran(Runner(name, way, 1000, macs, rank), curve, tuple(further), 1.0)


def result(*runners: Ran, epochs: int = 4, finished: bool = True) -> RaceResult:
    parts = tuple(rounds(len(runners), epochs))
    ordered = in_order(list(runners), parts)
    return RaceResult(Task(32), "3M", 9.0, 60.0, epochs, parts, "length,ntk", ordered, (), "winner/x", finished, 1000)


def test_later_rounds_come_first_and_within_one_the_more_accurate():
    assert rounds(5, 4) == [Round(5, 1), Round(3, 2), Round(2, 4)]
    found = result(
        ran("early", 0.99),
        ran("last", 0.2),
        ran("third", 0.5, 0.6),
        ran("second", 0.5, 0.6, 0.7, 0.80, further=[0.80]),
        ran("first", 0.4, 0.6, 0.7, 0.79, further=[0.83]),
    )
    assert [one.runner.network for one in found.runners] == ["first", "second", "third", "early", "last"]


def test_runners_of_a_round_that_time_ended_are_compared_after_the_round_before():
    found = result(ran("further", 0.3, 0.4, 0.9), ran("better", 0.3, 0.5), ran("a", 0.2), ran("b", 0.1), finished=False)
    assert rounds(4, 4) == [Round(4, 2), Round(2, 4)]
    assert found.winner.runner.network == "better"
    assert "By how much is not known: time was over before both had been trained to the end" in sentences(found)[1]


def test_a_lead_is_told_with_its_interval():
    sure = result(ran("one", 0.1, 0.2, 0.3, 0.90, further=[0.90]), ran("two", 0.1, 0.2, 0.3, 0.50, further=[0.51]))
    interval = lead(sure)
    assert interval is not None
    assert interval.value == pytest.approx(0.395)
    assert interval.low == pytest.approx(0.395 - 12.7062 * 0.005, abs=1e-4)  # t of one degree of freedom
    assert "It leads two by 39.5 points [33.1, 45.9]" in sentences(sure)[1]
    close = result(ran("one", 0.1, 0.2, 0.3, 0.90, further=[0.80]), ran("two", 0.1, 0.2, 0.3, 0.84, further=[0.85]))
    assert sentences(close)[1].startswith("Its lead is within chance: two is 0.5 points [")


def test_a_winner_that_guesses_as_well_as_chance_would_is_told():
    runners = [ran("one", 0.1, 0.2, 0.30, 0.21), ran("two", 0.1, 0.2)]
    ten = replace(result(*runners), task=Task(32, num_classes=10))
    assert not [words for words in sentences(ten) if "guessing" in words]  # 210 of 1000 images
    few = replace(ten, images=20)  # 4.2 of 20 images: 8.5 to 42.8 %
    assert sentences(few)[1].startswith(
        "That is not shown to be better than guessing among 10 classes, right for 10.0%"
    )


def test_what_the_order_without_training_would_have_cost_is_told():
    curves = [ran("winner", 0.5, 0.6, 0.7, 0.8), ran("second", 0.5, 0.6, 0.7, 0.7)]
    lost = result(*curves, ran("favourite", 0.4, 0.52, way="score", rank=1), ran("guest", 0.1, 0.2, way="guest"))
    said = " ".join(sentences(lost))
    assert "would have been favourite: after 2 epochs it was 8.0 points behind the winner." in said
    assert "guest came in as number 4 of 4, top-1 20.0% after round 1 of 2." in said
    won = result(ran("winner", 0.5, 0.6, 0.7, 0.8, way="score", rank=1), curves[1])
    assert (
        "The first choice by length distortion and NTK condition number, without training, is the winner."
        in sentences(won)
    )


def test_the_page_of_a_race_of_few_epochs_has_no_curves_and_says_so(tmp_path):
    assert has_curves(result(ran("a", 0.1, 0.2, 0.3), ran("b", 0.1)))
    short = replace(result(ran("a", 0.1, 0.2), ran("b", 0.1), ran("c", 0.1, macs=4000), epochs=2), minutes=1.0)
    page = pages.written(tmp_path, "race", short, images={"train": 100, "val": 50}).read_text()
    assert "No network was trained for 3 epochs: there are no curves to show." in page
    assert "Accuracy by epoch" not in page
    assert "The race took 1 of 1 min." in page
    assert "Accuracy against parameters" not in page  # of which all have 1000
    assert [name for name, _ in race_panels(tmp_path)] == ["Accuracy against MACs"]


def test_what_is_worth_having_is_neither_dearer_nor_less_accurate_than_another():
    runners = [
        Ran(Runner(name, "random", 1, macs, None), (top1, 0.9), (), 1.0)
        for name, macs, top1 in (
            ("a", 1, 0.3),
            ("b", 2, 0.2),
            ("c", 3, 0.5),
            ("d", 3, 0.4),
            ("e", 9, 0.5),
            ("f", 10, 0.6),
        )
    ]
    front = worth_having(runners, lambda one: one.runner.macs, epoch=1)
    assert [one.runner.network for one in front] == ["a", "c", "f"]


def test_a_dear_guest_is_refused():
    settings = RaceSettings(budget=BUDGET, minutes=1.0, guests=("seed",))
    check_cost(Runner("seed", "guest", 299_999, 10**9, None), settings)
    with pytest.raises(UserError, match="seed has 300k parameters, and the budget is 150k parameters: expected less"):
        check_cost(Runner("seed", "guest", 300_000, 1, None), settings)


def test_the_clock_goes_on_where_it_stopped(tmp_path):
    first = Clock(tmp_path, 1.0)
    first.write()
    (tmp_path / CLOCK).write_text(json.dumps({"schema": 1, "job": "race", "seconds": 59.0}))
    assert 0 < Clock(tmp_path, 1.0).left <= 1
    (tmp_path / CLOCK).write_text(json.dumps({"schema": 1, "job": "race", "seconds": 60.0}))
    assert Clock(tmp_path, 1.0).is_over()


def test_a_race_with_a_killed_worker_ends_with_a_winner_that_can_be_used(tmp_path):
    words = [*RACE, *SHORT, "--entrants", "1", "--epochs", "2", "--any-cost", "--against", "timm:test_vit:depth=2"]
    words += ["--minutes", "20"]
    words += ["--workers", "2", "--heartbeat", "2", "--out", "run"]
    command = commands.Started(words, tmp_path)
    run = tmp_path / "run"
    wait_for(command, lambda: trials(run, "RUNNING") == 2)
    victim = workers_of(command.pid)[0]
    os.kill(victim, signal.SIGKILL)
    ended = command.ended()
    assert ended.returncode == 0, ended.stderr
    assert f"worker {victim} has died" in ended.stderr
    found = json.loads((run / "result.json").read_text())
    assert {one["runner"]["way"] for one in found["runners"]} == {"score", "guest"}
    assert len(found["runners"]) == 2
    assert len(found["runners"][0]["curve"]) == found["epochs"] == 2
    assert found["finished"]
    for one in found["runners"]:
        if one["runner"]["way"] != "guest":
            assert 0.97 <= Architecture.parse(one["runner"]["network"]).params(Task(32, 1, 10)) / 150e3 <= 1
    assert not (run / "trainings").exists()
    scored = asvit("evaluate", str(run / found["checkpoint"]), "--data", "digits", "--json", cwd=tmp_path)
    assert json.loads(scored.stdout)["scores"]["top1"] == pytest.approx(found["runners"][0]["curve"][-1], abs=1e-6)
    assert f"asvit evaluate run/{found['checkpoint']} --data digits" in ended.stderr
    assert f"--data digits --start run/{found['checkpoint']}" in ended.stderr  # asvit train ...
    assert " won: top-1 " in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--minutes", "0"], "minutes is 0.0: expected"),
        (["--minutes", "1", "--entrants", "2.5"], "--entrants"),
        (
            ["--minutes", "0.6s", "--entrants", "0", "--against", "timm:test_vit", "timm:test_resnet", "--any-cost"],
            "not one epoch of each runner fits into the time",
        ),
        (["--minutes", "0.6s", "--entrants", "2"], "not one epoch of each runner fits into the time"),
        (["--minutes", "1", "--entrants", "1"], "a race of 1 network has no winner"),
        (["--minutes", "1", "--params", "9G"], "different networks were found that fill"),
        (["--minutes", "1", "--against", "small"], "expected less than 2 times of it"),
        (["--minutes", "1", "--against", "nothing|like|it"], "nothing"),
        (["--minutes", "1", "--stage-epochs", "1", "2"], "a race trains with all tokens"),
        (["--minutes", "1", "--schedule", "40-70"], "a race trains with all tokens"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    race = [word for word in RACE if word not in ("--params", "150k")] if "--params" in arguments else RACE
    with pytest.raises(SystemExit) as ended:
        main([*race, *SHORT, *arguments, "--out", "run"])
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[-1]
    assert not any("Traceback" in line or line.startswith("score:") for line in lines)  # refused before measuring


@pytest.mark.parametrize(("looks", "measured"), [(0, 8), (1, 16), (9, 20)])
def test_random_networks_are_measured_while_there_is_time_and_as_many_as_run_in_any_case(capsys, looks, measured):
    """The more multiply-adds the better, by this score; the clock is looked at after every eight networks."""
    settings = RaceSettings(budget=BUDGET, minutes=1.0, entrants=5, score=parse_score("macs"), base_stride=2)
    task, left = Task(32, 1, 10), iter([False] * looks)
    measurer = Measurer(Settings(repeats=1), task, metrics=["macs"])
    space = space_for(task.image_size, settings.base_stride, settings.space_name)
    sample = random_runners(settings, 0, Costs(task), space)
    runners = designed(settings, sample, measurer, lambda: next(left, True))
    order = sorted(sample[:measured], key=lambda runner: -runner.macs)
    assert [one.macs for one in runners if one.way == "score"] == [one.macs for one in order[:3]]
    assert [one.rank for one in runners if one.way == "score"] == [1, 2, 3]
    assert len(runners) == 5
    said = f"there was time to measure {measured} of 20 random networks\n"
    assert (said in capsys.readouterr().err) == (measured < 20)


def test_a_race_needs_a_budget(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["race", "--data", "digits", "--minutes", "1"])
    assert ended.value.code == 2
    assert "no budget: expected --params, --macs, --latency or --memory" in capsys.readouterr().err


@pytest.mark.slow
def test_a_race_ends_in_its_time_with_the_best_so_far(tmp_path):
    """Of a thousand epochs it plans as many as fit; time that an earlier run of the command took counts."""
    words = [*RACE, *SHORT, "--entrants", "2", "--epochs", "1000", "--minutes", "3", "--workers", "2", "--out", "run"]
    command = commands.Started(words, tmp_path)
    run = tmp_path / "run"
    wait_for(command, lambda: len({one.parent for one in run.glob("trainings/*/epoch-*.safetensors")}) == 2)
    command.send(signal.SIGKILL)
    command.ended()
    (run / CLOCK).write_text(json.dumps({"schema": 1, "job": "race", "seconds": 177.0}))
    ended = asvit(*words, cwd=tmp_path)
    found = json.loads((run / "result.json").read_text())
    assert not found["finished"]
    assert 1 <= len(found["runners"][0]["curve"]) < found["epochs"] < 1000
    assert "By how much is not known: time was over" in " ".join(ended.stdout.split())
    assert (run / found["checkpoint"]).exists()
    assert not (run / "trainings").exists()
    asvit(*words, cwd=tmp_path)
    assert json.loads((run / "result.json").read_text())["runners"] == found["runners"]


THEN = ("design", "--recipe", "smoke", "--base-stride", "2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--params", "150k", "--race", "60min"], "--race trains on images: give --data"),
        (["--params", "150k", "--data", "digits"], "--data is for a race: give --race 60min as well"),
        (["--params", "150k", "--race", "soon", "--data", "digits"], "cannot read the duration 'soon'"),
        (["--params", "1M", "--params", "2M", "--race", "1h", "--data", "digits"], "a race is for one budget"),
        (["--params", "150k", "--race", "1h", "--data", "digits", "--num-classes", "9"], "leave --num-classes out"),
        (["--params", "150k", "--race", "1h", "--data", "digits", "--json"], "--json is one record"),
        (["--params", "150k", "--race", "1h", "--data", "nowhere"], "there is no nowhere"),
    ],
)
def test_a_race_that_does_not_fit_its_design_is_refused_before_it(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*THEN, *arguments])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_design_and_a_race_are_of_the_same_images(tmp_path):
    said = asvit(*THEN, "--params", "150k", "--race", "5min", "--data", "digits", "--out", "mine", cwd=tmp_path)
    designed, raced = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("mine", "mine-race"))
    assert designed["task"] == raced["task"] == {"image_size": [32, 32], "in_chans": 1, "num_classes": 10}
    (member,) = designed["family"]
    (guest,) = (one["runner"]["network"] for one in raced["runners"] if one["runner"]["way"] == "guest")
    assert guest == member["architecture"]
    assert raced["budget"] == member["budget"] == "150k parameters"
    assert "mine-race/report.html" in said.stderr
