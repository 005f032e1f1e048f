"""Families within latency and memory, on fake meters: what is measured, what is handed over, what is refused."""

import random
from dataclasses import replace

import numpy as np
import pytest
from fakes import fake_measure, fake_meter
from hypothesis import given, settings
from hypothesis import strategies as st

from asvit.design.budget import Budget
from asvit.design.costs import LONG, SHORT, Costs
from asvit.design.family import (
    FamilySettings,
    check_budgets,
    fit_width,
    grow_family,
    growth_limits,
    last_admitted,
    last_within,
    narrowest,
    within_reach,
)
from asvit.errors import UserError
from asvit.networks.architecture import ARCHITECTURES, Architecture, Task
from asvit.networks.space import TABLE_1

SEED, SMALL = ARCHITECTURES["seed"], ARCHITECTURES["small"]
MEASURE = fake_measure(lambda a: a.width, lambda a: 1.0)


def seconds(architecture: Architecture) -> float:
    """A nanosecond a parameter, so that 8 ms are 8M parameters."""
    return architecture.params() * 1e-9


def nbytes(architecture: Architecture) -> int:
    return 4 * architecture.params() + 10**6


STEADY = fake_meter(lambda a, runs: seconds(a), nbytes)
BOTH = Budget.together([Budget("macs", 10**9), Budget("latency", 0.012)])


def family(*budgets: Budget, meter=STEADY, fit: bool = True, start: Architecture = SEED):
    asked = FamilySettings(task=Task(), budgets=budgets, limits=tuple(growth_limits(budgets)), fit=fit)
    return grow_family(start, asked, measure=MEASURE, measure_proxy=MEASURE, meter=meter)


def test_members_use_nearly_all_of_their_latency_or_memory():
    budgets = (Budget.parse("latency", "8ms"), Budget.parse("latency", "20ms"), Budget.parse("memory", "100MB"))
    for budget, member in zip(budgets, family(*budgets).family, strict=True):
        architecture = Architecture.parse(member.architecture)
        wider = replace(architecture, width=architecture.width + 4)
        assert member.budget == budget
        assert member.usage == STEADY(architecture, LONG)
        assert budget.admits(architecture, Costs(meter=STEADY))
        assert not budget.admits(wider, Costs(meter=STEADY))
        assert member.share == Costs(meter=STEADY)(budget.kind, architecture) / budget.limit


def test_one_member_meets_several_budgets_and_the_tightest_decides():
    result = family(BOTH)
    (member,) = result.family
    assert member.usage is not None
    assert member.usage.latency <= 0.012
    assert member.macs <= 10**9
    wider = replace(Architecture.parse(member.architecture), width=Architecture.parse(member.architecture).width + 4)
    assert seconds(wider) > 0.012 or wider.macs() > 10**9
    assert member.share == max(member.usage.latency / 0.012, member.macs / 10**9)
    assert all(BOTH.admits(Architecture.parse(step.architecture), Costs(meter=STEADY)) for step in result.growth.steps)


def test_growth_goes_on_within_any_budget_that_no_other_contains():
    slower = Budget("latency", 0.02)
    assert growth_limits([BOTH, slower, Budget("macs", 10**9)]) == [slower, Budget("macs", 10**9)]
    assert growth_limits([BOTH, BOTH, Budget("macs", 10**8)]) == [BOTH, Budget("macs", 10**8)]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.floats(0, 0.5), limit=st.floats(0.004, 0.008))
def test_however_latencies_scatter_no_member_is_handed_over_beyond_its_budget(seed, noise, limit):
    """Repeated measurements of a network differ, but, as in a ledger, not when it is asked for the same one again."""

    def scattered(architecture: Architecture, runs: int) -> float:
        return seconds(architecture) * (1 + random.Random(f"{seed} {architecture} {runs}").uniform(-noise, noise))

    meter = fake_meter(scattered, nbytes)
    budget = Budget("latency", limit)
    (member,) = family(budget, meter=meter).family
    assert member.usage is not None
    assert member.usage == meter(Architecture.parse(member.architecture), LONG)
    assert member.usage.latency <= limit
    assert member.share <= 1
    assert member == family(budget, meter=meter).family[0]


@pytest.mark.parametrize("fit", [True, False])
def test_what_short_measurements_flatter_is_narrowed_or_grown_less_until_a_long_one_holds(fit):
    flattered = fake_meter(lambda a, runs: seconds(a) * (0.8 if runs == SHORT else 1.0), nbytes)
    (member,) = family(Budget("latency", 0.012), meter=flattered, fit=fit).family
    (honest,) = family(Budget("latency", 0.012), fit=fit).family
    assert member.usage is not None
    assert member.usage.latency <= 0.012
    assert member.usage.latency > (0.011 if fit else 0.006)
    assert honest.usage is not None
    if not fit:
        assert member.grown == member.architecture


def test_counts_are_never_measured():
    def meter(architecture: Architecture, runs: int):
        raise AssertionError

    (member,) = family(Budget.parse("params", "5M"), meter=meter).family
    assert member.usage is None
    check_budgets([Budget.parse("params", "5M")], Costs(meter=meter), fit=True)


