"""Statistics of a study against scipy, closed forms and simulations."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from asvit.study.correlation import Interval, kendall, mean_of_top, partial, rank_sum, resamples, same_band
from asvit.study.noise import Variance, ceiling, measurement_reliability, variance_of
from asvit.study.verdict import Score, best_plain, judge, sentence, together

ONCE = lambda n: np.ones((1, n))  # noqa: E731
small_numbers = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12)


@given(small_numbers)
def test_kendall_is_scipys_tau_b_with_ties(pairs):
    x, y = np.array(pairs, float).T
    ours, theirs = kendall(x, y, ONCE(len(x)))[0], stats.kendalltau(x, y).statistic
    assert (math.isnan(ours) and math.isnan(theirs)) or ours == pytest.approx(theirs, abs=1e-12)


def test_kendall_of_a_resample_is_that_of_the_repeated_topologies():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 9))
    counts = resamples(9, seed=1, count=20)
    for row, tau in zip(counts, kendall(x, y, counts), strict=True):
        repeated = np.repeat(np.arange(9), row)
        assert tau == pytest.approx(stats.kendalltau(x[repeated], y[repeated]).statistic, abs=1e-12)


def test_resamples_begin_with_the_sample_and_keep_its_size():
    counts = resamples(7, count=50)
    assert (counts[0] == 1).all()
    assert (counts.sum(1) == 7).all()


def test_kendall_within_bands_counts_no_pair_across_them():
    z = np.array([1.0, 2.0, 3.0, 11.0, 12.0, 13.0])
    x, y = np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0]), np.array([1.0, 2.0, 3.0, 0.3, 0.2, 0.1])
    # One band rises with x (τ = 1), the other falls (-1): half of the pairs within bands each.
    assert kendall(x, y, ONCE(6), same_band(z, 2))[0] == pytest.approx(0.0)
    assert kendall(x[:3], y[:3], ONCE(3))[0] == pytest.approx(1.0)


@given(st.integers(2, 40), st.integers(1, 4))
def test_bands_have_equally_many(n, bands):
    z = np.random.default_rng(n).standard_normal(n)
    sizes = {int(row.sum()) for row in same_band(z, bands)}
    assert max(sizes) - min(sizes) <= 1


def test_partial_of_a_score_that_only_repeats_the_baseline_is_what_it_adds():
    xy, xz, yz = np.array([[0.6, 0.3, 1.0], [0.0, 0.6, 1.0], [0.3, 0.5, 1.0]])
    alone, repeated, undefined = partial(xy, xz, yz)
    assert alone == pytest.approx(0.6 / math.sqrt(1 - 0.09))
    assert repeated == pytest.approx(0.0)  # 0.3 = 0.6 * 0.5
    assert math.isnan(undefined)


def test_a_constant_has_no_interval():
    counts = resamples(5)
    assert Interval.of(kendall(np.ones(5), np.arange(5.0), counts)) is None


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    truth, covered = 2 / math.pi * math.asin(0.5), 0
    for seed in range(100):
        x, e = rng.standard_normal((2, 60))
        interval = Interval.of(kendall(x, 0.5 * x + math.sqrt(0.75) * e, resamples(60, seed=seed, count=300)))
        assert interval is not None
        covered += interval.low <= truth <= interval.high
    assert covered >= 88


def test_means_of_the_top_and_rank_sums():
    accuracy = np.array([0.7, 0.9, 0.8])
    assert mean_of_top(np.array([1.0, 2.0, 3.0]), accuracy, 1) == pytest.approx(0.8)
    assert mean_of_top(np.array([1.0, 2.0, 3.0]), accuracy, 2) == pytest.approx(0.85)
    assert rank_sum([np.array([3.0, 2.0, 1.0]), np.array([1.0, 3.0, 2.0])]).tolist() == [-2.0, -1.0, -3.0]


def test_equal_scores_are_drawn():
    assert mean_of_top(np.zeros(4), np.array([0.6, 0.7, 0.8, 0.9]), 1) == pytest.approx(0.75)
    assert mean_of_top(np.array([2.0, 1.0, 1.0]), np.array([0.6, 0.7, 0.9]), 2) == pytest.approx(0.7)
    assert mean_of_top(np.array([2.0, 1.0]), np.array([0.6, 0.7]), 5) == pytest.approx(0.65)


def test_variance_is_that_of_a_one_way_analysis():
    groups = {"a": [0.1, 0.3], "b": [0.5, 0.6], "c": [0.9, 0.8], "single": [0.0]}
    f = stats.f_oneway(*(v for v in groups.values() if len(v) > 1)).statistic
    variance = variance_of(groups)
    assert variance.topologies == 3
    assert variance.ratio == pytest.approx((f - 1) / 2)
    assert variance.within == pytest.approx((0.02 + 0.005 + 0.005) / 3)
    low, high = (stats.f.ppf(p, 2, 3) for p in (0.975, 0.025))
    assert (variance.low, variance.high) == pytest.approx(((f / low - 1) / 2, (f / high - 1) / 2))


def test_variance_is_unbiased_for_groups_of_different_sizes():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        means = 2.0 * rng.standard_normal(12)
        found.append(variance_of({str(i): [*(m + rng.standard_normal(2 + i % 3))] for i, m in enumerate(means)}))
    assert np.mean([v.between for v in found]) == pytest.approx(4.0, abs=0.3)
    assert np.mean([v.within for v in found]) == pytest.approx(1.0, abs=0.05)


def test_accuracies_that_do_not_depend_on_the_topology_have_no_reliability():
    accuracies = {"a": [0.5, 0.6], "b": [0.5, 0.6], "c": [0.6, 0.5]}
    variance = variance_of(accuracies)
    assert variance.between < 0
    assert variance.ratio == 0
    assert not variance.reaches(4.0)
    assert variance.reaches(0.0)
    assert variance.reliability(accuracies) == 0.0
    assert ceiling(variance.reliability(accuracies)) == 0.0


def test_trainings_that_all_fail_alike_show_nothing():
    variance = variance_of({"a": [0.1, 0.1], "b": [0.1, 0.1]})
    assert (variance.ratio, variance.low, variance.high) == (0.0, None, None)
    assert not variance.reaches(4.0)


def test_seeds_that_never_matter_leave_topologies_told_apart():
    variance = variance_of({"a": [0.1, 0.1], "b": [0.2, 0.2]})
    assert variance.reaches(4.0)
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(variance)), Variance) == variance


def test_reliability_counts_the_trainings_of_each_topology():
    accuracies = {"a": [0.1, 0.2], "b": [0.5, 0.4], "c": [0.9]}
    variance = Variance(topologies=2, seeds=2.0, between=3.0, within=6.0, low=None, high=None)
    assert variance.reliability(accuracies) == pytest.approx(3 / (3 + 6 * (0.5 + 0.5 + 1) / 3))


def test_the_ceiling_is_what_a_perfect_score_reaches():
    rng = np.random.default_rng(5)
    truth = rng.standard_normal(3000)
    seen = truth + rng.standard_normal(3000) * 0.5  # reliability 1 / 1.25
    measured = truth + rng.standard_normal(3000)  # reliability 1 / 2
    assert ceiling(0.8) == pytest.approx(stats.kendalltau(truth, seen).statistic, abs=0.02)
    assert ceiling(0.8, 0.5) == pytest.approx(stats.kendalltau(measured, seen).statistic, abs=0.02)


def test_what_a_repeat_adds_to_all_topologies_is_no_noise():
    values = np.arange(8.0)[:, None] + np.array([0.0, 100.0, -7.0])
    assert measurement_reliability(values) == pytest.approx(1.0)
    assert measurement_reliability(values[:, :1]) is None
    noise = np.random.default_rng(0).standard_normal((200, 4))
    assert measurement_reliability(noise) == pytest.approx(0.0, abs=0.3)


def test_a_repeat_of_another_scale_counts_as_it_counts_in_the_mean():
    rng = np.random.default_rng(1)
    truth = rng.standard_normal((500, 1))
    values = np.exp(truth + rng.standard_normal((500, 5)))
    values[:, 0] *= 100  # the mean is nearly this repeat
    reliability = measurement_reliability(values)
    assert reliability is not None
    assert reliability < 0.35


def score(name, values, repeats=None):
    return Score(name, name, name, "higher", "a test", np.array(values, float), repeats, 1.0)


ACCURACY = np.array([0.5, 0.6, 0.7, 0.9, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4])
PARAMS = np.arange(11.0)
PILOT = variance_of({"a": [0.0, 1.0], "b": [5.0, 6.0]})


def judged(of, accuracy, baseline):
    """A score judged beside counting parameters, by accuracies without noise."""
    return judge(of, accuracy, score("params", baseline), 1.0)


@pytest.mark.parametrize("valid", [0, 1, 3, 9])
def test_a_score_that_is_valid_for_fewer_than_ten_topologies_is_not_judged(valid):
    values = np.where(np.arange(11) < valid, PARAMS, np.nan)
    found = judged(score("x", values, np.ones((11, 2))), ACCURACY, PARAMS)
    nothing = (found.tau, found.within_bands, found.regret, found.ceiling)
    assert (found.topologies, *nothing) == (valid, None, None, None, None)
    params = judged(score("params", PARAMS), ACCURACY, PARAMS)
    assert params.tau is not None
    said = sentence({"length": found, "params": params}, "params", PILOT)
    assert said.startswith(
        f"On this data nothing can be said of length distortion: it is valid for {valid} of 11 networks"
    )


def test_a_study_of_fewer_than_ten_topologies_judges_nothing():
    found = judged(score("x", PARAMS[:9]), ACCURACY[:9], PARAMS[:9])
    assert found.tau is None
    said = sentence({"length": found, "params": found}, "params", PILOT)
    assert said == "No score is judged: this study trained 9 topologies, and it takes 10 at least."
    assert judged(score("x", PARAMS[:10]), ACCURACY[:10], PARAMS[:10]).tau is not None


def test_a_score_that_is_the_same_for_all_says_nothing():
    params = judged(score("params", PARAMS), ACCURACY, PARAMS)
    same = judged(score("length", np.ones(11)), ACCURACY, PARAMS)
    said = sentence({"length": same, "params": params}, "params", PILOT)
    assert "nothing can be said: length distortion or counting parameters is the same for all" in said


def test_regret_is_against_the_best_of_all():
    values = PARAMS.copy()
    values[2], values[3] = 99.0, np.nan  # the best of the valid ones, and the best of all
    found = judged(score("x", values), ACCURACY, PARAMS)
    assert found.topologies == 10
    assert found.regret == pytest.approx(0.2)


def test_what_two_scores_have_together_is_as_noisy_as_they_are():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((30, 4))
    both = together([score("a", noise.mean(1), noise), score("b", -noise.mean(1), rng.standard_normal((30, 4)))])
    assert both.repeats is not None
    assert both.repeats.shape == (30, 4)
    assert judged(both, rng.standard_normal(30), np.arange(30.0)).ceiling == pytest.approx(0.0, abs=0.45)


def test_the_sentence_says_what_the_intervals_say():
    pilot = variance_of({"a": [0.0, 0.1], "b": [5.0, 5.1], "c": [9.0, 9.1]})
    n = 40
    accuracy = np.arange(n) / n
    shuffled = np.random.default_rng(0).permutation(n).astype(float)
    params, length = judged(score("params", shuffled), accuracy, shuffled), score("length", accuracy)
    better = {"length": judged(length, accuracy, shuffled), "params": params}
    assert "ranks better than counting parameters" in sentence(better, "params", pilot)
    worse = {
        "length": judged(score("length", -accuracy), accuracy, accuracy),
        "params": judged(score("params", accuracy), accuracy, accuracy),
    }
    assert "ranks worse than counting parameters" in sentence(worse, "params", pilot)
    same = {"length": judged(score("length", shuffled), accuracy, shuffled), "params": params}
    assert "ranks no better than counting parameters" in sentence(same, "params", pilot)
    assert "decide little" not in sentence(same, "params", pilot)
    assert "they decide little" in sentence(same, "params", variance_of({"a": [0.0, 1.0], "b": [0.5, 1.5]}))


def test_at_a_budget_measures_are_compared_with_the_plain_number_that_ranks_best():
    macs = np.array([0, 1, 2, 4, 3, 5, 6, 7, 8, 9, 10.0])
    plain = [score("params", PARAMS), score("macs", -macs), score("depth", macs), score("width", np.ones(11))]
    missing = score("kernel", np.where(PARAMS < 3, np.nan, ACCURACY))
    best = best_plain([*plain, missing, score("length", ACCURACY)], macs)
    assert best.name == "depth"
    length = judge(score("length", PARAMS), macs, best, 1.0)
    itself = judge(best, macs, best, 1.0)
    assert itself.over_baseline is None
    assert length.over_baseline is not None
    assert length.over_baseline.value == pytest.approx(stats.kendalltau(PARAMS, macs).statistic - 1)
    said = sentence({"length": length, "depth": itself}, "depth", PILOT)
    assert "the best plain number, depth: τ" in said
