"""What a race with guests says of designing: winner, guests, and what one would have taken without training.

    uv run python benchmarks/races.py runs/race --duels runs/duel-1 runs/duel-2 --json benchmarks/results/race.json

A duel is a race of the best designed network and a guest alone (`--entrants 0 --against NETWORK GUEST --epochs N
--seed 10`), for as many epochs and by the same recipe: two seeds more for each. All accuracies are of the epoch that
all runners have seen, but for the lead over guests, which is of whole trainings.
"""

import argparse
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from machine import provenance, repeatable

from asvit.measure.estimates import Estimate
from asvit.networks.architecture import Architecture
from asvit.runs.read import RunFile, read_result, read_run
from asvit.runs.records import read_asked
from asvit.study.contest_verdict import welch
from asvit.study.correlation import LEVEL
from asvit.study.race.results import RaceResult, Ran
from asvit.study.race.verdict import favourite

PLAIN: dict[str, Callable[[Ran], int]] = {
    "parameters": lambda ran: ran.runner.params,
    "MACs": lambda ran: ran.runner.macs,
    "blocks": lambda ran: sum(Architecture.parse(ran.runner.network).depths),
    "width": lambda ran: Architecture.parse(ran.runner.network).width,
}
"""Plain numbers of a designed network, of which one would take the largest."""


def after(ran: Ran, epoch: int) -> dict[str, Any]:
    """A runner, and its accuracy after some epochs of its first training."""
    return {"network": ran.runner.network, "top1": ran.curve[epoch - 1], "macs": ran.runner.macs}


def choices(result: RaceResult, epoch: int) -> dict[str, Any]:
    """What would have been taken of the designed networks without training: by the score, and by each plain number.

    Of several with the largest number one would have taken any: the mean of their accuracies is given.
    """
    ours = [ran for ran in result.runners if ran.runner.way != "guest"]
    taken = {name: [ran for ran in ours if number(ran) == max(map(number, ours))] for name, number in PLAIN.items()}
    first = favourite(result)
    if first is not None:
        taken[result.score] = [first]
    return {
        name: {"networks": [ran.runner.network for ran in some], "top1": fmean(ran.curve[epoch - 1] for ran in some)}
        for name, some in taken.items()
    }


def whole_trainings(results: Sequence[RaceResult], network: str) -> list[float]:
    """Accuracies of a network at the end of whole trainings, in a race and its duels."""
    ran = [one for result in results for one in result.runners if one.runner.network == network]
    return [top1 for one in ran if one.epochs == results[0].epochs for top1 in one.accuracies]


def lead(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """How much more accurate one network is than another, over several trainings of each, with its 95 % interval."""
    return asdict(welch(Estimate.of(ours), Estimate.of(theirs), LEVEL))


def judged(race: RaceResult, duels: Sequence[RaceResult]) -> dict[str, Any]:
    """All that is said of a race."""
    epoch = min(ran.epochs for ran in race.runners)
    guests = [ran for ran in race.runners if ran.runner.way == "guest"]
    best = next(ran for ran in race.runners if ran.runner.way != "guest")
    whole = {ran.runner.network: whole_trainings([race, *duels], ran.runner.network) for ran in (best, *guests)}
    several = {network: tops for network, tops in whole.items() if len(tops) > 1}
    ours = several.pop(best.runner.network, [])
    return {
        "epochs": race.epochs,
        "compared_after": epoch,
        "winner": after(race.winner, epoch),
        "without_training": choices(race, epoch),
        "guests": [after(ran, epoch) for ran in guests],
        "whole_trainings": {network: tops for network, tops in whole.items() if tops},
        "best_designed_over": {network: lead(ours, theirs) for network, theirs in several.items() if ours},
        "runners": [asdict(ran) for ran in race.runners],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("race", type=Path, help="run directory of asvit race")
    parser.add_argument("--duels", nargs="+", type=Path, default=[], help="of the best designed network and a guest")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    paths = [options.race, *options.duels]
    race, *duels = (read_result(path, read_run(path, RunFile), RaceResult) for path in paths)
    words = [shlex.split(read_asked(path)["command"]) for path in paths]
    about = {"commands": [repeatable(line[:2], line[2:]) for line in words]}
    text = json.dumps(provenance() | about | judged(race, duels), indent=2) + "\n"
    print(text)
    if options.json is not None:
        options.json.write_text(text)


if __name__ == "__main__":
    main()
