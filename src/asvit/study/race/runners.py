"""Who runs a race: designed networks that fill the budget, by the score and at random, and networks of the user's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from asvit.complexity.usage import Usage
from asvit.design.costs import SHORT, Costs
from asvit.design.ranking import rank_sum_order
from asvit.errors import NotAdmitted, UserError
from asvit.measure.estimates import Measurement
from asvit.measure.measurer import Measurer
from asvit.measure.meter import usage_of
from asvit.measure.settings import Use
from asvit.measure.subject import ArchitectureSubject, subject_of
from asvit.networks.architecture import Architecture, Task
from asvit.networks.named import NetworkFunction, parse_network, read_network
from asvit.networks.space import Space
from asvit.runs.progress import ProgressDisplay, tell
from asvit.study.race.settings import DEAR, RaceSettings
from asvit.study.sample import sample_networks
from asvit.units import format_cost

Way = Literal["score", "random", "guest"]
POOL = 4
"""Random networks that are measured for each designed one that runs."""
AT_A_TIME = 8
"""Random networks that are measured between looks at the clock."""


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


def random_runners(settings: RaceSettings, seed: int, costs: Costs, space: Space) -> list[Runner]:
    """Random networks that fill the budget: those that are measured, four times as many as run.

    Raises:
        UserError: random networks do not fill the budget.
    """
    names = sample_networks(POOL * settings.entrants, seed, settings.budget, costs, space) if settings.entrants else []
    subjects = [ArchitectureSubject(Architecture.parse(name), costs.task) for name in names]
    return [
        Runner(name, "random", subject.params, subject.macs, None)
        for name, subject in zip(names, subjects, strict=True)
    ]


def designed(
    settings: RaceSettings, sample: Sequence[Runner], measurer: Measurer, is_over: Callable[[], bool]
) -> list[Runner]:
    """Designed networks: the best half by the score, of as many random ones as there is time for, and others at random.

    They are random where the sample is: those of the second half are its first ones that are not among the best.

    Args:
        settings: how many run, and by which score.
        sample: random networks.
        measurer: what measures them.
        is_over: whether the time for measuring is up; as many as run are measured in any case.
    """
    entrants = settings.entrants
    measured = _measured(sample, measurer, is_over, at_least=entrants)
    order = rank_sum_order(measured, settings.score)
    best = order[: (entrants + 1) // 2]
    others = [i for i in range(len(sample)) if i not in best][: entrants - len(best)]
    places = {i: place for place, i in enumerate(order, start=1)}
    ways: list[tuple[int, Way]] = [*((i, "score") for i in best), *((i, "random") for i in others)]
    return [replace(sample[i], way=way, rank=places.get(i)) for i, way in ways]


def _measured(
    sample: Sequence[Runner], measurer: Measurer, is_over: Callable[[], bool], at_least: int
) -> list[Measurement]:
    subjects = [ArchitectureSubject(Architecture.parse(runner.network), measurer.task) for runner in sample]
    measured: list[Measurement] = []
    with ProgressDisplay() as display:
        for first in range(0, len(subjects), AT_A_TIME):
            if len(measured) >= at_least and is_over():
                tell(f"there was time to measure {len(measured)} of {len(subjects)} random networks")
                break
            together = subjects[first : first + AT_A_TIME]
            measurer.begin(together)
            for done, subject in enumerate(together, start=first + 1):
                measured.append(measurer(subject))
                words = f"{done} of {len(subjects)} networks"
                display.update("score", done, len(subjects), count=words, facts=subject.name)
    return measured
