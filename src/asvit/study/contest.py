"""Which way of choosing a network leads to better ones: the choices of all ways, trained alike (Table 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from asvit.architecture import Task
from asvit.design.comparison import MethodScore
from asvit.measure import Estimate
from asvit.study.plan import Planned
from asvit.study.results import Trained
from asvit.study.worker import by_network


@dataclass(frozen=True)
class Contestant:
    """A network that some way of choosing led to."""

    way: str
    """Search method or scaling rule."""
    run: int
    """Seed of the way, 0 where it has none."""
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
    """Mean over runs."""
    macs: float
    top1: Estimate | None
    """Mean accuracy over runs, of each the mean over its trainings, with the standard error over runs; None where
    nothing was trained."""
    beats: Estimate | None
    """Share of a study's sampled topologies that are less accurate; None where there is nothing to compare."""


def contest_plan(contestants: Sequence[Contestant], seeds: int) -> list[Planned]:
    """Every network once, then with further seeds; one that several ways lead to is trained like the others.

    >>> some = [Contestant("a", 0, "", "seed", 1, 1), Contestant("b", 0, "", "seed", 1, 1)]
    >>> contest_plan(some, 2)
    [Planned(network='seed', seed=0), Planned(network='seed', seed=1)]
    """
    networks = dict.fromkeys(contestant.network for contestant in contestants)
    return [Planned(network, seed) for seed in range(seeds) for network in networks]


def standings(
    contestants: Sequence[Contestant], trained: Sequence[Trained], sampled: Sequence[Trained] = ()
) -> tuple[Standing, ...]:
    """A row a way and size, in the order in which they first appear.

    Args:
        contestants: networks of all ways.
        trained: their trainings.
        sampled: trainings of a study's topologies with the same data and recipe.
    """
    accuracies = by_network(trained)
    others = [fmean(values) for values in by_network(sampled).values()]
    rows = []
    for way, size in dict.fromkeys((one.way, one.size) for one in contestants):
        own = [one for one in contestants if (one.way, one.size) == (way, size)]
        found = [fmean(accuracies[one.network]) for one in own if one.network in accuracies]
        rows.append(
            Standing(
                way=way,
                size=size,
                runs=len(own),
                params=fmean(one.params for one in own),
                macs=fmean(one.macs for one in own),
                top1=Estimate.of(found) if found else None,
                beats=Estimate.of([fmean(o < one for o in others) for one in found]) if found and others else None,
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
    """By method and run: the best topology so far after each measurement, by the yardstick of all searches."""
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
    """Blocks."""
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
