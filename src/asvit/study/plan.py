"""How many networks a study trains, with which seeds, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass

from asvit.errors import UserError, check_whole

PILOT_TOPOLOGIES, PILOT_SEEDS = 6, 2
"""What a study begins with, to learn whether its accuracies differ by more than chance."""
LEAST_RATIO = 4.0
"""Ratio of the variance between topologies to that between seeds below which accuracies decide little."""


@dataclass(frozen=True, order=True)
class Planned:
    """A training of a study."""

    network: str
    """Text form of a topology, which is trained with one block a stage and C = 32 as in the paper, or of a network."""
    seed: int
    """Random seed of the training."""


@dataclass(frozen=True, kw_only=True)
class PlanSettings:
    """How many trainings."""

    topologies: int
    """Topologies, or networks at a budget, sampled at random (paper: 87)."""
    seeds: int
    """Trainings of each that is trained repeatedly."""
    repeated: int
    """Those that are trained repeatedly, the pilot's among them; the others are trained once."""
    seed: int
    """Random seed of the sample."""

    @classmethod
    def of(cls, *, topologies: int, seeds: int, seed: int, repeated: int | None = None) -> "PlanSettings":
        """A plan; if nothing else is said a third of the topologies is trained repeatedly, at least the pilot's.

        >>> PlanSettings.of(topologies=30, seeds=2, seed=0).repeated
        10
        """
        third = min(topologies, max(PILOT_TOPOLOGIES, topologies // 3))
        repeated = third if repeated is None else repeated
        return cls(topologies=topologies, seeds=seeds, repeated=repeated, seed=seed)

    def __post_init__(self) -> None:
        for name, most in (("topologies", 100_000), ("seeds", 1000), ("repeated", 100_000)):
            check_whole(name, getattr(self, name), 0, most)
        if self.topologies < 3 or self.seeds < PILOT_SEEDS:
            raise UserError(
                f"a study of {self.topologies} topologies with {self.seeds} seeds ranks nothing: expected at least 3 "
                f"topologies and {PILOT_SEEDS} seeds"
            )
        if not self.pilot <= self.repeated <= self.topologies:
            raise UserError(
                f"{self.repeated} topologies are to be trained repeatedly: expected from {self.pilot}, those of the "
                f"pilot, to all {self.topologies}"
            )

    @property
    def pilot(self) -> int:
        """Topologies of the pilot."""
        return min(PILOT_TOPOLOGIES, self.topologies)


def planned(settings: PlanSettings, networks: Sequence[str]) -> list[Planned]:
    """All trainings of a sample: the pilot, then everything once, then the further seeds.

    >>> plan = planned(PlanSettings(topologies=7, seeds=2, repeated=7, seed=0), [f"network {i}" for i in range(7)])
    >>> [training.seed for training in plan]
    [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1]
    """
    rounds = [
        (networks[: settings.pilot], range(PILOT_SEEDS)),
        (networks, range(1)),
        (networks[: settings.repeated], range(1, settings.seeds)),
    ]
    in_order = [Planned(network, seed) for part, seeds in rounds for seed in seeds for network in part]
    return list(dict.fromkeys(in_order))


def pilot_of(plan: Sequence[Planned], settings: PlanSettings) -> list[Planned]:
    """The trainings of the pilot, which a plan begins with."""
    return list(plan[: settings.pilot * PILOT_SEEDS])
