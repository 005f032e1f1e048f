"""Successive halving: all runners train a little, the better half goes on, and so on; the last two train to the end.

After Jamieson & Talwalkar, AISTATS 2016. Optuna's pruners stop trials that are running, and never let a stopped one go
on; so the first to come would always be trained to the end. Needs no torch.
"""

from dataclasses import dataclass

from asvit.errors import UserError

FINALISTS = 2
"""Runners that are trained to the end."""
SEEDS = 2
"""Trainings of each finalist, with other seeds."""


@dataclass(frozen=True)
class Round:
    """A part of the race: so many runners, trained until they have seen so many epochs."""

    runners: int
    epochs: int


def rounds(runners: int, epochs: int) -> list[Round]:
    """The rounds of a race: half as many runners in each as in the one before, with twice as many epochs.

    Where epochs are too few for that, several halvings fall together.

    Args:
        runners: runners at the start.
        epochs: epochs of a whole training.

    >>> [(round.runners, round.epochs) for round in rounds(16, 40)]
    [(16, 5), (8, 10), (4, 20), (2, 40)]
    >>> [(round.runners, round.epochs) for round in rounds(16, 2)]
    [(16, 1), (2, 2)]
    """
    numbers = [runners]
    while numbers[-1] > FINALISTS:
        numbers.append(max(FINALISTS, (numbers[-1] + 1) // 2))
    found: list[Round] = []
    for place, number in enumerate(numbers):
        until = max(1, round(epochs / 2 ** (len(numbers) - 1 - place)))
        if not found or until > found[-1].epochs:
            found.append(Round(number, until))
    return found


def epochs_in_all(runners: int, epochs: int) -> int:
    """Epochs of all trainings of a race together, those of the finalists' further seeds among them.

    >>> epochs_in_all(16, 40)
    280
    """
    done, total = 0, 0
    for part in rounds(runners, epochs):
        total += part.runners * (part.epochs - done)
        done = part.epochs
    return total + min(runners, FINALISTS) * (SEEDS - 1) * epochs


def epochs_that_fit(runners: int, epochs: float, most: int) -> int:
    """The longest training, in whole epochs, with which a race takes no more epochs in all than there is time for.

    Args:
        runners: runners at the start.
        epochs: epochs of a mean runner for which there is time, over all workers.
        most: epochs of a training at most.

    Raises:
        UserError: not one epoch of each fits.

    >>> epochs_that_fit(16, epochs=300.0, most=1000)
    43
    """
    if epochs_in_all(runners, 1) > epochs:
        raise UserError(
            f"in the time there are {epochs:.1f} epochs of a mean runner, and {runners} runners take "
            f"{epochs_in_all(runners, 1)} at least"
        )
    low, high = 1, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if epochs_in_all(runners, middle) <= epochs else (low, middle)
    return low