def test_fitting_measures_few_networks_and_none_far_beyond_the_budget():
    asked = []

    def latency(architecture: Architecture, runs: int) -> float:
        asked.append(architecture)
        return seconds(architecture)

    fitted = fit_width(SMALL, Budget("latency", 0.1), Costs(meter=fake_meter(latency, nbytes)))
    assert seconds(fitted) <= 0.1 < seconds(replace(fitted, width=fitted.width + 4))
    assert len(set(asked)) <= 16
    assert max(map(seconds, asked)) < 0.1 * 1.3**2


@given(last=st.integers(2, 500), start=st.integers(2, 300))
def test_the_last_admitted_number_is_found_from_anywhere(last, start):
    assert last_admitted(lambda number: number <= last, start, 2, 300) == min(last, 300)


def test_no_network_is_made_wider_than_its_channels_can_be():
    assert fit_width(SEED, Budget.parse("params", "10G"), Costs()).width == 1024


def test_the_last_network_within_is_measured_at_length_only_where_a_short_measurement_admits_it():
    asked = []

    def latency(architecture: Architecture, runs: int) -> float:
        asked.append((architecture, runs))
        return seconds(architecture)

    trajectory = [SEED, replace(SEED, width=64), SMALL]
    budget = Budget("latency", seconds(trajectory[1]))
    assert last_within(trajectory, budget, Costs(meter=fake_meter(latency, nbytes))) == trajectory[1]
    assert asked == [(SMALL, SHORT), (trajectory[1], SHORT), (trajectory[1], LONG)]


def test_a_latency_below_the_smallest_network_is_refused_with_the_least_there_is():
    costs = Costs(meter=STEADY)
    least = replace(SMALL, width=8)
    with pytest.raises(UserError, match=r"0.1ms of latency is below .* at least .*ms of latency") as refused:
        check_budgets([Budget("latency", 0.0001)], costs, fit=True, start=SMALL)
    assert f"{1000 * seconds(least):.4g}ms" in str(refused.value)
    assert "on a busy machine try again when it is quiet" in str(refused.value)
    check_budgets([Budget("latency", seconds(least))], costs, fit=True, start=SMALL)
    with pytest.raises(UserError, match="leave out --no-fit"):
        check_budgets([Budget("latency", 0.028)], costs, fit=False, start=SMALL)
    with pytest.raises(UserError, match="memory is below the smallest network that the smallest topology"):
        check_budgets([Budget.together([BOTH, Budget("memory", 1000)])], costs, fit=True)


def test_topologies_that_no_width_brings_within_a_latency_are_invalid():
    topologies = [Architecture(TABLE_1.sample(np.random.default_rng(i))) for i in range(20)]
    least = sorted(seconds(narrowest(one, fit=True)) for one in topologies)
    budget = Budget("latency", least[7])
    asked = FamilySettings(task=Task(), budgets=(budget,), limits=(budget,))
    reached = within_reach(MEASURE, asked, Costs(meter=STEADY))
    check_budgets([budget], Costs(meter=STEADY), fit=True)
    for one in topologies:
        if seconds(replace(one, width=8)) <= least[7]:
            assert reached(one) == MEASURE(one)
        else:
            assert "its narrowest network takes" in str(reached(one).invalid)
    assert sum(reached(one).valid for one in topologies) == 8
    as_they_are = within_reach(MEASURE, replace(asked, fit=False), Costs(meter=STEADY))
    assert sum(as_they_are(one).valid for one in topologies) == sum(seconds(one) <= least[7] for one in topologies)


def test_fitting_refuses_what_no_width_holds():
    always_slow = fake_meter(lambda a, runs: 1.0, nbytes)
    with pytest.raises(UserError, match=r"no width of .* is within 500ms of latency: expected at least 1s of latency"):
        fit_width(SMALL, Budget("latency", 0.5), Costs(meter=always_slow))


def test_a_latency_without_a_device_is_refused():
    with pytest.raises(UserError, match="expected budgets in parameters or multiply-adds"):
        grow_family(
            SEED,
            FamilySettings(task=Task(), budgets=(Budget("latency", 0.1),), limits=(Budget("latency", 0.1),)),
            measure=MEASURE,
            measure_proxy=MEASURE,
        )


def test_growth_from_a_network_of_ones_own_keeps_its_depths_and_width():
    result = family(Budget.parse("params", "45M"), start=SMALL)
    first, second = (Architecture.parse(step.architecture) for step in result.growth.steps[:2])
    assert first == SMALL
    assert second.width >= SMALL.width
    assert sum(second.depths) == sum(SMALL.depths) + 1
    (member,) = result.family
    assert all(a >= b for a, b in zip(Architecture.parse(member.architecture).depths, SMALL.depths, strict=True))
    (narrowed,) = family(Budget.parse("params", "10M"), start=SMALL).family
    assert Architecture.parse(narrowed.architecture).depths == SMALL.depths
    assert narrowed.measured_at == 1
