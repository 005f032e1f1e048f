"""Algorithm 2 and the family on fake measures."""

from dataclasses import replace
from itertools import pairwise

import pytest
from fakes import fake_measure

from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.design.family import FamilySettings, check_budgets, fit_width, grow_family, growth_limits, within_any
from asvit.design.grow import GrowthSettings, grow, scaling_choices
from asvit.design.ranking import parse_score
from asvit.errors import UserError
from asvit.networks.architecture import ARCHITECTURES, Architecture, Task

SEED = ARCHITECTURES["seed"]
TASK = Task()
COSTS = Costs(TASK)
WIDER = fake_measure(lambda a: a.width, lambda a: 1.0)
DEEPER_LAST = fake_measure(lambda a: 10.0 * a.depths[3] + a.width / 1000, lambda a: 1.0)


def admits(text: str):
    return within_any([Budget.parse("params", text)], COSTS)


def test_choices_are_the_product_of_widths_and_depths():
    choices = scaling_choices(replace(SEED, width=400), GrowthSettings())
    assert len(choices) == 16
    assert {c.width for c in choices} == {420, 440, 460, 480}
    assert {c.depths for c in choices} == {(2, 1, 1, 1), (1, 2, 1, 1), (1, 1, 2, 1), (1, 1, 1, 2)}


def test_rounding_at_the_proxy_and_at_full_width():
    assert {c.width for c in scaling_choices(SEED, GrowthSettings())} == {32, 36, 40}  # 8 -> 8, 9, 9, 10
    assert {c.width for c in scaling_choices(SEED, GrowthSettings(width_divisor=1))} == {34, 35, 37, 38}


def test_growth_follows_the_better_measure_and_stays_within_the_budget():
    growth = grow(SEED, DEEPER_LAST, admits("30M"))
    trajectory = [Architecture.parse(step.architecture) for step in growth.steps]
    assert [a.depths for a in trajectory] == [(1, 1, 1, i + 1) for i in range(len(trajectory))]
    assert all(a.width == 4 * round(b.width / 4 * 1.2) for b, a in pairwise(trajectory))
    assert trajectory[-1].params() <= 30_000_000
    assert not any(admits("30M")(c) for c in scaling_choices(trajectory[-1], GrowthSettings()))
    assert all(step.architecture in step.candidates for step in growth.steps[1:])
    assert all(admits("30M")(Architecture.parse(c)) for step in growth.steps for c in step.candidates)


def test_invalid_choices_are_never_taken():
    measure = fake_measure(lambda a: a.width, lambda a: 1.0, invalid=lambda a: a.width > 40 or a.depths[0] > 1)
    growth = grow(SEED, measure, admits("30M"))
    assert all(Architecture.parse(s.architecture).depths[0] == 1 for s in growth.steps)
    assert Architecture.parse(growth.steps[-1].architecture).width <= 40
    assert growth.stopped == "every choice within the budget was invalid"


def test_fitted_width_is_the_largest_multiple_of_4_within_the_budget():
    fitted = fit_width(SEED, Budget.parse("params", "30M"), COSTS)
    assert fitted.width % 4 == 0
    assert fitted.params() <= 30_000_000 < replace(fitted, width=fitted.width + 4).params()
    assert fitted.depths == SEED.depths


def family(*budgets: Budget, fit: bool = True, task: Task = TASK, measure=WIDER):
    settings = FamilySettings(task=task, budgets=budgets, limits=tuple(growth_limits(budgets)), fit=fit)
    return grow_family(SEED, settings, measure=measure, measure_proxy=measure)


def test_a_member_for_every_budget_within_it_and_close_to_it():
    budgets = [Budget.parse("params", "10M"), Budget.parse("params", "30M"), Budget.parse("macs", "3G")]
    result = family(*budgets)
    for budget, member in zip(budgets, result.family, strict=True):
        architecture = Architecture.parse(member.architecture)
        assert member.budget == budget
        assert 0.8 < member.share <= 1
        assert (member.params, member.macs) == (architecture.params(), architecture.macs())
        assert member.share == COSTS(budget.kind, architecture) / budget.limit
        assert member.grown in [step.architecture for step in result.growth.steps]


def test_no_fit_hands_over_the_bare_member():
    for member in family(Budget.parse("params", "20M"), fit=False).family:
        assert member.architecture == member.grown


def test_a_budget_below_the_start_narrows_it_or_is_refused_without_fit():
    (member,) = family(Budget.parse("params", "1.5M")).family
    assert Architecture.parse(member.architecture).width < SEED.width
    assert member.params <= 1_500_000
    assert member.measured_at == 1
    with pytest.raises(UserError, match=r"no grown network is within 1.5M parameters.*--no-fit"):
        family(Budget.parse("params", "1.5M"), fit=False)


def test_growth_goes_on_while_any_kind_of_budget_admits():
    limits = growth_limits([Budget("params", 5), Budget("macs", 7), Budget("params", 9)], [Budget("params", 6)])
    assert set(limits) == {Budget("params", 9), Budget("macs", 7)}


def test_a_budget_that_no_width_meets_is_refused_with_the_least_that_is():
    task = Task(num_classes=10)
    with pytest.raises(UserError, match="expected at least"):
        check_budgets([Budget.parse("params", "50k")], Costs(task), fit=True)
    check_budgets([Budget.parse("params", "3M")], Costs(task), fit=True)
    with pytest.raises(UserError, match="leave out --no-fit"):
        check_budgets([Budget.parse("params", "1M")], Costs(task), fit=False)


def test_growth_follows_its_score():
    measure = fake_measure(lambda a: -float(a.depths[3]), lambda a: -float(a.depths[3]))
    for score, deeper in (("length", False), ("ntk", True), ("length:2,ntk", False), ("length,ntk:4", True)):
        growth = grow(SEED, measure, admits("8M"), GrowthSettings(score=parse_score(score)))
        assert (Architecture.parse(growth.steps[1].architecture).depths[3] == 2) == deeper
