"""What a study trains: random topologies of a space as in the paper, or random networks that fill a budget."""

import numpy as np

from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.design.family import SMALLEST_WIDTH, check_budgets, fit_width
from asvit.errors import UserError
from asvit.networks.architecture import Architecture
from asvit.networks.space import STAGES, TABLE_1, Space

FULL = 0.97
"""Share of a budget that a network takes at least to count as one that fills it."""
MOST_BLOCKS = 16
"""Blocks of a sampled network at most, four a stage in the mean; the published members have 5 to 16."""
TRIES, FEW_TRIES = 1000, 50
"""Random networks in a row of which one has to fill the budget; fewer where none of them comes near it."""


def sample_topologies(count: int, seed: int, space: Space = TABLE_1) -> list[str]:
    """Different topologies drawn uniformly from a space; a longer sample begins with the shorter one.

    >>> sample_topologies(3, seed=0) == sample_topologies(5, seed=0)[:3]
    True

    Raises:
        UserError: the space has fewer.
    """
    if count > space.size():
        raise UserError(f"{count} different topologies are to be drawn from a space of {space.size()}: choose fewer")
    rng = np.random.default_rng(seed)
    sample: dict[str, None] = {}
    while len(sample) < count:
        sample[str(space.sample(rng))] = None
    return list(sample)


def sample_networks(count: int, seed: int, budget: Budget, costs: Costs, space: Space = TABLE_1) -> list[str]:
    """Different networks that fill a budget to 97 % or more; a longer sample begins with the shorter one.

    Each is a topology drawn uniformly, with 4 to 16 blocks, each number as likely, of which every stage has one and the
    others fall to any stage, and the largest width that the budget admits. What leaves more than 3 % unused, since
    widths are multiples of 4, is drawn anew.

    Args:
        count: number of networks.
        seed: random seed.
        budget: what every network may cost.
        costs: what networks cost, for the images they are for.
        space: topologies.

    Raises:
        UserError: the budget is below the smallest network, or random networks do not fill it.

    >>> from asvit.networks.architecture import Task
    >>> from asvit.networks.space import space_for
    >>> costs = Costs(Task(image_size=(64, 64), num_classes=10))
    >>> budget = Budget.parse("params", "2M")
    >>> networks = sample_networks(2, 0, budget, costs, space_for((64, 64), base_stride=2))
    >>> all(0.97 <= budget.share(Architecture.parse(network), costs) <= 1 for network in networks)
    True
    """
    check_budgets([budget], costs, fit=True, space=space)
    rng = np.random.default_rng(seed)
    sample: dict[str, None] = {}
    fullest, tries = 0.0, 0
    while len(sample) < count:
        network = Architecture(space.sample(rng), random_depths(rng), SMALLEST_WIDTH)
        if budget.admits(network, costs):
            network = fit_width(network, budget, costs)
            fullest = max(fullest, budget.share(network, costs))
            if budget.share(network, costs) >= FULL and str(network) not in sample:
                sample[str(network)], tries = None, 0
        if (tries := tries + 1) > (TRIES if fullest > FULL / 2 else FEW_TRIES):
            raise UserError(
                f"{len(sample)} of {count} different networks were found that fill {budget} to {FULL:.0%}; of "
                f"{tries - 1:,} more none did, and the fullest of all takes {fullest:.0%} of it: choose another "
                "budget, fewer --topologies, or another --base-stride"
            )
    return list(sample)


def random_depths(rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Blocks of the stages: one each, and up to twelve more, which fall to any stage.

    >>> sum(random_depths(np.random.default_rng(0)))
    15
    """
    further = rng.integers(MOST_BLOCKS - STAGES, endpoint=True)
    first, second, third, last = 1 + rng.multinomial(further, [1 / STAGES] * STAGES)
    return int(first), int(second), int(third), int(last)
