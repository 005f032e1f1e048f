"""The jobs behind `asvit study search` and `asvit study scaling`: ways of choosing networks, compared."""

from collections.abc import Sequence
from pathlib import Path

from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.design.family import FamilySettings, Member, check_budgets, grow_family, growth_limits, within_any
from asvit.design.grow import GrowthSettings, GrowthStep
from asvit.design.job import say_few_tokens
from asvit.design.ranking import Objective
from asvit.errors import UserError, check_whole
from asvit.measure.estimates import Measure, Measurement
from asvit.measure.job import working
from asvit.measure.measurer import Measurer
from asvit.networks.architecture import Architecture, Task, plane
from asvit.networks.space import BASE_STRIDE, PAPER, SpaceName, Topology, recorded_space, space_for
from asvit.runs.job import Finished, Job
from asvit.runs.progress import ProgressDisplay
from asvit.runs.records import write_file
from asvit.study.comparison import Yardstick, compare, union
from asvit.study.contest import Contestant, Place, ScalingContest, SearchContest, contest_plan, standings
from asvit.study.published_rules import RULES
from asvit.study.results import Trained, as_csv, read_csv
from asvit.study.rivals import SEARCHERS
from asvit.study.scaling_rules import RandomScaling, Scaled, scaled_by
from asvit.study.settings import Contest, SearchMethod, StudySettings
from asvit.study.setup import Crew, Setup, measuring_config, prepare_study
from asvit.study.trace import Trace, check_measurements
from asvit.study.trainings import train_all
from asvit.units import format_size

NETWORKS = "networks.csv"
GROWN = "Algorithm 2"


def run_search_contest(
    settings: StudySettings,
    score: Sequence[Objective],
    methods: Sequence[SearchMethod],
    measurements: int,
    *,
    contest: Contest = Contest(),
    against: Path | None = None,
    base_stride: int = BASE_STRIDE,
    space_name: SpaceName = PAPER,
    job: Job = Job(),
) -> Finished[SearchContest]:
    """Algorithm 1 and its rivals at the same number of measurements.

    Args:
        settings: images, trainings, measures and workers.
        score: what is searched for.
        methods: search methods.
        measurements: number of measurements of each search.
        contest: how many seeds and trainings.
        against: CSV file of a study, to say how many of its topologies the networks found beat.
        base_stride: base stride of the topologies.
        space_name: space that is searched.
        job: where, and from which seed.
    """
    check_measurements(measurements)
    if against is not None and not contest.trainings:
        raise UserError("--against compares what is trained: give --trainings, or leave it out")
    score = tuple(score)
    names, score_text = tuple(objective.name for objective in score), ",".join(map(str, score))
    extra = {"score": score_text, "methods": list(methods), "measurements": measurements}
    extra |= {"runs": contest.runs} | recorded_space(base_stride, space_name)  # trainings may be added later
    setup = prepare_study("study-search", settings, extra, names, job)
    sampled = [] if against is None else read_csv(against, setup.provenance)
    measurer = setup.measurer(setup.devices[0])
    config = setup.config | extra | measuring_config(measurer)
    with working(
        setup.name, config, setup.job, [measurer], data=settings.data.data, processes=setup.processes
    ) as directory:
        say_few_tokens(setup.task, base_stride)
        space = space_for(setup.task.image_size, base_stride, space_name)
        traces: list[Trace] = []
        with ProgressDisplay() as display:
            for method in dict.fromkeys(methods):
                for seed in range(job.seed, job.seed + contest.runs):
                    measure = watched(measurer.architectures(), display, f"{method}, seed {seed}", measurements)
                    traces.append(SEARCHERS[method](measure, measurements, space=space, seed=seed, objectives=score))
        yardstick = Yardstick(union(traces), score)
        contestants = [
            contestant(trace.method, trace.seed - job.seed, "", Architecture.parse(trace.result), setup.task)
            for trace in traces
            if trace.result is not None
        ]
        trained = train_contest(contestants, contest, setup)
        curves: dict[str, list[list[float]]] = {}
        for trace in traces:
            curves.setdefault(trace.method, []).append(yardstick.best_so_far(trace))
        result = SearchContest(
            task=setup.task,
            score=score_text,
            measurements=measurements,
            methods=tuple(compare(traces, score)),
            curves=curves,
            contestants=tuple(contestants),
            standings=standings(contestants, contest.trainings, trained, sampled),
            trained=tuple(trained),
            sampled=tuple(sampled),
        )
        write_file(directory.path / NETWORKS, as_csv(trained, setup.provenance, ()))
        directory.write_result(result)
    return Finished(directory, result)


def watched(measure: Measure, display: ProgressDisplay, title: str, of: int) -> Measure:
    """A measure that shows how often it was called."""
    done = 0

    def counted(architecture: Architecture) -> Measurement:
        nonlocal done
        measurement = measure(architecture)
        done += 1
        display.update(title, done, of, count=f"{done} of {of} measurements", facts=str(architecture.topology))
        return measurement

    return counted


