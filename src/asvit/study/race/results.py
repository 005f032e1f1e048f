"""What a race found. Needs no torch."""

from dataclasses import dataclass

from asvit.networks.architecture import Task
from asvit.study.race.rounds import Round
from asvit.study.race.runners import Runner


@dataclass(frozen=True)
class Ran:
    """A runner with what was found of it."""

    runner: Runner
    curve: tuple[float, ...]
    """Top-1 accuracy on the validation images after every epoch of its first training."""
    further: tuple[float, ...]
    """Accuracies at the end of whole trainings with other seeds, which finalists have."""
    seconds: float
    """Seconds of an epoch on this machine, beside the other workers, without evaluation."""

    @property
    def epochs(self) -> int:
        """Epochs of its first training."""
        return len(self.curve)

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Accuracy where its trainings ended, the first one's first."""
        return self.curve[-1], *self.further

    @property
    def top1(self) -> float:
        """Mean of these."""
        return sum(self.accuracies) / len(self.accuracies)


@dataclass(frozen=True)
class RaceResult:
    """A race that is over."""

    task: Task
    budget: str
    minutes: float
    """Time that was named."""
    seconds: float
    """Time that was taken, all runs of the command together."""
    epochs: int
    """Epochs of a whole training, over which the learning rate falls."""
    rounds: tuple[Round, ...]
    score: str
    """What designed networks were ranked by before they were trained."""
    runners: tuple[Ran, ...]
    """All runners, the winner first: those of later rounds first, of one round the more accurate ones."""
    left_out: tuple[str, ...]
    """Runners that were not trained for an epoch: time was over, or their training was given up."""
    checkpoint: str
    """File of the winner's weights, in the run directory."""
    finished: bool
    """Whether there was time for all rounds."""
    images: int
    """Validation images, of which accuracies are shares."""

    @property
    def winner(self) -> Ran:
        """The first of the runners."""
        return self.runners[0]


def last_round(ran: Ran, rounds: tuple[Round, ...]) -> int:
    """Number of the last round that a runner has run to its end, from 1; 0 where it did not end the first.

    >>> from asvit.study.race.rounds import rounds
    >>> runner = Runner("seed", "random", 1, 1, None)
    >>> [last_round(Ran(runner, (0.1,) * epochs, (), 1.0), tuple(rounds(8, 8))) for epochs in (1, 2, 5, 8)]
    [0, 1, 2, 3]
    """
    return sum(len(ran.curve) >= part.epochs for part in rounds)


def in_order(ran: list[Ran], rounds: tuple[Round, ...]) -> tuple[Ran, ...]:
    """Runners of later rounds first, of one round those that were more accurate when it ended."""

    def place(one: Ran) -> tuple[int, float]:
        last = last_round(one, rounds)
        whole = last == len(rounds)
        return last, one.top1 if whole else one.curve[rounds[last - 1].epochs - 1] if last else one.curve[0]

    return tuple(sorted(ran, key=place, reverse=True))
