"""Ways of choosing networks, compared and trained: the plan, the standings, and both commands on real digits."""

import csv
import json

import pytest
from test_cli import asvit

from asvit.commands.app import main
from asvit.networks.space import Topology
from asvit.study.contest import Contestant, contest_plan, standings
from asvit.study.plan import Planned
from asvit.study.results import Trained

OPTIONS = ("--data", "digits", "--recipe", "smoke", "--runs", "2", "--workers", "1", "--threads", "1", "--out", "run")
SEED = "8,2,3|4,1,2|4,1,4|4,1,6|32"


def entry(way, run, network, params=100, size=""):
    return Contestant(way, run, size, network, params, 10 * params)


def trained(network, seed, top1):
    return Trained(network, seed, top1, 1.0, 2.0, "cpu", "0.1.0", "2.15.0")


def test_ways_that_agree_share_trainings_and_runs_do_not():
    plan = contest_plan([entry("a", 0, "x"), entry("a", 1, "x"), entry("b", 0, "x"), entry("b", 1, "y")], 2)
    first, second = [Planned("x", 0), Planned("x", 2), Planned("y", 2)], [Planned("x", 1), Planned("x", 3)]
    assert plan == [*first, *second, Planned("y", 3)]


def test_standings_are_means_over_runs_of_means_over_seeds():
    entries = [entry("a", 0, "x", 100), entry("a", 1, "y", 300), entry("b", 0, "x", 100), entry("c", 0, "z")]
    found = [trained("x", 0, 0.5), trained("x", 1, 0.7), trained("y", 2, 0.8)]
    a, b, c = standings(entries, 2, found)
    assert (a.way, a.runs, a.params, a.macs) == ("a", 2, 200.0, 2000.0)
    assert a.top1 is not None
    assert (a.top1.mean, a.top1.standard_error) == pytest.approx((0.7, 0.1))
    assert b.top1 is not None
    assert (b.top1.mean, b.top1.standard_error) == (pytest.approx(0.6), None)
    assert c.top1 is None


def test_runs_that_lead_to_one_network_show_the_noise_of_its_training():
    (row,) = standings([entry("a", 0, "x"), entry("a", 1, "x")], 1, [trained("x", 0, 0.5), trained("x", 1, 0.7)])
    assert row.top1 is not None
    assert (row.top1.mean, row.top1.standard_error) == pytest.approx((0.6, 0.1))


def test_what_is_found_is_placed_among_a_sample():
    sampled = [trained("p", 0, 0.4), trained("q", 0, 0.6), trained("q", 1, 0.8), trained("r", 0, 0.9)]
    a, b = standings([entry("a", 0, "x"), entry("b", 0, "y")], 1, [trained("x", 0, 0.75)], sampled)
    assert a.beats is not None
    assert a.beats.mean == pytest.approx(2 / 3)
    assert b.beats is None


def test_sizes_stand_apart():
    rows = standings([entry("a", 0, "x", size="1M"), entry("a", 0, "y", size="2M")], 1, [trained("y", 0, 0.5)])
    assert [(row.size, row.top1 is None) for row in rows] == [("1M", True), ("2M", False)]


def test_searches_are_compared_and_what_they_find_is_trained(tmp_path):
    methods = ("--methods", "reinforce", "nsga2", "--measurements", "4", "--base-stride", "2")
    measured = json.loads(asvit("study", "search", *methods, *OPTIONS, "--json", cwd=tmp_path).stdout)
    assert measured["trained"] == []
    said = asvit("study", "search", *methods, "--trainings", "1", *OPTIONS, "--json", cwd=tmp_path)  # goes on
    result = json.loads(said.stdout)
    assert result["curves"] == measured["curves"]
    assert [method["method"] for method in result["methods"]] == ["reinforce", "nsga2"]
    assert all(len(run) == 4 for runs in result["curves"].values() for run in runs)
    assert max(run[-1] for runs in result["curves"].values() for run in runs) == 1.0
    networks = {one["network"] for one in result["contestants"]}
    assert {one["network"] for one in result["trained"]} == networks
    assert all(Topology.parse(network).base_stride == 2 for network in networks)
    with open(tmp_path / "run" / "networks.csv", newline="") as file:
        assert {row["network"] for row in csv.DictReader(file)} == networks
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Best so far" in page
    assert all(method in page for method in ("reinforce", "nsga2"))


def test_scaling_rules_are_compared_at_equal_size(tmp_path):
    said = asvit("study", "scaling", SEED, "--params", "3M", *OPTIONS, "--json", cwd=tmp_path)
    result = json.loads(said.stdout)
    assert {standing["way"] for standing in result["standings"]} == {"Algorithm 2", "random", "swin", "resnet", "vit"}
    assert all(one["params"] <= 3_000_000 for one in result["contestants"])
    assert result["trained"] == []
    grown = [place for place in result["places"] if place["way"] == "Algorithm 2" and place["run"] == 0]
    assert [place["depth"] for place in grown] == list(range(4, 4 + len(grown)))  # a block a step
    assert "Depth against width" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "--measurements", "1"], "expected at least 2"),
        (["search", "--runs", "0"], "runs is 0: expected at least 1"),
        (["search", "--against", "nothing.csv"], "give --trainings, or leave it out"),
        (["search", "--against", "nothing.csv", "--trainings", "1"], "cannot read nothing.csv"),
        (["search", "--score", "beauty"], "unknown metrics beauty"),
        (["scaling", SEED, "--params", "100k"], "is below the smallest network"),
        (["scaling", "nonsense", "--params", "3M"], "unknown architecture 'nonsense'"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    options = OPTIONS if "--runs" not in arguments else (*OPTIONS[:4], *OPTIONS[6:])
    with pytest.raises(SystemExit) as ended:
        main(["study", *arguments, *options])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