def run_scaling_contest(
    settings: StudySettings,
    start: Topology,
    score: Sequence[Objective],
    budgets: Sequence[Budget],
    *,
    random_runs: int = 10,
    contest: Contest = Contest(),
    job: Job = Job(),
) -> Finished[ScalingContest]:
    """Algorithm 2, random scaling and published rules at the same numbers of parameters.

    Args:
        settings: images, trainings, measures and workers.
        start: topology that is scaled.
        score: what growth ranks its choices by.
        budgets: numbers of parameters to scale to, as they were asked for.
        random_runs: seeds of random scaling, which measures nothing.
        contest: how many seeds and trainings.
        job: where, and from which seed.
    """
    check_whole("random_runs", random_runs, 0, 100_000)
    if not budgets:
        raise UserError("no size to scale to: expected one or more, such as --params 5M")
    names, score_text = tuple(objective.name for objective in score), ",".join(map(str, score))
    extra = {
        "score": score_text,
        "topology": str(start),
        "params": [format_size(round(budget.limit)) for budget in budgets],
    }
    extra |= {"runs": contest.runs, "random_runs": random_runs}  # trainings may be added later
    setup = prepare_study("study-scaling", settings, extra, names, job)
    check_budgets(budgets, Costs(setup.task), fit=True, start=Architecture(start))
    measurers = [setup.measurer(setup.devices[0], number) for number in range(contest.runs)]
    config = setup.config | extra | measuring_config(measurers[0])
    with working(
        setup.name, config, setup.job, measurers, data=settings.data.data, processes=setup.processes
    ) as directory:
        growth = GrowthSettings(score=tuple(score))
        family = FamilySettings(
            task=setup.task, budgets=tuple(budgets), limits=tuple(growth_limits(budgets)), growth=growth
        )
        places: list[Place] = []
        contestants: list[Contestant] = []
        for number, measurer in enumerate(measurers):
            trajectory, members = watched_growth(start, family, measurer, f"growth {number + 1} of {contest.runs}")
            places += places_of(GROWN, number, trajectory, setup.task)
            contestants += [member_contestant(number, member, setup.task) for member in members]
        for number in range(random_runs):
            scaling = RandomScaling(job.seed + number)
            trajectory = scaling.trajectory(Architecture(start), within_any(family.limits, Costs(setup.task)))
            places += places_of(scaling.name, number, trajectory, setup.task)
            contestants += scaled_contestants(number, scaled_by(scaling, start, budgets, setup.task), setup.task)
        for rule in RULES.values():
            scaled = scaled_by(rule, start, budgets, setup.task)
            networks = [Architecture.parse(network.architecture) for network in scaled]
            places += places_of(rule.name, 0, networks, setup.task)
            contestants += scaled_contestants(0, scaled, setup.task)
        trained = train_contest(contestants, contest, setup)
        result = ScalingContest(
            task=setup.task,
            topology=str(start),
            places=tuple(places),
            contestants=tuple(contestants),
            standings=standings(contestants, contest.trainings, trained),
            trained=tuple(trained),
        )
        write_file(directory.path / NETWORKS, as_csv(trained, setup.provenance, ()))
        directory.write_result(result)
    return Finished(directory, result)


def watched_growth(
    start: Topology, family: FamilySettings, measurer: Measurer, title: str
) -> tuple[list[Architecture], Sequence[Member]]:
    """Trajectory and members of Algorithm 2, with the network so far on display."""
    with ProgressDisplay() as display:

        def show(step: int, current: Architecture, choices: Sequence[Architecture], done: int) -> None:
            count = f"{done} of {len(choices)}"
            display.update(f"{title}, step {step}", done, len(choices), count=count, facts=str(current))

        result = grow_family(
            Architecture(start),
            family,
            measure=measurer.architectures(),
            measure_proxy=measurer.architectures(width_divisor=family.growth.width_divisor),
            ahead=measurer.ahead(width_divisor=family.growth.width_divisor),
            on_measured=show,
        )
    steps: Sequence[GrowthStep] = result.growth.steps
    return [Architecture.parse(step.architecture) for step in steps], result.family


def places_of(way: str, run: int, networks: Sequence[Architecture], task: Task) -> list[Place]:
    """Networks in the plane of depth and width, in order."""
    return [
        Place(way, run, step, str(network), *plane(network), network.params(task))
        for step, network in enumerate(networks)
    ]


def contestant(way: str, run: int, size: str, network: Architecture, task: Task) -> Contestant:
    """A network with its size; one of a study's by the name that it has there."""
    name = str(network.topology if network == Architecture(network.topology) else network)
    return Contestant(way, run, size, name, network.params(task), network.macs(task))


def member_contestant(run: int, member: Member, task: Task) -> Contestant:
    """A member of a grown family."""
    return contestant(GROWN, run, str(member.budget), Architecture.parse(member.architecture), task)


def scaled_contestants(run: int, scaled: Sequence[Scaled], task: Task) -> list[Contestant]:
    """Networks that a rule gives."""
    return [
        contestant(network.rule, run, str(network.budget), Architecture.parse(network.architecture), task)
        for network in scaled
    ]


def train_contest(contestants: Sequence[Contestant], contest: Contest, setup: Setup) -> list[Trained]:
    """Train all networks with as many seeds as were asked for; with none, nothing."""
    if not contest.trainings:
        return []
    plan = tuple(contest_plan(contestants, contest.trainings))
    crew = Crew(setup=setup, plan=plan, pilot=None, measure=False)
    with crew.queue() as queue:
        setup.add_earlier(queue)
        train_all(queue, crew)
        return queue.trained()
