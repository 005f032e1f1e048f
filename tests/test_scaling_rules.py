"""Scaling rules beside Algorithm 2: depths and sizes as published, budgets met, random growth."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.design.family import within_any
from asvit.design.grow import GrowthSettings, scaling_choices
from asvit.errors import UserError
from asvit.networks.architecture import ARCHITECTURES, Architecture, Task, plane
from asvit.networks.space import TABLE_1
from asvit.study.published_rules import RULES, four_stages
from asvit.study.scaling_rules import RandomScaling, random_band, scaled_by

SEED = ARCHITECTURES["seed"]
BUDGETS = [Budget.parse("params", text) for text in ("30M", "55M", "90M")]
WITHIN_30M = within_any(BUDGETS[:1], Costs())


def depths_of(rule: str, *budgets: Budget) -> list[tuple[int, ...]]:
    return [Architecture.parse(scaled.architecture).depths for scaled in scaled_by(RULES[rule], SEED.topology, budgets)]


def test_depths_at_the_three_budgets_of_the_paper():
    assert depths_of("swin", *BUDGETS) == [(2, 2, 6, 2), (2, 2, 18, 2), (2, 2, 18, 2)]
    assert depths_of("resnet", *BUDGETS) == [(3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)]
    assert depths_of("vit", *BUDGETS) == [(3, 3, 3, 3)] * 3


def test_a_budget_below_the_smallest_published_network_gets_its_depths():
    assert depths_of("resnet", Budget.parse("params", "5M")) == [(2, 2, 2, 2)]


def test_the_largest_networks():
    depths = [depths_of(rule, Budget.parse("params", "310M"))[0] for rule in RULES]
    assert depths == [(2, 2, 18, 2), (3, 8, 36, 3), (6, 6, 6, 6)]


TIMM = {
    "Swin-T": "swin_tiny_patch4_window7_224",
    "Swin-S": "swin_small_patch4_window7_224",
    "Swin-B": "swin_base_patch4_window7_224",
    "Swin-L": "swin_large_patch4_window7_224",
    "ResNet-18": "resnet18",
    "ResNet-50": "resnet50",
    "ResNet-101": "resnet101",
    "ResNet-152": "resnet152",
    "ViT-Ti": "vit_tiny_patch16_224",
    "ViT-S": "vit_small_patch16_224",
    "ViT-B": "vit_base_patch16_224",
    "ViT-L": "vit_large_patch16_224",
}


@pytest.mark.parametrize("network", [n for rule in RULES.values() for n in rule.networks], ids=lambda n: n.name)
def test_published_numbers_are_those_of_timms_models(network):
    with torch.device("meta"):
        model = timm.create_model(TIMM[network.name])
    assert network.params == sum(parameter.numel() for parameter in model.parameters())
    assert network.dims[-1] == model.num_features
    if network.name.startswith("ViT"):
        assert network.depths == (len(model.blocks),)
    elif network.name.startswith("Swin"):
        assert network.depths == tuple(len(stage.blocks) for stage in model.layers)
    else:
        assert network.depths == tuple(len(getattr(model, f"layer{i}")) for i in range(1, 5))
        assert network.dims == tuple(model.feature_info[i]["num_chs"] for i in range(1, 5))


def test_published_places_in_the_plane():
    planes = {network.name: network.plane for rule in RULES.values() for network in rule.networks}
    assert planes["Swin-T"] == (12, 2 * 96 + 2 * 192 + 6 * 384 + 2 * 768)
    assert planes["ResNet-50"] == (16, 3 * 256 + 4 * 512 + 6 * 1024 + 3 * 2048)
    assert planes["ViT-L"] == (24, 24 * 1024)


@given(st.integers(4, 60))
def test_an_even_spread_keeps_the_total_and_differs_by_one_block(total):
    depths = four_stages((total,))
    assert sum(depths) == total
    assert max(depths) - min(depths) <= 1


@settings(max_examples=30, deadline=None)
@given(
    rule=st.sampled_from([*RULES.values(), RandomScaling(0), RandomScaling(1)]),
    seed=st.integers(0, 10**6),
    millions=st.integers(4, 90),
)
def test_budgets_are_met_within_one_step_of_width(rule, seed, millions):
    topology = TABLE_1.sample(np.random.default_rng(seed))
    budget = Budget("params", millions * 10**6)
    (scaled,) = scaled_by(rule, topology, [budget])
    architecture = Architecture.parse(scaled.architecture)
    assert architecture.topology == topology
    assert architecture.width % 4 == 0
    assert (scaled.params, scaled.macs) == (architecture.params(), architecture.macs())
    assert scaled.params <= budget.limit < replace(architecture, width=architecture.width + 4).params()
    assert scaled.share == scaled.params / budget.limit
    assert scaled.plane == plane(architecture)


def test_random_growth_takes_a_choice_of_algorithm_2_at_every_step_and_ends_where_none_is_left():
    trajectory = RandomScaling(3).trajectory(SEED, WITHIN_30M)
    assert trajectory[0] == SEED
    for i in range(1, len(trajectory)):
        assert trajectory[i] in scaling_choices(trajectory[i - 1], GrowthSettings())
    assert all(map(WITHIN_30M, trajectory))
    assert not any(map(WITHIN_30M, scaling_choices(trajectory[-1], GrowthSettings())))


def test_random_growth_is_a_function_of_its_seed():
    assert RandomScaling(1).trajectory(SEED, WITHIN_30M) == RandomScaling(1).trajectory(SEED, WITHIN_30M)
    assert len({tuple(RandomScaling(seed).trajectory(SEED, WITHIN_30M)) for seed in range(10)}) == 10


def test_every_choice_of_random_growth_is_as_likely():
    growth = GrowthSettings(ratios=(1.0,))  # four choices a step: one more block in one of the stages
    first = [
        RandomScaling(seed, growth).trajectory(SEED, lambda a: sum(a.depths) <= 5)[1].depths for seed in range(400)
    ]
    counts = [first.count(depths) for depths in ((2, 1, 1, 1), (1, 2, 1, 1), (1, 1, 2, 1), (1, 1, 1, 2))]
    assert sum(counts) == 400
    assert min(counts) > 70  # 100 are expected, with a standard deviation of 8.7


def test_random_networks_of_several_budgets_come_from_one_growth():
    small, middle, large = (
        Architecture.parse(scaled.architecture) for scaled in scaled_by(RandomScaling(0), SEED.topology, BUDGETS)
    )
    for shallower, deeper in ((small, middle), (middle, large)):
        assert all(a <= b for a, b in zip(shallower.depths, deeper.depths, strict=True))


def test_random_scaling_meets_budgets_in_macs_and_published_rules_refuse_them():
    budget = Budget.parse("macs", "5G")
    (scaled,) = scaled_by(RandomScaling(0), SEED.topology, [budget])
    assert 0.8 < scaled.share <= 1
    assert scaled.share == scaled.macs / budget.limit
    with pytest.raises(UserError, match="not 5G MACs"):
        scaled_by(RULES["vit"], SEED.topology, [budget])


def test_a_budget_that_no_width_meets_is_refused_with_the_least_that_is():
    with pytest.raises(UserError, match=r"the swin rule has no network within 100k.*at least") as refused:
        scaled_by(RULES["swin"], SEED.topology, [Budget.parse("params", "100k")], Task(num_classes=10))
    assert "\n" not in str(refused.value)


def test_the_band_of_two_growths_by_hand():
    narrow = [SEED, replace(SEED, depths=(2, 1, 1, 1)), replace(SEED, depths=(3, 1, 1, 1))]
    wide = [SEED, replace(SEED, depths=(1, 1, 1, 2))]
    bands = random_band([narrow, wide])
    assert [(band.depth, band.width, band.std) for band in bands] == [
        (4, 480, 0),
        (5, 480 + (32 + 256) / 2, (256 - 32) / 2),
    ]
