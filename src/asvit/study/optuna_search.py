"""Searches by samplers of Optuna (Akiba et al., KDD 2019): TPE and NSGA-II over the twelve choices of a space."""

import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from asvit.design.ranking import OBJECTIVES, Objective
from asvit.errors import UserError, from_extra
from asvit.measure.estimates import Measure, Measurement
from asvit.networks.space import TABLE_1, Space
from asvit.study.trace import Trace, Trials


def tpe_search(
    measure: Measure,
    measurements: int,
    *,
    space: Space = TABLE_1,
    seed: int = 0,
    objectives: Sequence[Objective] = OBJECTIVES,
) -> Trace:
    """Tree-structured Parzen estimator at Optuna's defaults, on :func:`log_tradeoff`.

    Source: Bergstra et al., *Algorithms for Hyper-Parameter Optimization* (NeurIPS 2011).

    >>> from asvit.measure.estimates import measured_by
    >>> measure = measured_by(lambda architecture: {"length": architecture.params(), "ntk": 1.0})
    >>> trace = tpe_search(measure, 3, seed=0)
    >>> len(trace.trials), trace.method
    (3, 'tpe')
    """
    trials = Trials(measure, of=measurements)
    optuna = import_optuna()
    _ask_and_tell(
        trials,
        space,
        optuna.samplers.TPESampler(seed=seed),
        directions=["maximize"],
        values=lambda measurement: [log_tradeoff(measurement, objectives)],
    )
    return trials.trace("tpe", seed=seed, objectives=objectives)


def nsga2_search(
    measure: Measure,
    measurements: int,
    *,
    space: Space = TABLE_1,
    seed: int = 0,
    objectives: Sequence[Objective] = OBJECTIVES,
    population: int = 20,
) -> Trace:
    """NSGA-II on the objectives themselves, each in its own direction.

    Source: Deb et al., *A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II* (2002).

    Args:
        measure: called with a topology's seed network.
        measurements: calls of it, the first random population included.
        space: what is searched.
        seed: random seed of the sampler.
        objectives: what is optimised.
        population: valid topologies of a generation; Optuna's 50 would be few generations of some hundreds.

    >>> from asvit.measure.estimates import measured_by
    >>> measure = measured_by(lambda architecture: {"length": architecture.params(), "ntk": 1.0})
    >>> trace = nsga2_search(measure, 3, seed=0)
    >>> len(trace.trials), trace.method
    (3, 'nsga2')
    """
    trials = Trials(measure, of=measurements)
    optuna = import_optuna()
    _ask_and_tell(
        trials,
        space,
        optuna.samplers.NSGAIISampler(population_size=population, seed=seed),
        directions=["maximize" if objective.metric.sign > 0 else "minimize" for objective in objectives],
        values=lambda measurement: [measurement.estimates[objective.name].mean for objective in objectives],
    )
    return trials.trace("nsga2", seed=seed, objectives=objectives)


def log_tradeoff(measurement: Measurement, objectives: Sequence[Objective]) -> float:
    """``Σ ± ln value``, for the paper's objectives ``ln(L^E / κ_Θ)``: one number, the higher the better.

    A sampler is told a value once, so it must not change with what is measured later, as ranks and the paper's reward
    do; and with logarithms no unit of a measure weighs in, only by what factor topologies differ.

    Raises:
        UserError: a value is not positive.

    >>> from asvit.measure.estimates import Estimate
    >>> found = Measurement("", {"length": Estimate.of([6.0]), "ntk": Estimate.of([2.0])})
    >>> round(math.exp(log_tradeoff(found, OBJECTIVES)), 9)
    3.0
    """
    total = 0.0
    for objective in objectives:
        metric, value = objective.metric, measurement.estimates[objective.name].mean
        if value <= 0:
            raise UserError(f"{metric.title} of {measurement.subject} is {value}: TPE adds logarithms, use nsga2")
        total += objective.weight * metric.sign * math.log(value)
    return total


def _ask_and_tell(
    trials: Trials,
    space: Space,
    sampler: Any,
    *,
    directions: Sequence[str],
    values: Callable[[Measurement], Sequence[float]],
) -> None:
    """Measure what the sampler asks for and tell it; invalid topologies as pruned.

    TPE counts pruned trials without a value as worse than all others, and no generation of NSGA-II includes them.
    """
    optuna = import_optuna()
    study = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(), sampler=sampler, directions=directions, study_name="asvit"
    )
    table = {name: optuna.distributions.CategoricalDistribution(options) for name, options in space.values.items()}
    while trials.left:
        asked = study.ask(table)
        measurement = trials.topology(space.topology(asked.params))
        if measurement.valid:
            study.tell(asked, list(values(measurement)))
        else:
            study.tell(asked, state=optuna.trial.TrialState.PRUNED)


def import_optuna() -> ModuleType:
    """Optuna without its progress messages and warnings, or how to install it."""
    with from_extra("study"):
        import optuna
    # Of a damaged database, the only thing that it warns of here, one line is said.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
