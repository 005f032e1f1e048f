"""What contests say: differences with intervals, against closed forms, and the words that follow from them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_contest import entry, trained

from asvit.measure.estimates import Estimate
from asvit.networks.architecture import Task
from asvit.runs.next_steps import after_contest
from asvit.runs.records import write_record
from asvit.study.comparison import MethodScore
from asvit.study.contest import ScalingContest, SearchContest, Standing, standings
from asvit.study.contest_verdict import against_random, sentences_of_rules, sentences_of_searches

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
TASK = Task(image_size=(64, 64), num_classes=10)
VALUES = st.lists(st.floats(0, 1), min_size=2, max_size=6).map(lambda values: [*values, 0.5, 0.25])


def by_scipy(values, others, level):
    """Interval of the difference of means."""
    return tuple(stats.ttest_ind(values, others, equal_var=False).confidence_interval(level))


@given(VALUES, VALUES, VALUES)
def test_intervals_are_welchs_and_as_wide_as_bonferroni_says(one, other, chance):
    found = {"one": one, "other": other, "random": chance}
    compared = against_random("", {way: Estimate.of(values) for way, values in found.items()})
    assert list(compared.differences) == ["one", "other"]
    for way, interval in compared.differences.items():
        assert (interval.low, interval.high) == pytest.approx(by_scipy(found[way], chance, 0.975), rel=1e-6, abs=1e-9)
    alone = against_random("", {"one": Estimate.of(one), "random": Estimate.of(chance)}).differences["one"]
    assert (alone.low, alone.high) == pytest.approx(by_scipy(one, chance, 0.95), rel=1e-6, abs=1e-9)


def test_single_runs_and_runs_that_never_differ_are_left_out():
    found = {"random": [0.5, 0.5], "a": [0.9], "b": [0.7, 0.7], "c": [0.7, 0.8]}
    compared = against_random("", {way: Estimate.of(values) for way, values in found.items()})
    assert (list(compared.differences), compared.left_out) == (["c"], ("a", "b"))
    assert against_random("", {"a": Estimate.of([0.1, 0.2])}).left_out == ("a",)
    assert against_random("", {"a": Estimate.of([0.1, 0.2]), "random": Estimate.of([0.1])}).left_out == ("a",)


def contest(accuracies, size="5M parameters"):
    """Rules by the accuracies of their runs."""
    entries = [
        entry(way, run, f"{way}{run}", size=size) for way, tops in accuracies.items() for run in range(len(tops))
    ]
    found = [trained(f"{way}{run}", run, top1) for way, tops in accuracies.items() for run, top1 in enumerate(tops)]
    return ScalingContest(TASK, "seed", (), tuple(entries), standings(entries, 1, found), tuple(found))


def test_words_follow_the_intervals():
    tops = {
        "up": [0.8, 0.81, 0.8],
        "down": [0.2, 0.21, 0.2],
        "level": [0.5, 0.52, 0.51],
        "random": [0.5, 0.51, 0.52],
        "once": [0.9],
    }
    head, said, numbers = sentences_of_rules(contest(tops))
    assert head == "A rule is shown to beat chance."
    assert said.startswith("Within 5M parameters: up +29.3 [")
    assert "] did better than random; down -30.7 [" in said
    assert "] did worse than random; level +0.0 [" in said
    assert said.endswith(
        "] did no better than random; of once nothing can be said, which takes several runs, of random too."
    )
    assert (
        numbers
        == "The numbers: top-1 in points, less that of random, with 95 % intervals, which hold for all 3 together."
    )


def test_nothing_is_said_of_single_runs():
    (said,) = sentences_of_rules(contest({"Algorithm 2": [0.5], "random": [0.4, 0.5]}))
    assert said == "Nothing can be said of any rule: that takes several runs of it and of random; give --runs 3."


def test_nothing_is_said_of_what_was_not_trained():
    contested = replace(contest({"random": [0.1]}), trained=())
    assert sentences_of_rules(contested) == [
        "Which rule gives the more accurate networks is not known: nothing was trained."
    ]


def searches(score, methods, rows=(), found=()):
    return SearchContest(TASK, score, 100, tuple(methods), {}, (), tuple(rows), tuple(found), ())


def method(name, values):
    one = Estimate.of([1.0])
    return MethodScore(name, tuple(range(len(values))), Estimate.of(values), one, {}, one, one)


def test_searches_that_were_not_trained_are_compared_by_their_score():
    methods = [method("tpe", [0.98, 0.99, 0.99]), method("random", [0.5, 0.51, 0.52])]
    first, said, numbers = sentences_of_searches(searches("length", methods))
    assert first == "Which search finds the more accurate networks is not known: nothing was trained."
    assert said.startswith("By the score alone: tpe +47.7 [+4")
    assert numbers.startswith("The numbers: share of all measured topologies that are no better, in points, less")


def test_what_the_studies_so_far_found_is_said():
    searched = json.loads((RESULTS / "search-cifar10.json").read_text())
    rows = [standing(row) for row in searched["standings"]]
    head, said, _ = sentences_of_searches(searches("length,ntk", (), rows, [trained("x", 0, 0.5)]))
    assert head == "No search is shown to beat chance."
    assert said.startswith("reinforce +0.4 [")
    scaled = json.loads((RESULTS / "scaling-cifar10.json").read_text())
    rows = tuple(standing(row) for row in scaled["standings"])
    head, said, _ = sentences_of_rules(replace(contest({"random": [0.1]}), standings=rows))
    assert head == "No rule is shown to beat chance."
    assert said.startswith("Within 4M parameters: Algorithm 2 -0.7 [-2.1, +0.8] did no better than random; of swin")


def standing(row):
    return Standing(
        row["way"], row["size"], row["runs"], row["params"], row["macs"], Estimate.of(row["top1"]["values"]), None
    )


def test_next_comes_training_and_then_the_most_accurate(tmp_path):
    contested = contest({"a": [0.5, 0.7], "b": [0.65, 0.61]})
    config = {"train": {"image_size": [64, 96]}}
    asked = {"job": "study-scaling", "command": "asvit study scaling seed --params 5M"}
    asked |= {"config": config, "data": "photos"}
    write_record(tmp_path / "result.json", "study-scaling", replace(contested, trained=()))
    ((_, words),) = after_contest(tmp_path, asked)
    assert words == "asvit study scaling seed --params 5M --trainings 1"
    write_record(tmp_path / "result.json", "study-scaling", contested)
    ((_, words),) = after_contest(tmp_path, asked)
    assert words == "asvit train a1 --data photos --image-size 64x96"
    ((_, words),) = after_contest(tmp_path, asked | {"job": "study-search"})
    assert words == "asvit grow a1 --params 3M"
