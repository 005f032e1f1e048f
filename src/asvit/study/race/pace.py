"""How long an epoch of a runner takes on this machine, by a few of its steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from asvit.networks.named import parse_network
from asvit.study.race.runners import Runner
from asvit.study.setup import Setup
from asvit.training.classifier import ClassifierTraining
from asvit.training.estimate import estimated_seconds
from asvit.training.sources import Source

TRIED = 4
"""Designed networks whose pace is tried; that of the others goes by their multiply-adds."""


@dataclass(frozen=True)
class Tried:
    """A runner whose pace was tried."""

    network: str
    macs: int
    seconds: float
    """Of an epoch, its evaluation included, on one device that does nothing else."""


def try_paces(runners: Sequence[Runner], setup: Setup, train: Source, val: Source) -> list[Tried]:
    """Paces of all guests, and of some designed networks from small to large.

    Args:
        runners: networks like those that will run.
        setup: how they are trained.
        train: images to learn from.
        val: images to evaluate on.
    """
    guests = [runner for runner in runners if runner.way == "guest"]
    ours = sorted((runner for runner in runners if runner.way != "guest"), key=lambda runner: runner.macs)
    step = max(1, len(ours) // TRIED)
    chosen = [*guests, *ours[step // 2 :: step][:TRIED]]
    return [Tried(runner.network, runner.macs, _seconds(runner, setup, train, val)) for runner in chosen]


def mean_pace(runners: Sequence[Runner], tried: Sequence[Tried]) -> float:
    """Seconds of an epoch of a mean runner, in proportion to the tried one that is nearest in multiply-adds.

    >>> ours = [Runner(name, "random", 1, macs, None) for name, macs in (("a", 100), ("b", 300))]
    >>> mean_pace(ours, [Tried("a", 100, 2.0)])
    4.0
    """

    def seconds(runner: Runner) -> float:
        near = min(tried, key=lambda one: (one.network != runner.network, abs(one.macs - runner.macs)))
        return near.seconds * runner.macs / near.macs

    return sum(map(seconds, runners)) / len(runners)


def _seconds(runner: Runner, setup: Setup, train: Source, val: Source) -> float:
    training = ClassifierTraining(
        parse_network(runner.network),
        train,
        val,
        setup.settings.train,
        setup.settings.schedule,
        seed=0,
        device=torch.device(setup.devices[0]),
        running=setup.running,
    )
    return estimated_seconds(training) / setup.settings.train.epochs
