"""What a study samples: topologies of a space, or networks that fill a budget."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.errors import UserError
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import SPACE, TABLE_1, Space, Topology, space_for
from asvit.study.sample import FULL, random_depths, sample_networks, sample_topologies

COSTS = Costs(Task(image_size=(64, 64), num_classes=10))
STRIDE_2 = space_for((64, 64), base_stride=2)
TWO_MILLION = Budget.parse("params", "2M")


@pytest.mark.parametrize("base_stride", [4, 2, 1])
def test_topologies_differ_and_are_of_the_space(base_stride):
    space = space_for((32, 32), base_stride)
    networks = sample_topologies(40, 0, space)
    assert len(set(networks)) == 40
    for network in networks:
        topology = Topology.parse(network)
        assert topology.base_stride == base_stride
        assert all(value in space.values[name] for name, value in topology.choices().items())


def test_a_space_with_fewer_topologies_is_refused():
    few = Space({name: values[:1] for name, values in SPACE.items()} | {"heads": (16, 32)})
    assert len(sample_topologies(2, 0, few)) == 2
    with pytest.raises(UserError, match="3 different topologies are to be drawn from a space of 2: choose fewer"):
        sample_topologies(3, 0, few)


def test_table_1_is_sampled_unless_another_space_is_given():
    assert sample_topologies(6, 4) == sample_topologies(6, 4, TABLE_1)


@pytest.mark.parametrize("budget", [TWO_MILLION, Budget.parse("macs", "80M")], ids=str)
def test_networks_fill_a_budget(budget):
    networks = [Architecture.parse(text) for text in sample_networks(40, 1, budget, COSTS, STRIDE_2)]
    assert len(set(networks)) == 40
    assert all(FULL <= budget.share(network, COSTS) <= 1 for network in networks)
    for network in networks:
        assert all(value in STRIDE_2.values[name] for name, value in network.topology.choices().items())
    assert {min(sum(network.depths), 16) for network in networks} >= {5, 10, 15}
    assert len({network.width for network in networks}) > 3


def test_bounds_hold_together():
    both = Budget.together([TWO_MILLION, Budget.parse("macs", "60M")])
    for text in sample_networks(10, 0, both, COSTS, STRIDE_2):
        network = Architecture.parse(text)
        assert both.admits(network, COSTS)
        assert max(network.params(COSTS.task) / 2e6, network.macs(COSTS.task) / 60e6) >= FULL


def test_a_longer_sample_begins_with_the_shorter_one():
    assert sample_networks(9, 5, TWO_MILLION, COSTS)[:4] == sample_networks(4, 5, TWO_MILLION, COSTS)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_every_stage_has_a_block_and_all_together_at_most_sixteen(seed):
    depths = random_depths(np.random.default_rng(seed))
    assert min(depths) >= 1
    assert 4 <= sum(depths) <= 16


def test_every_number_of_blocks_is_as_likely_and_so_is_every_stage():
    rng = np.random.default_rng(0)
    sample = [random_depths(rng) for _ in range(13_000)]
    totals = Counter(sum(depths) for depths in sample)
    assert set(totals) == set(range(4, 17))
    assert all(850 < number < 1150 for number in totals.values())
    means = np.mean(sample, axis=0)
    assert means == pytest.approx([2.5] * 4, abs=0.1)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("20k", "below the smallest network that the largest topology of the space has: expected at least "),
        ("9G", "0 of 3 different networks were found that fill 9,?G.* the fullest of all takes [0-9]+% of it"),
    ],
)
def test_a_budget_that_no_network_fills_is_refused(budget, words):
    with pytest.raises(UserError, match=words):
        sample_networks(3, 0, Budget.parse("params", budget), COSTS, STRIDE_2)
