"""In which order a study trains its sample, and with which seeds."""

from collections import Counter

from asvit.study.plan import PlanSettings, pilot_of, planned
from asvit.study.sample import sample_topologies

SETTINGS = PlanSettings(topologies=9, seeds=3, repeated=7, seed=4)


def test_every_topology_is_trained_once_and_some_with_every_seed_after_the_pilot():
    plan = planned(SETTINGS, sample_topologies(9, seed=4))
    pilot = pilot_of(plan, SETTINGS)
    assert len(plan) == len(set(plan)) == 9 + 2 * 7
    assert sorted(Counter(one.network for one in plan).values()) == [1] * 2 + [3] * 7
    assert Counter(one.network for one in pilot) == dict.fromkeys(sample_topologies(6, seed=4), 2)
    assert {one.seed for one in plan[len(pilot) : 9 + 6]} == {0}
