"""How long an epoch of a runner takes on this machine, by a few of its steps."""

from collections.abc import Mapping, Sequence

import torch

from asvit.networks.named import parse_network
from asvit.study.race.runners import Runner
from asvit.study.setup import Setup
from asvit.training.classifier import ClassifierTraining
from asvit.training.estimate import estimated_seconds
from asvit.training.sources import Source

TRIED = 4
"""Designed runners whose pace is tried; that of the others goes by their multiply-adds."""


def pace_of(runners: Sequence[Runner], setup: Setup, train: Source, val: Source) -> float:
    """Seconds of an epoch of a mean runner, its evaluation included, on one device that does nothing else.

    Args:
        runners: all runners.
        setup: how they are trained.
        train: images to learn from.
        val: images to evaluate on.
    """
    guests = [runner for runner in runners if runner.way == "guest"]
    ours = sorted((runner for runner in runners if runner.way != "guest"), key=lambda runner: runner.macs)
    step = max(1, len(ours) // TRIED)
    tried = {runner.network: _seconds(runner, setup, train, val) for runner in [*guests, *ours[step // 2 :: step]]}
    return sum(_pace(runner, tried, runners) for runner in runners) / len(runners)


def _pace(runner: Runner, tried: Mapping[str, float], runners: Sequence[Runner]) -> float:
    """Seconds of an epoch: as they were tried, or in proportion to the nearest in multiply-adds that was."""
    if runner.network in tried:
        return tried[runner.network]
    near = min((one for one in runners if one.network in tried), key=lambda one: abs(one.macs - runner.macs))
    return tried[near.network] * runner.macs / near.macs


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
