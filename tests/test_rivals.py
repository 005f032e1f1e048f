"""Rivals of Algorithm 1 on fake measures: equal lengths, known optima, invalid topologies, one yardstick for all."""

import statistics
import sys
from itertools import pairwise

import numpy as np
import pytest
from fakes import fake_measure, heads, kernels_and_expansions
from hypothesis import given
from hypothesis import strategies as st

from asvit.design.ranking import OBJECTIVES, parse_score, rank_sum_order, rank_sums
from asvit.design.search import SearchSettings, search
from asvit.errors import UserError
from asvit.measure.estimates import Estimate, Measurement
from asvit.networks.architecture import Architecture
from asvit.networks.space import SPACE, TABLE_1, Topology
from asvit.study.comparison import Yardstick, compare
from asvit.study.optuna_search import log_tradeoff
from asvit.study.rivals import SEARCHERS, evolution_search, mutated, random_search
from asvit.study.trace import Trace, Trial

MEASURE = fake_measure(kernels_and_expansions, heads)
INVALID_BELOW_6 = fake_measure(kernels_and_expansions, heads, invalid=lambda a: a.topology.kernels[0] < 6)
ALL_INVALID = fake_measure(kernels_and_expansions, heads, invalid=lambda a: True)

methods = pytest.mark.parametrize("method", SEARCHERS)


def changed(a: Topology, b: Topology) -> int:
    return sum(a.choices()[name] != b.choices()[name] for name in SPACE)


def topologies(trace: Trace) -> list[Topology]:
    return [Topology.parse(trial.topology) for trial in trace.trials]


@methods
@pytest.mark.parametrize("measure", [MEASURE, INVALID_BELOW_6, ALL_INVALID])
def test_every_method_makes_as_many_measurements_as_it_may(method, measure):
    calls = []
    trace = SEARCHERS[method](lambda a: calls.append(a) or measure(a), 45, seed=3)
    assert (trace.method, trace.seed, len(trace.trials), len(calls)) == (method, 3, 45, 45)
    for architecture, trial in zip(calls, trace.trials, strict=True):
        assert architecture == Architecture(Topology.parse(trial.topology))
        assert trial.measurement == measure(architecture)


