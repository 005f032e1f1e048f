"""The job behind `asvit race`: runners, rounds of trainings, and the winner, within a named time."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from asvit.design.costs import Costs
from asvit.design.family import check_budgets
from asvit.design.job import say_few_tokens, write_architecture
from asvit.errors import UserError
from asvit.measure.job import working
from asvit.measure.measurer import Measurer
from asvit.measure.meter import UsageMeter
from asvit.networks.architecture import Architecture
from asvit.networks.named import parse_network
from asvit.networks.space import space_for
from asvit.runs.job import Finished, Job
from asvit.runs.progress import tell
from asvit.runs.records import WINNER, replacing
from asvit.study.plan import Planned
from asvit.study.race.book import Start, keep_book, read_book, read_start, write_start
from asvit.study.race.clock import Clock
from asvit.study.race.pace import mean_pace, try_paces
from asvit.study.race.results import RaceResult, Ran, in_order
from asvit.study.race.rounds import FINALISTS, SEEDS, epochs_in_all, epochs_that_fit, rounds
from asvit.study.race.runners import Runner, designed, guests_of, in_use, random_runners
from asvit.study.race.settings import RaceSettings
from asvit.study.results import Trained
from asvit.study.settings import StudySettings
from asvit.study.setup import Crew, Part, Setup, prepare_study
from asvit.study.trainer import TRAININGS, folder_of
from asvit.study.trainings import train_all
from asvit.training.checkpoint import last_checkpoint
from asvit.training.recipe import changed
from asvit.training.schedule import named_schedule
from asvit.units import count

MEASURING = 0.2
"""Share of the time that measuring untrained networks may take."""
SPARE = 0.9
"""Share of the time that trainings are planned to take: they slow each other down, and processes have to start."""


def run_race(settings: RaceSettings, study: StudySettings, *, job: Job = Job()) -> Finished[RaceResult]:
    """Have networks for one budget compete by short trainings, and hand over the winner.

    Args:
        settings: who runs, and for how long.
        study: images, trainings, measures and workers; the race decides the number of epochs.
        job: where, and from which seed.

    Raises:
        UserError: networks do not fill the budget, a guest cannot run, or not one epoch fits into the time.
    """
    names = tuple(objective.name for objective in settings.score)
    setup = prepare_study("race", study, settings.config, names, job)
    space = space_for(setup.task.image_size, settings.base_stride, settings.space_name)
    if settings.entrants and not settings.budget.measured:
        check_budgets([settings.budget], Costs(setup.task), fit=True, space=space)
    guests = guests_of(settings, setup.task)
    measurer = setup.measurer(setup.devices[0])
    meter = UsageMeter(setup.task, measurer.device)
    config = setup.config | settings.config
    with working(
        "race", config, setup.job, [measurer], [meter], data=study.data.data, processes=setup.processes
    ) as directory:
        clock = Clock(directory.path, settings.minutes)
        say_few_tokens(setup.task, settings.base_stride)
        start = read_start(directory.path)
        if start is None:
            sample = random_runners(settings, measurer.seed, Costs(setup.task, meter), space)
            start = line_up(sample, guests, settings, setup, measurer, clock)
            write_start(directory.path, start)
        raced = replace(setup, settings=with_epochs(setup.settings, start.epochs))
        finished = run_rounds(start, raced, clock)
        result = result_of(settings, start, raced, clock, finished=finished)
        directory.write_result(result)
        if isinstance(winner := parse_network(result.winner.runner.network), Architecture):
            write_architecture(directory, WINNER, winner, setup.task)
        shutil.rmtree(directory.path / TRAININGS, ignore_errors=True)
    return Finished(directory, result)


def line_up(
    sample: Sequence[Runner],
    guests: Sequence[Runner],
    settings: RaceSettings,
    setup: Setup,
    measurer: Measurer,
    clock: Clock,
) -> Start:
    """Who runs, and for how many epochs; that they fit into the time is asked before anything is measured.

    Args:
        sample: random networks.
        guests: networks of the user's.
        settings: how many run, and by which score.
        setup: how they are trained.
        measurer: what measures them.
        clock: time of the race.

    Raises:
        UserError: not even one epoch of each runner fits.
    """
    likely = [*sample[: settings.entrants], *guests]
    tried = try_paces(likely, setup, setup.source("train"), setup.source("val"))
    check_time(likely, mean_pace(likely, tried), setup, clock)
    ours = designed(settings, sample, measurer, lambda: clock.share > MEASURING) if sample else []
    others = [guest for guest in guests if guest.network not in {runner.network for runner in ours}]
    runners = in_use([*ours, *others], setup.task, measurer.device)
    return Start(tuple(runners), decide_epochs(runners, mean_pace(runners, tried), setup, clock))


def check_time(runners: Sequence[Runner], pace: float, setup: Setup, clock: Clock) -> None:
    """Refuse a time in which not one epoch of each runner fits.

    Args:
        runners: networks that run, or as many like them.
        pace: seconds of an epoch of a mean one.
        setup: how they are trained.
        clock: time of the race.
    """
    needed = epochs_in_all(len(runners), 1) * pace / at_a_time(runners, setup) / SPARE
    if needed > clock.left:
        least = math.ceil((clock.taken + needed) / 60)
        raise UserError(
            f"not one epoch of each runner fits into the time: a mean one takes {pace:.2g} s here, so a race of "
            f"{len(runners)} takes {count(least, 'minute')} at least; name that time, smaller images, or fewer "
            "--entrants of `asvit race`"
        )


def at_a_time(runners: Sequence[Runner], setup: Setup) -> int:
    """Trainings that run at a time."""
    return min(len(setup.devices), len(runners))


def decide_epochs(runners: Sequence[Runner], pace: float, setup: Setup, clock: Clock) -> int:
    """Epochs of a whole training: as many as the recipe has, or as there is time for in the race.

    Args:
        runners: networks that run.
        pace: seconds of an epoch of a mean one.
        setup: how they are trained.
        clock: time of the race.

    Raises:
        UserError: not even one epoch of each runner fits.
    """
    check_time(runners, pace, setup, clock)
    fitting = SPARE * clock.left * at_a_time(runners, setup) / pace
    epochs = epochs_that_fit(len(runners), fitting, setup.settings.train.epochs)
    first = rounds(len(runners), epochs)[0].epochs
    tell(
        f"an epoch of a mean runner takes {pace:.1f} s: all {len(runners)} are trained for {count(first, 'epoch')}, "
        f"the last {FINALISTS} for {epochs} of the recipe's {setup.settings.train.epochs}"
    )
    return epochs


def with_epochs(settings: StudySettings, epochs: int) -> StudySettings:
    """Settings of trainings of so many epochs."""
    train = changed(settings.train, {"epochs": epochs})
    return replace(settings, train=train, schedule=named_schedule(train.schedule, epochs))


def run_rounds(start: Start, setup: Setup, clock: Clock) -> bool:
    """Run all rounds, and the finalists' further trainings; whether there was time for all of them."""
    ranked = [runner.network for runner in start.runners]
    parts, whole = rounds(len(ranked), start.epochs), epochs_in_all(len(ranked), start.epochs)
    since, before = 0, 0
    for number, one in enumerate(parts, start=1):
        plan = [Planned(network, setup.job.seed) for network in ranked[: one.runners]]
        name = f"round {number} of {len(parts)}"
        trained = train_part(
            plan, Part(name=name, since=since, until=one.epochs, before=before, whole=whole), setup, clock
        )
        if len(trained) < len(plan) and clock.is_over():
            return False
        ranked = [network for network, _ in sorted(trained, key=lambda planned: -trained[planned].top1)]
        before += one.runners * (one.epochs - since)
        since = one.epochs
    seeds = range(setup.job.seed + 1, setup.job.seed + SEEDS)
    plan = [Planned(network, seed) for seed in seeds for network in ranked[:FINALISTS]]
    part = Part(name="further seeds", since=0, until=start.epochs, before=before, whole=whole)
    return len(train_part(plan, part, setup, clock)) == len(plan)


