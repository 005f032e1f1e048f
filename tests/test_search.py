"""Algorithm 1 on fake measures: rewards by hand, entropy, known optima, invalid steps."""

import math

import numpy as np
import pytest
from fakes import fake_measure, heads, kernels_and_expansions

from asvit.design.policy import Policy
from asvit.design.ranking import OBJECTIVES, parse_score
from asvit.design.search import (
    Baseline,
    Reward,
    SearchResult,
    SearchSettings,
    search,
    statistics_of,
    statistics_of_policy,
)
from asvit.errors import UserError
from asvit.measure.estimates import Estimate, Measurement
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import SPACE, TABLE_1, Topology


def measured(length: float, ntk: float) -> Measurement:
    return Measurement("", {"length": Estimate.of([float(length)]), "ntk": Estimate.of([float(ntk)])})


INVALID = Measurement("", {}, "singular")


def test_entropy_of_the_untouched_policy():
    assert Policy(TABLE_1, np.random.default_rng(3)).entropy() == pytest.approx(15.332, abs=5e-4)


def test_rewards_by_hand():
    reward = Reward(OBJECTIVES)
    assert reward(measured(2, 10)) == 0
    assert reward(measured(4, 10)) == pytest.approx(1)  # length up by its whole range, no range in ntk
    assert reward(measured(3, 30)) == pytest.approx(-0.5 - 1)
    assert reward(INVALID) == pytest.approx(-1.5)  # the worst so far
    assert reward(measured(3, 20)) == pytest.approx(0 + 0.5)  # compared with the last valid step
    assert reward(measured(6, 20)) == pytest.approx(3 / 4)


def test_rewards_of_a_weighted_score_by_hand():
    reward = Reward(parse_score("length:2,ntk:0.5"))
    assert reward(measured(2, 10)) == 0
    assert reward(measured(4, 30)) == pytest.approx(2 * 1 - 0.5 * 1)
    assert reward(measured(3, 20)) == pytest.approx(2 * -0.5 + 0.5 * 0.5)
    alone = Reward(parse_score("ntk"))
    assert [alone(measured(length, ntk)) for length, ntk in ((1, 1), (9, 3), (0, 2))] == pytest.approx([0, -1, 0.5])


def test_a_search_follows_its_score():
    measure = fake_measure(kernels_and_expansions, heads)
    settings = SearchSettings(steps=200, score=parse_score("ntk"))
    run = search(measure, settings, seed=0)
    assert run.probabilities["heads"]["16"] > 0.9
    assert Topology.parse(run.best_ranked).heads == 16


def test_range_window_forgets():
    whole, recent = Reward(OBJECTIVES), Reward(OBJECTIVES, range_window=2)
    for r in (whole, recent):
        r(measured(0, 1))
        r(measured(10, 1))
    assert whole(measured(9, 1)) == pytest.approx(-0.1)
    assert recent(measured(9, 1)) == pytest.approx(-1)


def test_invalid_first_step_gets_nothing_and_the_first_valid_one_zero():
    reward = Reward(OBJECTIVES)
    assert reward(INVALID) == 0
    assert reward(measured(1, 1)) == 0


def test_baseline_is_the_bias_corrected_average_with_the_current_reward():
    baseline, rewards = Baseline(momentum=0.9), [1.0, -2.0, 0.5]
    for t in range(3):
        weights = [0.9 ** (t - i) for i in range(t + 1)]
        expected = sum(w * r for w, r in zip(weights, rewards, strict=False)) / sum(weights)
        assert baseline(rewards[t]) == pytest.approx(expected, rel=1e-12)


def test_update_raises_the_probability_of_what_was_better_than_expected():
    policy = Policy(TABLE_1, np.random.default_rng(0))
    topology = policy.sample()
    before = policy.probabilities()
    policy.update(topology, 1.0)
    for name, value in topology.choices().items():
        i = SPACE[name].index(value)
        assert policy.probabilities()[name][i] > before[name][i]
    # Adam's first step moves every logit by the learning rate against the sign of its gradient.
    assert policy.logits["heads"].max() - policy.logits["heads"].min() == pytest.approx(0.16, abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_search_reaches_nearly_the_known_optimum(seed):
    measure = fake_measure(kernels_and_expansions, lambda architecture: 1.0)
    run = search(measure, SearchSettings(steps=500), seed=seed)
    assert kernels_and_expansions(Architecture(Topology.parse(run.most_probable))) > 0.85
    random = np.mean(
        [kernels_and_expansions(Architecture(TABLE_1.sample(np.random.default_rng(i)))) for i in range(500)]
    )
    assert random < 0.5
    assert run.steps[-1].entropy < 10 < run.steps[0].entropy


def test_search_follows_the_direction_of_each_measure():
    run = search(fake_measure(lambda architecture: 1.0, heads), SearchSettings(steps=200), seed=0)
    assert run.probabilities["heads"]["16"] > 0.9


def test_invalid_topologies_never_win():
    run = search(
        fake_measure(kernels_and_expansions, heads, invalid=lambda a: a.topology.kernels[0] > 5),
        SearchSettings(steps=200),
        seed=0,
    )
    assert run.best_ranked is not None
    assert Topology.parse(run.best_ranked).kernels[0] <= 5
    assert run.probabilities["K1"]["8"] < 0.5
    nothing = search(
        fake_measure(kernels_and_expansions, heads, invalid=lambda a: True), SearchSettings(steps=5), seed=0
    )
    assert nothing.best_ranked is None
    assert all(step.reward == 0 for step in nothing.steps)
    for start_from in ("most-probable", "best-ranked"):
        with pytest.raises(UserError, match="cannot grow"):
            nothing.start(start_from)


def test_a_search_is_a_function_of_its_seed():
    measure = fake_measure(kernels_and_expansions, heads)
    assert search(measure, SearchSettings(steps=30), seed=1) == search(measure, SearchSettings(steps=30), seed=1)
    assert search(measure, SearchSettings(steps=30), seed=1) != search(measure, SearchSettings(steps=30), seed=2)


def test_statistics_like_table_3():
    a, b = Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32"), Topology.parse("4,2,3|4,1,2|4,1,4|4,1,6|64")
    found = statistics_of([a, b])
    assert (found["K1"].mean, found["K1"].relative_std) == (6, pytest.approx(2 / 6))
    assert (found["heads"].mean, found["E4"].relative_std) == (48, 0)
    uniform = statistics_of_policy({n: {str(v): 1 / len(vs) for v in vs} for n, vs in SPACE.items()})
    assert uniform["E1"].mean == pytest.approx(4)
    assert uniform["E1"].relative_std == pytest.approx(math.sqrt(2) / 4)


def test_result_names_what_growth_starts_from():
    runs = [search(fake_measure(kernels_and_expansions, heads), SearchSettings(steps=3), seed=s) for s in (0, 1)]
    probable, ranked = (SearchResult.of(Task(), runs, start_from) for start_from in ("most-probable", "best-ranked"))
    assert Architecture.parse(probable.architecture) == Architecture(Topology.parse(runs[0].most_probable))
    assert Architecture.parse(ranked.architecture) == Architecture(Topology.parse(runs[0].best_ranked))


def test_bad_settings():
    with pytest.raises(UserError, match="steps is 0"):
        SearchSettings(steps=0)
