"""What a study samples, and in which order it is trained."""

from collections import Counter

import pytest

from asvit.errors import UserError
from asvit.networks.space import SPACE, TABLE_1, Space, Topology, space_for
from asvit.study.plan import PlanSettings, pilot_of, planned, sample_topologies

SETTINGS = PlanSettings(topologies=9, seeds=3, repeated=7, seed=4)


def test_every_topology_is_trained_once_and_some_with_every_seed_after_the_pilot():
    plan = planned(SETTINGS)
    pilot = pilot_of(plan, SETTINGS)
    assert len(plan) == len(set(plan)) == 9 + 2 * 7
    assert sorted(Counter(one.network for one in plan).values()) == [1] * 2 + [3] * 7
    assert Counter(one.network for one in pilot) == dict.fromkeys(sample_topologies(6, seed=4), 2)
    assert {one.seed for one in plan[len(pilot) : 9 + 6]} == {0}


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
    assert [one.network for one in planned(SETTINGS)[:6]] == sample_topologies(6, 4, TABLE_1)
