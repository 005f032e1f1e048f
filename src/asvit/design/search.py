"""Training-free topology search (Section 3.3, Algorithm 1)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asvit.design.policy import Policy
from asvit.design.ranking import OBJECTIVES, Objective, rank_sum_order
from asvit.design.recipes import StartFrom
from asvit.errors import UserError, check_number, check_whole
from asvit.measure.estimates import Measure, Measurement
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import SPACE, TABLE_1, Space, Topology


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How the policy is trained.

    >>> SearchSettings(steps=50).learning_rate
    0.08
    """

    steps: int = 500
    """Topologies that are sampled; the paper's 500 bring the entropy from 15.3 to 5.7."""
    learning_rate: float = 0.08
    """Learning rate of Adam on the policy's logits."""
    baseline_momentum: float = 0.9
    """Momentum of the moving average of the reward that is subtracted from it."""
    range_window: int | None = None
    """Steps over which the range of a measure is taken: all so far (paper), or the last 20 (release)."""
    score: tuple[Objective, ...] = OBJECTIVES
    """Measures that topologies are rewarded by (paper: length and kernel, with equal weight)."""

    def __post_init__(self) -> None:
        check_whole("steps", self.steps, 1, 1_000_000)
        if self.range_window is not None:
            check_whole("range_window", self.range_window, 2, 1_000_000)
        check_number("learning_rate", self.learning_rate, 0, 100)
        check_number("baseline_momentum", self.baseline_momentum, 0, 1, below=True)


@dataclass(frozen=True)
class SearchStep:
    """One step of Algorithm 1."""

    step: int
    topology: str
    reward: float
    entropy: float
    """Entropy of the policy after its update, in nats."""


@dataclass(frozen=True)
class SearchRun:
    """What one search found."""

    seed: int
    steps: tuple[SearchStep, ...]
    probabilities: dict[str, dict[str, float]]
    """Final policy: probability of every value of every choice."""
    most_probable: str
    """Topology of highest probability: the result of Algorithm 1."""
    best_ranked: str | None
    """The measured valid topology with the smallest sum of ranks; None where none was valid."""
    measurements: dict[str, Measurement]
    """Measurement of every topology that was measured, by its text form."""

    def start(self, start_from: StartFrom) -> Architecture:
        """The seed network that growth starts from.

        Raises:
            UserError: its measurement is invalid, or no topology's was valid.
        """
        chosen = self.most_probable if start_from == "most-probable" else self.best_ranked
        if chosen is None or not self.measurements[chosen].valid:
            first = next(iter(self.measurements.values()))
            none_valid = f"no measured topology is valid, the first for {first.invalid}"
            reason = none_valid if chosen is None else self.measurements[chosen].invalid
            raise UserError(
                f"cannot grow the {start_from} topology {chosen or ''}: {reason}; search longer or with another seed"
            )
        return Architecture(Topology.parse(chosen))


class Reward:
    """Line 5 of Algorithm 1: the sum over measures of the change since the previous step over the range so far.

    Measures count by their weights. The first valid step gets 0, a range of 0 counts 0, an invalid step gets the worst
    reward so far and is not remembered as the previous one.

    >>> from asvit.measure.estimates import Estimate
    >>> reward = Reward(OBJECTIVES)
    >>> for length, ntk in ((1.0, 9.0), (3.0, 9.0), (2.0, 5.0)):
    ...     print(reward(Measurement("", {"length": Estimate.of([length]), "ntk": Estimate.of([ntk])})))
    0.0
    1.0
    0.5
    """

    def __init__(self, objectives: Sequence[Objective], *, range_window: int | None = None) -> None:
        self.objectives = objectives
        self.range_window = range_window
        self._history: list[dict[Objective, float]] = []
        self._worst = 0.0

    def __call__(self, measurement: Measurement) -> float:
        """Reward of the next step."""
        if not measurement.valid:
            return self._worst
        now = {objective: measurement.estimates[objective.name].mean for objective in self.objectives}
        before = self._history[-1] if self._history else now
        self._history.append(now)
        reward = sum(
            objective.weight * objective.metric.sign * self._relative_change(objective, before, now)
            for objective in self.objectives
        )
        self._worst = min(self._worst, reward)
        return reward

    def _relative_change(
        self, objective: Objective, before: dict[Objective, float], now: dict[Objective, float]
    ) -> float:
        seen = [values[objective] for values in self._history[-(self.range_window or 0) :]]
        spread = max(seen) - min(seen)
        return (now[objective] - before[objective]) / spread if spread else 0.0


class Baseline:
    """Bias-corrected moving average of the reward, the current one included.

    >>> baseline = Baseline(momentum=0.9)
    >>> round(baseline(1.0), 6), round(baseline(0.0), 6)
    (1.0, 0.473684)
    """

    def __init__(self, *, momentum: float) -> None:
        self.momentum = momentum
        self._average, self._weight = 0.0, 1.0

    def __call__(self, reward: float) -> float:
        """Baseline to subtract from ``reward``."""
        self._average = self.momentum * self._average + (1 - self.momentum) * reward
        self._weight *= self.momentum
        return self._average / (1 - self._weight)


