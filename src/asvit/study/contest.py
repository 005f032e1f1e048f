"""Which way of choosing a network leads to better ones: the choices of all ways, trained alike (Table 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from asvit.measure.estimates import Estimate
from asvit.networks.architecture import Task
from asvit.study.comparison import MethodScore
from asvit.study.plan import Planned
from asvit.study.results import Trained, by_network


@dataclass(frozen=True)
class Contestant:
    """A network that some way of choosing led to."""

    way: str
    """Search method or scaling rule."""
    run: int
    """Number of the run, from 0; the way's seed is that far above the job's."""
    size: str
    """What it was chosen for, such as a budget; networks of one size are compared."""
    network: str
    params: int
    macs: int


@dataclass(frozen=True)
class Standing:
    """How well the networks of one way and size do."""

    way: str
    size: str
    runs: int
    params: float
    """Mean number of parameters over runs."""
    macs: float
    """Mean number of multiply-adds over runs."""
    top1: Estimate | None
    """Mean accuracy over runs, of each the mean over its trainings, with the standard error over runs; None where
    nothing was trained."""
    beats: Estimate | None
    """Share of a study's sampled topologies that are less accurate; None where there is nothing to compare."""


def trainings_of(contestant: Contestant, count: int) -> list[Planned]:
    """Every run trains with seeds of its own: two that lead to one network are two samples of its accuracy.

    >>> trainings_of(Contestant("a", 1, "", "seed", 1, 1), 2)
    [Planned(network='seed', seed=2), Planned(network='seed', seed=3)]
    """
    return [Planned(contestant.network, contestant.run * count + i) for i in range(count)]


def contest_plan(contestants: Sequence[Contestant], count: int) -> list[Planned]:
    """All contestants' trainings, the first of each before the second; ways that agree share them."""
    rounds = zip(*(trainings_of(contestant, count) for contestant in contestants), strict=True)
    return list(dict.fromkeys(planned for trainings in rounds for planned in trainings))


def standings(
    contestants: Sequence[Contestant], count: int, trained: Sequence[Trained], sampled: Sequence[Trained] = ()
) -> tuple[Standing, ...]:
    """A row a way and size, in the order in which they first appear.

    Args:
        contestants: networks of all ways.
        count: trainings of each.
        trained: their trainings.
        sampled: trainings of a study's topologies with the same data and recipe.
    """
    accuracy = {training.planned: training.top1 for training in trained}
    others = [fmean(values) for values in by_network(sampled).values()]
    rows = []
    for way, size in dict.fromkeys((contestant.way, contestant.size) for contestant in contestants):
        own = [contestant for contestant in contestants if (contestant.way, contestant.size) == (way, size)]
        each = [[accuracy[p] for p in trainings_of(contestant, count) if p in accuracy] for contestant in own]
        means = [fmean(values) for values in each if values]
        rows.append(
            Standing(
                way=way,
                size=size,
                runs=len(own),
                params=fmean(contestant.params for contestant in own),
                macs=fmean(contestant.macs for contestant in own),
                top1=Estimate.of(means) if means else None,
                beats=Estimate.of([fmean(x < mean for x in others) for mean in means]) if means and others else None,
            )
        )
    return tuple(rows)


@dataclass(frozen=True)
class SearchContest:
    """What `asvit study search` found: searches by several methods, each with as many measurements."""

    task: Task
    score: str
    measurements: int
    methods: tuple[MethodScore, ...]
    curves: dict[str, list[list[float]]]
    """Yardstick, by method and run, of the best topology so far after each measurement."""
    contestants: tuple[Contestant, ...]
    standings: tuple[Standing, ...]
    trained: tuple[Trained, ...]
    sampled: tuple[Trained, ...]
    """Trainings of a study's topologies, to compare with."""


@dataclass(frozen=True)
class Place:
    """A network in the plane of depth and width (Fig. 3)."""

    way: str
    run: int
    step: int
    network: str
    depth: int
    """Number of blocks."""
    width: int
    """Output channels of all blocks together."""
    params: int


@dataclass(frozen=True)
class ScalingContest:
    """What `asvit study scaling` found: one topology scaled to the same budgets by several rules."""

    task: Task
    topology: str
    places: tuple[Place, ...]
    """Trajectories of Algorithm 2 and of random scaling, and the networks of the published rules."""
    contestants: tuple[Contestant, ...]
    standings: tuple[Standing, ...]
    trained: tuple[Trained, ...]
