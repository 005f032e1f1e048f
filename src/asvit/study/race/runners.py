"""Who runs a race: designed networks that fill the budget, by the score and at random, and networks of the user's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from asvit.complexity.usage import Usage
from asvit.design.costs import SHORT, Costs
from asvit.design.ranking import rank_sum_order
from asvit.errors import NotAdmitted, UserError
from asvit.measure.measurer import Measurer
from asvit.measure.meter import usage_of
from asvit.measure.settings import Use
from asvit.measure.subject import ArchitectureSubject, subject_of
from asvit.networks.architecture import Architecture, Task
from asvit.networks.named import NetworkFunction, parse_network, read_network
from asvit.networks.space import Space
from asvit.runs.progress import ProgressDisplay
from asvit.study.race.settings import DEAR, RaceSettings
from asvit.study.sample import sample_networks
from asvit.units import format_cost

Way = Literal["score", "random", "guest"]
POOL = 4
"""Random networks that are measured for each designed one that runs."""


@dataclass(frozen=True)
class Runner:
    """A network that runs, and how it came to."""

    network: str
    """Text form, or ``timm:NAME``."""
    way: Way
    params: int
    macs: int
    rank: int | None
    """Place by the score, without training, among the designed networks; 1 is the best, None for guests."""
    usage: Usage | None = None
    """Latency and memory of the network in use; None where it was not or could not be measured."""


def guests_of(settings: RaceSettings, task: Task) -> list[Runner]:
    """Networks of the user's, as far as they cost what the budget allows.

    Raises:
        UserError: one is not known, cannot be trained, or costs far more than the budget.
    """
    runners = []
    for name in dict.fromkeys(settings.guests):
        network = read_network(name)
        if isinstance(network, NetworkFunction):
            raise UserError(f"{name} is a function of yours, which can be measured, but not trained here: leave it out")
        subject = subject_of(network, task)
        runner = Runner(str(network), "guest", subject.params, subject.macs, None)
        if not settings.any_cost:
            check_cost(runner, settings)
        runners.append(runner)
    return runners


def in_use(runners: Sequence[Runner], task: Task, device: torch.device) -> list[Runner]:
    """Runners with their latency and memory, measured while nothing is trained."""

    def used(runner: Runner) -> Usage | None:
        try:
            return usage_of(subject_of(parse_network(runner.network), task), Use(), device, runs=SHORT)
        except NotAdmitted:
            return None

    return [replace(runner, usage=used(runner)) for runner in runners]


def check_cost(guest: Runner, settings: RaceSettings) -> None:
    """Refuse a guest that takes twice of a counted bound, or more."""
    counts: Mapping[str, int] = {"params": guest.params, "macs": guest.macs}
    for bound in settings.budget.bounds:
        if bound.kind in counts and counts[bound.kind] >= DEAR * bound.limit:
            cost = format_cost(bound.kind, counts[bound.kind])
            raise UserError(
                f"{guest.network} has {cost} {'parameters' if bound.kind == 'params' else 'MACs'}, and the budget is "
                f"{bound}: expected less than {DEAR:g} times of it; leave it out, or run it anyway with --any-cost"
            )


def designed(settings: RaceSettings, space: Space, costs: Costs, measurer: Measurer) -> list[Runner]:
    """Designed networks: the best half by the score, of four times as many random ones, and the others at random.

    They are random where the sample is: those of the second half are its first ones that are not among the best.

    Raises:
        UserError: random networks do not fill the budget.
    """
    count = settings.entrants
    if count == 0:
        return []
    sample = sample_networks(POOL * count, measurer.seed, settings.budget, costs, space)
    subjects = [ArchitectureSubject(Architecture.parse(network), costs.task) for network in sample]
    measurer.begin(subjects)
    measured = []
    with ProgressDisplay() as display:
        for done, subject in enumerate(subjects, start=1):
            measured.append(measurer(subject))
            display.update(
                "score", done, len(subjects), count=f"{done} of {len(subjects)} networks", facts=subject.name
            )
    order = rank_sum_order(measured, settings.score)
    best = order[: (count + 1) // 2]
    others = [i for i in range(len(sample)) if i not in best][: count - len(best)]
    places = {i: place for place, i in enumerate(order, start=1)}
    ways: list[tuple[int, Way]] = [*((i, "score") for i in best), *((i, "random") for i in others)]
    return [Runner(sample[i], way, subjects[i].params, subjects[i].macs, places.get(i)) for i, way in ways]