def search(
    measure: Measure,
    settings: SearchSettings = SearchSettings(),
    *,
    space: Space = TABLE_1,
    seed: int = 0,
    on_step: Callable[[SearchStep, Measurement], None] = lambda step, measurement: None,
) -> SearchRun:
    """Algorithm 1: train a policy over a space by policy gradient on ``L^E`` and ``κ_Θ``, or on another score.

    Args:
        measure: measure that is called with a topology's seed network, one block per stage and ``C = 32``.
        settings: steps and constants.
        space: space that the policy chooses from.
        seed: random seed of the policy; the measure has its own.
        on_step: function that is called after every step, with the step and its measurement.

    >>> from asvit.measure.estimates import measured_by
    >>> measure = measured_by(lambda architecture: {"length": architecture.params(), "ntk": 1.0})
    >>> run = search(measure, SearchSettings(steps=20), seed=0)
    >>> len(run.steps), run.best_ranked == max(run.measurements, key=lambda t: Architecture.parse(t).params())
    (20, True)
    """
    policy = Policy(space, np.random.default_rng(seed), learning_rate=settings.learning_rate)
    reward_of = Reward(settings.score, range_window=settings.range_window)
    baseline = Baseline(momentum=settings.baseline_momentum)
    steps: list[SearchStep] = []
    measurements: dict[str, Measurement] = {}
    for t in range(settings.steps):
        topology = policy.sample()
        measurement = measurements[str(topology)] = measure(Architecture(topology))
        reward = reward_of(measurement)
        policy.update(topology, reward - baseline(reward))
        steps.append(SearchStep(t, str(topology), reward, policy.entropy()))
        on_step(steps[-1], measurement)
    most_probable = policy.mode()
    measurements[str(most_probable)] = measure(Architecture(most_probable))
    return SearchRun(
        seed=seed,
        steps=tuple(steps),
        probabilities={
            name: {str(value): float(p) for value, p in zip(space.values[name], probabilities, strict=True)}
            for name, probabilities in policy.probabilities().items()
        },
        most_probable=str(most_probable),
        best_ranked=best_ranked(measurements, settings.score),
        measurements=measurements,
    )


def best_ranked(measurements: Mapping[str, Measurement], score: Sequence[Objective]) -> str | None:
    """The valid topology with the smallest weighted sum of ranks.

    >>> from asvit.measure.estimates import Estimate
    >>> from asvit.design.ranking import parse_score
    >>> values = {"a": 1.0, "b": 2.0}
    >>> measurements = {name: Measurement(name, {"length": Estimate.of([values[name]])}) for name in values}
    >>> best_ranked(measurements, parse_score("length"))
    'b'
    """
    names = list(measurements)
    order = rank_sum_order([measurements[name] for name in names], score)
    return names[order[0]] if order else None


@dataclass(frozen=True)
class Statistic:
    """Mean of a choice, and its standard deviation over the mean (Table 3)."""

    mean: float
    relative_std: float


@dataclass(frozen=True)
class SearchResult:
    """Result of `asvit search`: one run, or several for statistics like Table 3."""

    task: Task
    architecture: str
    """The first run's topology as a seed network: what growth starts from."""
    runs: tuple[SearchRun, ...]
    statistics: dict[str, Statistic]
    """Statistic of every choice over the runs' most probable topologies (Table 3)."""

    @classmethod
    def of(cls, task: Task, runs: Sequence[SearchRun], start_from: StartFrom) -> "SearchResult":
        """The result of some runs, with the start that the first of them found."""
        winners = [Topology.parse(run.most_probable) for run in runs]
        return cls(task, str(runs[0].start(start_from)), tuple(runs), statistics_of(winners))


def statistics_of(topologies: Sequence[Topology]) -> dict[str, Statistic]:
    """Table 3 for some topologies: every choice's mean and normalised standard deviation.

    >>> statistics_of([Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32")])["K1"]
    Statistic(mean=8.0, relative_std=0.0)
    """
    columns = {name: np.array([topology.choices()[name] for topology in topologies], float) for name in SPACE}
    return {name: Statistic(float(v.mean()), float(v.std() / v.mean())) for name, v in columns.items()}


def statistics_of_policy(probabilities: dict[str, dict[str, float]]) -> dict[str, Statistic]:
    """Table 3 for the topologies that a policy would sample, in closed form.

    >>> uniform = {name: {str(value): 1 / len(values) for value in values} for name, values in SPACE.items()}
    >>> statistics_of_policy(uniform)["K1"].mean
    6.0
    """
    statistics = {}
    for name, distribution in probabilities.items():
        values, p = np.array([int(value) for value in distribution]), np.array(list(distribution.values()))
        mean = float(p @ values)
        statistics[name] = Statistic(mean, float(np.sqrt(p @ (values - mean) ** 2) / mean))
    return statistics
