"""Rank sums: directions, ties, and invalid measurements."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asvit.design.ranking import OBJECTIVES, Objective, parse_score, rank_sum_order
from asvit.errors import UserError
from asvit.measure.estimates import Estimate, Measurement


def measured(length: float, ntk: float) -> Measurement:
    return Measurement("", {"length": Estimate.of([float(length)]), "ntk": Estimate.of([float(ntk)])})


INVALID = Measurement("", {}, "singular")


def test_longer_and_better_conditioned_comes_first():
    assert rank_sum_order([measured(1, 9), measured(3, 2), measured(2, 5)], OBJECTIVES) == [1, 2, 0]


def test_a_tie_goes_to_the_measure_with_the_larger_relative_range():
    # Rank sums are equal; lengths differ by half, condition numbers by a tenth: the longer one wins.
    assert rank_sum_order([measured(1, 90), measured(2, 100)], OBJECTIVES) == [1, 0]
    # Now condition numbers differ more: the better conditioned one wins.
    assert rank_sum_order([measured(1.9, 10), measured(2, 100)], OBJECTIVES) == [0, 1]


def test_equal_values_keep_their_order():
    assert rank_sum_order([measured(1, 1), measured(1, 1)], OBJECTIVES) == [0, 1]


def test_weights_multiply_ranks():
    # Ranks by length 0, 1, 2 and by kernel 2, 0, 1: alike, the second network wins with a sum of 1.
    networks = [measured(3, 9), measured(2, 1), measured(1, 5)]
    assert rank_sum_order(networks, OBJECTIVES) == [1, 0, 2]
    assert rank_sum_order(networks, parse_score("length:2.5,ntk")) == [0, 1, 2]  # 2, 2.5, 6
    assert rank_sum_order(networks, parse_score("ntk")) == [1, 2, 0]


def test_scores_in_text():
    assert OBJECTIVES == parse_score(" length , ntk:1 ") == (Objective("length"), Objective("ntk"))
    assert parse_score("naswot") == (Objective("naswot"),)
    assert ",".join(map(str, parse_score("synflow:.5,params:2"))) == "synflow:0.5,params:2"
    assert parse_score(",".join(map(str, parse_score("dss:3,depth")))) == parse_score("dss:3,depth")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "cannot read the score ''"),
        ("length,", "cannot read the score"),
        ("2*length", "such as length:2,ntk"),
        ("length:-1", "cannot read the score"),
        ("length:0", "the weight of length is 0.0: expected a number above 0"),
        ("flops", "unknown metrics flops"),
        ("ntk,ntk:2", "names a measure twice"),
    ],
)
def test_bad_scores_are_refused_in_one_line(text: str, complaint: str):
    with pytest.raises(UserError, match=complaint.replace("*", r"\*")):
        parse_score(text)


positive = st.floats(1e-6, 1e6)


@given(st.lists(st.one_of(st.none(), st.tuples(positive, positive)), max_size=12))
def test_invalid_measurements_are_never_ranked_and_dominated_ones_never_first(values):
    measurements = [INVALID if pair is None else measured(*pair) for pair in values]
    order = rank_sum_order(measurements, OBJECTIVES)
    assert sorted(order) == [i for i, pair in enumerate(values) if pair is not None]
    if order:
        best_length, best_ntk = values[order[0]]
        assert not any(pair and pair[0] > best_length and pair[1] < best_ntk for pair in values)


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=8), st.floats(0.1, 10))
def test_order_does_not_depend_on_units(values, scale):
    powers = [math.log2(scale)]  # scaling by a power of two keeps every comparison exact
    factor = 2.0 ** round(powers[0])
    before = rank_sum_order([measured(a, b) for a, b in values], OBJECTIVES)
    after = rank_sum_order([measured(a * factor, b) for a, b in values], OBJECTIVES)
    assert before == after