@methods
def test_a_search_is_a_function_of_its_seed(method):
    runs = [SEARCHERS[method](MEASURE, 30, seed=seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0].trials != runs[2].trials


def score(trace: Trace) -> float:
    """Length over its largest, less the heads: at most 0.975."""
    assert trace.result is not None
    architecture = Architecture(Topology.parse(trace.result))
    return kernels_and_expansions(architecture) - heads(architecture) / 640


# A policy that starts uniform needs more steps than its rivals until its mode means something.
@pytest.mark.parametrize(("method", "length"), [("reinforce", 300), ("evolution", 100), ("tpe", 100), ("nsga2", 100)])
def test_every_method_comes_closer_to_a_known_optimum_than_random_search(method, length):
    own, random = (
        [score(SEARCHERS[name](MEASURE, length, seed=seed)) for seed in range(4)] for name in (method, "random")
    )
    assert statistics.fmean(own) > statistics.fmean(random) + 0.05


@methods
def test_results_are_valid_where_some_topology_is(method):
    trace = SEARCHERS[method](INVALID_BELOW_6, 60, seed=0)
    assert any(not trial.measurement.valid for trial in trace.trials)
    if method != "reinforce":  # which hands over its policy's mode
        assert trace.result is not None
        assert trace.measurements[trace.result].valid


@pytest.mark.parametrize("method", ["evolution", "tpe", "nsga2"])
def test_methods_that_are_told_of_invalid_topologies_avoid_them(method):
    trace = SEARCHERS[method](INVALID_BELOW_6, 120, seed=0)
    invalid = [not trial.measurement.valid for trial in trace.trials]
    assert statistics.fmean(invalid[-40:]) < 0.2 < 0.25 < statistics.fmean(invalid[:20])  # two of five values are


@methods
def test_nothing_valid_hands_over_nothing_but_the_mode(method):
    result = SEARCHERS[method](ALL_INVALID, 25, seed=0).result
    assert (result is None) == (method != "reinforce")


@methods
def test_objectives_are_what_is_searched_for(method):
    trace = SEARCHERS[method](MEASURE, 150, seed=0, objectives=parse_score("ntk"))
    assert trace.result is not None
    assert Topology.parse(trace.result).heads == 16


def test_reinforce_is_algorithm_1_with_its_mode_as_the_last_measurement():
    trace = SEARCHERS["reinforce"](MEASURE, 31, seed=5)
    run = search(MEASURE, SearchSettings(steps=30), seed=5)
    assert [trial.topology for trial in trace.trials] == [step.topology for step in run.steps] + [run.most_probable]
    assert trace.result == run.most_probable


def test_random_search_hands_over_the_best_ranked():
    trace = random_search(MEASURE, 50, seed=0)
    order = rank_sum_order([trial.measurement for trial in trace.trials], OBJECTIVES)
    assert trace.result == trace.trials[order[0]].topology


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_mutation_changes_one_choice(parent, seed):
    topology = TABLE_1.sample(np.random.default_rng(parent))
    assert changed(topology, mutated(topology, TABLE_1, np.random.default_rng(seed))) == 1


def test_every_other_value_of_every_choice_can_come_of_a_mutation():
    parent, rng = Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32"), np.random.default_rng(0)
    assert len({mutated(parent, TABLE_1, rng) for _ in range(1000)}) == sum(
        len(values) - 1 for values in SPACE.values()
    )


def test_a_population_of_one_is_its_youngest_however_good_the_one_before():
    tried = topologies(evolution_search(MEASURE, 40, population=1, tournament=3))
    assert all(changed(a, b) == 1 for a, b in pairwise(tried))


@pytest.mark.parametrize("measure", [MEASURE, INVALID_BELOW_6])
def test_the_parent_is_the_best_of_the_last_population(measure):
    size = 6
    trace = evolution_search(measure, 60, population=size, tournament=200)  # draws all of them, all but surely
    tried = topologies(trace)
    outlived = 0
    for i in range(size, len(tried)):
        seen = [trial.measurement for trial in trace.trials[:i]]
        order = rank_sum_order(seen, OBJECTIVES)
        alive = [j for j in order if j >= i - size]
        parents = alive[:1] or range(i - size, i)  # any, where all that are alive are invalid
        assert any(changed(tried[j], tried[i]) == 1 for j in parents)
        outlived += order[:1] != alive[:1]
    assert outlived > 0  # at times the best of all was dead already


def test_a_population_that_is_never_full_is_random_search():
    evolved, random = evolution_search(MEASURE, 20, seed=4), random_search(MEASURE, 20, seed=4)
    assert evolved.trials == random.trials


def test_optuna_is_silent(capsys):
    for method in ("tpe", "nsga2"):
        SEARCHERS[method](INVALID_BELOW_6, 25)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("method", ["tpe", "nsga2"])
def test_without_optuna_one_line_says_how_to_install_it(method, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install .asvit\[study\]"):
        SEARCHERS[method](MEASURE, 5)


@methods
def test_a_single_measurement_is_no_search(method):
    with pytest.raises(UserError, match="at least 2"):
        SEARCHERS[method](MEASURE, 1)


def measured(name: str, length: float, ntk: float) -> Measurement:
    return Measurement(name, {"length": Estimate.of([float(length)]), "ntk": Estimate.of([float(ntk)])})


def test_the_logarithmic_tradeoff_does_not_depend_on_units_and_refuses_what_has_no_logarithm():
    a, b = measured("a", 2, 8), measured("b", 3, 9)
    scaled = [measured("a", 200, 0.8), measured("b", 300, 0.9)]
    difference = log_tradeoff(a, OBJECTIVES) - log_tradeoff(b, OBJECTIVES)
    assert difference == pytest.approx(np.log((2 / 8) / (3 / 9)))
    assert log_tradeoff(scaled[0], OBJECTIVES) - log_tradeoff(scaled[1], OBJECTIVES) == pytest.approx(difference)
    with pytest.raises(UserError, match="length distortion of a is 0"):
        log_tradeoff(measured("a", 0, 1), OBJECTIVES)


INVALID = Measurement("x", {}, "singular")
FOUND = {"a": measured("a", 4, 1), "b": measured("b", 3, 2), "c": measured("c", 2, 3), "d": measured("d", 5, 4)}


def trace_of(method: str, seed: int, names: str, result: str | None) -> Trace:
    return Trace(method, seed, tuple(Trial(name, (FOUND | {"x": INVALID})[name]) for name in names), result)


def test_yardstick_by_hand():
    yardstick = Yardstick(FOUND | {"x": INVALID})
    # Sums of ranks: a 1 + 0, b 2 + 1, c 3 + 2, d 0 + 3; b and d share the second place.
    assert [yardstick(name) for name in "abcdx"] == [1, 0.75, 0.25, 0.75, 0]
    assert yardstick.best_so_far(trace_of("random", 0, "xcbxd", "b")) == [0, 0.25, 0.75, 0.75, 0.75]


def test_comparison_by_hand():
    good, bad = compare(
        [
            trace_of("good", 0, "cba", "a"),
            trace_of("bad", 0, "xcc", "c"),
            trace_of("good", 1, "bdd", "d"),
            trace_of("bad", 1, "xxb", "x"),
        ]
    )
    assert (good.method, good.seeds, bad.method, bad.seeds) == ("good", (0, 1), "bad", (0, 1))
    assert (good.result.values, bad.result.values) == ((1, 0.75), (0.25, 0))
    assert (good.best.values, bad.best.values) == ((1, 0.75), (0.25, 0.75))
    assert (good.result.mean, good.result.standard_error) == (0.875, pytest.approx(0.125))
    assert {name: extreme.values for name, extreme in good.extremes.items()} == {"length": (4, 5), "ntk": (1, 2)}
    assert (good.distinct.values, bad.distinct.values) == ((3, 2), (2, 2))
    assert (good.invalid.values, bad.invalid.values) == ((0, 0), (1 / 3, 2 / 3))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UserError, match=r"searches of \[2, 3\] measurements"):
        compare([trace_of("a", 0, "abc", "a"), trace_of("b", 0, "ab", "a")])
    with pytest.raises(UserError, match="no search"):
        compare([])
    with pytest.raises(UserError, match="b with seed 7 found no valid topology"):
        compare([trace_of("a", 0, "ab", "a"), trace_of("b", 7, "xx", None)])
    with pytest.raises(UserError, match="a with seed 0 is there 2 times"):
        compare([trace_of("a", 0, "ab", "a"), trace_of("a", 0, "bc", "b")])
    other = Trace("b", 0, (Trial("a", measured("a", 4, 2)),), "a")
    with pytest.raises(UserError, match="a was measured differently by b with seed 0"):
        compare([trace_of("a", 0, "a", "a"), other])


def test_all_methods_on_one_yardstick():
    traces = [searcher(MEASURE, 100, seed=seed) for searcher in SEARCHERS.values() for seed in range(2)]
    scores = {score.method: score for score in compare(traces)}
    assert list(scores) == list(SEARCHERS)
    assert max(max(score.best.values) for score in scores.values()) == 1
    assert all(score.result.mean <= score.best.mean for score in scores.values())
    assert all(scores[method].best.mean > scores["random"].best.mean for method in ("evolution", "tpe", "nsga2"))


values = st.floats(1e-3, 1e3) | st.sampled_from([1.0, 2.0, 3.0])


@given(st.lists(st.none() | st.tuples(values, values), max_size=12))
def test_rank_sums_count_the_strictly_better(pairs):
    found = [INVALID if pair is None else measured("", *pair) for pair in pairs]
    valid = {i: pair for i, pair in enumerate(pairs) if pair is not None}
    counted = {
        i: sum(other[0] > length for other in valid.values()) + sum(other[1] < ntk for other in valid.values())
        for i, (length, ntk) in valid.items()
    }
    assert rank_sums(found, OBJECTIVES) == counted
