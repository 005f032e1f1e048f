"""What a race says in words: who won, by how much, what the order without training would have cost, how guests did."""

from asvit.design.ranking import parse_score
from asvit.measure.estimates import Estimate, wilson
from asvit.measure.metrics import METRICS
from asvit.study.contest_verdict import welch
from asvit.study.correlation import LEVEL, Interval
from asvit.study.race.results import RaceResult, Ran, last_round
from asvit.units import count


def lead(result: RaceResult) -> Interval | None:
    """Accuracy of the winner less that of the second, with its interval; None where chance cannot be told.

    By Welch's t over the seeds of the two that were trained to the end.
    """
    if len(result.runners) < 2:
        return None
    first, second = (Estimate.of(list(ran.accuracies)) for ran in result.runners[:2])
    errors = first.standard_error, second.standard_error
    return welch(first, second, LEVEL) if None not in errors and any(errors) else None


def sentences(result: RaceResult) -> list[str]:
    """The verdict: the winner, whether that is more than chance, its lead, the order without training, the guests."""
    return [
        _won(result),
        *_no_better_than_guessing(result),
        _lead(result),
        *_without_training(result),
        *_guests(result),
    ]


def _won(result: RaceResult) -> str:
    winner = result.winner
    trainings = count(len(winner.accuracies), "training")
    return f"{winner.runner.network} won: top-1 {winner.top1:.1%} after {count(winner.epochs, 'epoch')}, {trainings}."


def _no_better_than_guessing(result: RaceResult) -> list[str]:
    """A winner whose accuracy chance alone would give has won nothing."""
    classes, right = result.task.num_classes, result.winner.top1 * result.images
    low, _ = wilson(right, result.images)
    if low > 1 / classes:
        return []
    return [
        f"That is not shown to be better than guessing among {classes} classes, right for {1 / classes:.1%}: race for "
        "longer, or with fewer networks."
    ]


def _lead(result: RaceResult) -> str:
    if len(result.runners) < 2:
        return "It ran alone: no other was trained for an epoch."
    second, interval = result.runners[1], lead(result)
    if interval is None:
        why = "" if result.finished else "time was over before both had been trained to the end with two seeds: "
        return f"By how much is not known: {why}the second is {second.runner.network}, top-1 {second.top1:.1%}."
    points = f"{100 * interval.value:.1f} points [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
    if interval.low > 0:
        return f"It leads {second.runner.network} by {points}, with a 95 % interval over seeds."
    return f"Its lead is within chance: {second.runner.network} is {points} behind, with a 95 % interval over seeds."


def favourite(result: RaceResult) -> Ran | None:
    """What one would have taken without training: the first by the score."""
    return next((ran for ran in result.runners if ran.runner.rank == 1), None)


def _without_training(result: RaceResult) -> list[str]:
    first = favourite(result)
    if first is None:
        return []
    score = " and ".join(METRICS[objective.name].title for objective in parse_score(result.score))
    if first is result.winner:
        return [f"The first choice by {score}, without training, is the winner."]
    epochs = min(first.epochs, result.winner.epochs)
    behind = 100 * (result.winner.curve[epochs - 1] - first.curve[epochs - 1])
    where = f"{behind:.1f} points behind the winner" if behind >= 0 else f"{-behind:.1f} points ahead of the winner"
    return [
        f"The first choice by {score}, without training, would have been {first.runner.network}: after "
        f"{count(epochs, 'epoch')} it was {where}."
    ]


def _guests(result: RaceResult) -> list[str]:
    said = []
    for place, ran in enumerate(result.runners, start=1):
        if ran.runner.way == "guest" and place > 1:
            ended = last_round(ran, result.rounds)
            said.append(
                f"{ran.runner.network} came in as number {place} of {len(result.runners)}, top-1 {ran.top1:.1%} after "
                f"round {ended} of {len(result.rounds)}."
            )
    return said
