"""Searches to compare Algorithm 1 with: the same space, the same measure, the same number of measurements."""

from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np

from asvit.design.ranking import OBJECTIVES, Objective, rank_sum_order
from asvit.design.search import SearchSettings, search
from asvit.measure.estimates import Measure
from asvit.networks.space import TABLE_1, Space, Topology
from asvit.study.optuna_search import nsga2_search, tpe_search
from asvit.study.trace import Trace, Trials


class Searcher(Protocol):
    """A search method."""

    def __call__(
        self,
        measure: Measure,
        measurements: int,
        *,
        space: Space = TABLE_1,
        seed: int = 0,
        objectives: Sequence[Objective] = OBJECTIVES,
    ) -> Trace:
        """Search a space with as many calls of ``measure``; the same seed gives the same search."""
        ...


def reinforce_search(
    measure: Measure,
    measurements: int,
    *,
    space: Space = TABLE_1,
    seed: int = 0,
    objectives: Sequence[Objective] = OBJECTIVES,
) -> Trace:
    """Algorithm 1 (:func:`~asvit.design.search.search`); the last measurement is of the policy's mode, its result.

    >>> from asvit.measure.estimates import measured_by
    >>> measure = measured_by(lambda architecture: {"length": architecture.params(), "ntk": 1.0})
    >>> trace = reinforce_search(measure, 5, seed=0)
    >>> len(trace.trials), trace.trials[-1].topology == trace.result
    (5, True)
    """
    trials = Trials(measure, of=measurements)
    run = search(trials, SearchSettings(steps=measurements - 1, score=tuple(objectives)), space=space, seed=seed)
    return Trace("reinforce", seed, tuple(trials.done), run.most_probable)


def random_search(
    measure: Measure,
    measurements: int,
    *,
    space: Space = TABLE_1,
    seed: int = 0,
    objectives: Sequence[Objective] = OBJECTIVES,
) -> Trace:
    """Topologies drawn uniformly.

    >>> from asvit.measure.estimates import Measurement
    >>> trace = random_search(lambda architecture: Measurement("", {}, "singular"), 3, seed=1)
    >>> len(trace.trials), trace.result
    (3, None)
    """
    rng = np.random.default_rng(seed)
    trials = Trials(measure, of=measurements)
    while trials.left:
        trials.topology(space.sample(rng))
    return trials.trace("random", seed=seed, objectives=objectives)


def evolution_search(
    measure: Measure,
    measurements: int,
    *,
    space: Space = TABLE_1,
    seed: int = 0,
    objectives: Sequence[Objective] = OBJECTIVES,
    population: int = 20,
    tournament: int = 5,
) -> Trace:
    """Regularised evolution: the winner of a tournament is mutated, and the oldest topology dies, however good.

    A tournament draws from the population with replacement; it is won by the place in the order of rank sums of all
    that was measured so far, in which invalid topologies are last. Source: Real et al., *Regularized Evolution for
    Image Classifier Architecture Search* (AAAI 2019), Algorithm 1.

    Args:
        measure: called with a topology's seed network.
        measurements: calls of it, the first random population included.
        space: what is searched.
        seed: random seed of all draws.
        objectives: what topologies are ranked by.
        population: topologies that are alive; the source has 100 in 20,000 measurements, here there are hundreds.
        tournament: draws from the population for one parent; like the source, a quarter of it.

    >>> from asvit.measure.estimates import measured_by
    >>> measure = measured_by(lambda architecture: {"length": architecture.params(), "ntk": 1.0})
    >>> trace = evolution_search(measure, 12, population=4, tournament=2, seed=0)
    >>> len(trace.trials), trace.result in trace.measurements
    (12, True)
    """
    rng = np.random.default_rng(seed)
    trials = Trials(measure, of=measurements)
    alive: deque[tuple[int, Topology]] = deque(maxlen=population)  # a full deque drops its oldest
    while trials.left:
        if len(alive) < population:
            child = space.sample(rng)
        else:
            place = {trial: at for at, trial in enumerate(rank_sum_order(trials.measurements, objectives))}
            drawn = [alive[i] for i in rng.integers(population, size=tournament)]
            _, parent = min(drawn, key=lambda member: place.get(member[0], trials.of))
            child = mutated(parent, space, rng)
        alive.append((len(trials.done), child))
        trials.topology(child)
    return trials.trace("evolution", seed=seed, objectives=objectives)


def mutated(topology: Topology, space: Space, rng: np.random.Generator) -> Topology:
    """The topology with another value of one choice of a space that has several, both drawn uniformly.

    >>> parent = Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32")
    >>> child = mutated(parent, TABLE_1, np.random.default_rng(0))
    >>> sum(value != parent.choices()[name] for name, value in child.choices().items())
    1
    """
    choices = topology.choices()
    name = str(rng.choice([name for name, values in space.values.items() if len(values) > 1]))
    others = [value for value in space.values[name] if value != choices[name]]
    return space.topology(choices | {name: int(rng.choice(others))})


SEARCHERS: Mapping[str, Searcher] = MappingProxyType(
    {
        "reinforce": reinforce_search,
        "random": random_search,
        "evolution": evolution_search,
        "tpe": tpe_search,
        "nsga2": nsga2_search,
    }
)
"""Search methods by name: Algorithm 1 and its rivals. A topology that is tried again counts as a measurement again."""
