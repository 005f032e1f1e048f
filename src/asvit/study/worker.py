"""What a worker does: take a training, do it, enter what was found, until the study is done or not worth doing."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from asvit.errors import UserError, one_line
from asvit.runs.surroundings import of_surroundings
from asvit.study.noise import Variance, variance_of
from asvit.study.plan import Planned
from asvit.study.queue import Queue
from asvit.study.results import Trained, by_network


@runtime_checkable
class Trains(Protocol):
    """Does trainings."""

    def __call__(self, planned: Planned) -> tuple[Trained, Mapping[str, float]]:
        """What a training found, and numbers for the dashboard."""
        ...

    def share(self) -> float:
        """Share of the present training that is done; asked from another thread."""
        ...

    def forget(self, planned: Planned) -> None:
        """Throw away what was kept to go on with a training that now is entered."""
        ...


POLL = 2.0
"""Seconds after which a worker that has nothing to do looks again."""


@dataclass(frozen=True)
class Pilot:
    """The gate of a study: the rest is trained only if accuracies differ by more than chance."""

    trainings: Collection[Planned]
    least_ratio: float
    """Smallest ratio of the variance between topologies to that between seeds with which it goes on."""

    def variance(self, trained: Sequence[Trained]) -> Variance | None:
        """Variance of the pilot's accuracies; None until all are there."""
        own = [training for training in trained if training.planned in self.trainings]
        return variance_of(by_network(own)) if len(own) == len(self.trainings) else None

    def passed(self, trained: Sequence[Trained]) -> bool | None:
        """Whether the ratio is reached; None until that is known."""
        variance = self.variance(trained)
        return None if variance is None else variance.reaches(self.least_ratio)


def work(
    queue: Queue,
    pilot: Pilot | None,
    train: Trains,
    *,
    name: str,
    report: Callable[[str], None],
    poll: float = POLL,
) -> None:
    """Do trainings until all are done or given up, or the pilot has shown that the rest decides nothing.

    Args:
        queue: the study's queue.
        pilot: what is done first, and what it must show; None: there is none.
        train: does a training.
        name: this worker's name in the queue.
        report: called with a line on each training that failed, which then goes back to the queue.
        poll: seconds between looks at the queue while others do the last ones.

    Raises:
        UserError: this machine has no room or memory, which is no fault of a training, or the queue cannot be used.
    """
    while True:
        queue.refill()
        passed = pilot is None or pilot.passed(queue.trained())
        if passed is False:
            return
        claim = queue.claim(name, queue.plan if pilot is None or passed else pilot.trainings)
        if claim is None:
            if not queue.running():
                return  # all that may be done is done or given up
            time.sleep(poll)
            continue
        try:
            with queue.beating(claim, train.share):
                trained, shown = train(claim.planned)
        except Exception as error:
            if of_surroundings(error):
                raise UserError(
                    f"a worker cannot go on with {claim.planned.network}: {one_line(error)}; make room, or choose "
                    "fewer --workers where memory lacks, then repeat the command: what was trained is kept"
                ) from error
            report(f"{claim.planned.network}, seed {claim.planned.seed}: {one_line(error)}")
            continue
        queue.finish(claim, trained, shown)
        train.forget(claim.planned)