def train_part(plan: Sequence[Planned], part: Part, setup: Setup, clock: Clock) -> dict[tuple[str, int], Trained]:
    """Train some networks as far as a part of the race goes, or until time is over; what is done of it."""
    crew = Crew(setup=setup, plan=tuple(plan), pilot=None, measure=False, part=part)
    with crew.queue() as queue:
        train_all(queue, crew, seconds_left=clock.look)
        trained = {(one.network, one.seed): one for one in queue.trained()}
    clock.write()
    keep_book(setup.path, plan)
    return trained


def result_of(settings: RaceSettings, start: Start, setup: Setup, clock: Clock, *, finished: bool) -> RaceResult:
    """The result of a race, as far as it went; the winner's weights are put beside it.

    Raises:
        UserError: time was over before an epoch of any runner was.
    """
    book, parts, seed = read_book(setup.path), tuple(rounds(len(start.runners), start.epochs)), setup.job.seed
    ran = []
    for runner in start.runners:
        own = book.get(Planned(runner.network, seed))
        if own is not None and own.curve:
            others = (book.get(Planned(runner.network, seed + i)) for i in range(1, SEEDS))
            whole = tuple(other.curve[-1] for other in others if other and len(other.curve) == start.epochs)
            ran.append(Ran(runner, own.curve, whole, median(own.seconds)))
    if not ran:
        raise UserError(
            f"no runner has ended an epoch within {settings.minutes:g} minutes, or all trainings were given up: the "
            "lines above say which; give more --minutes, in another --out"
        )
    ordered = in_order(ran, parts)
    known = {one.runner.network for one in ordered}
    return RaceResult(
        task=setup.task,
        budget=str(settings.budget),
        minutes=settings.minutes,
        seconds=clock.taken,
        epochs=start.epochs,
        rounds=parts,
        score=",".join(map(str, settings.score)),
        runners=ordered,
        left_out=tuple(runner.network for runner in start.runners if runner.network not in known),
        checkpoint=hand_over_weights(ordered[0].runner, setup),
        finished=finished,
        images=setup.config["images"]["val"],
    )


def hand_over_weights(winner: Runner, setup: Setup) -> str:
    """Copy the winner's last checkpoint out of the folder of trainings; its file in the run directory."""
    folder = setup.path / WINNER
    last = last_checkpoint(folder_of(setup.path, Planned(winner.network, setup.job.seed)))
    if last is not None:  # else it was copied by an earlier run of the command
        folder.mkdir(exist_ok=True)
        with replacing(folder / last.name) as copy:
            shutil.copyfile(last, copy)
    kept = last_checkpoint(folder)
    assert kept is not None
    return str(kept.relative_to(setup.path))
