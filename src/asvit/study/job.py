"""The job behind `asvit study`: a sample trained, a pilot, and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.design.job import say_few_tokens
from asvit.errors import UserError, check_number
from asvit.measure.estimates import Estimate
from asvit.measure.job import working
from asvit.measure.measurer import Measurer
from asvit.measure.meter import UsageMeter
from asvit.measure.metrics import METRICS, parse_metrics
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture
from asvit.networks.space import BASE_STRIDE, PAPER, Space, SpaceName, recorded_space, space_for
from asvit.runs.job import Finished, Job
from asvit.runs.progress import ProgressDisplay
from asvit.runs.records import write_file
from asvit.study.noise import variance_of
from asvit.study.plan import LEAST_RATIO, PlanSettings, pilot_of, planned
from asvit.study.results import Point, StudyResult, Trained, as_csv, by_network
from asvit.study.sample import sample_networks, sample_topologies
from asvit.study.settings import StudySettings
from asvit.study.setup import Crew, Setup, measuring_config, prepare_study
from asvit.study.trainings import train_all
from asvit.study.verdict import SEARCHED_BY, best_plain, judge_all, mean_accuracies, scores_of, sentence
from asvit.study.worker import Pilot

TOPOLOGIES = "topologies.csv"


def run_study(
    settings: StudySettings,
    plan_settings: PlanSettings,
    metrics: Sequence[str] = (),
    *,
    budget: Budget | None = None,
    base_stride: int = BASE_STRIDE,
    space_name: SpaceName = PAPER,
    least_ratio: float = LEAST_RATIO,
    so_far: bool = False,
    job: Job = Job(),
) -> Finished[StudyResult]:
    """Train sampled networks, and judge every measure by their accuracies.

    Args:
        settings: images, trainings, measures and workers.
        plan_settings: how many networks and seeds.
        metrics: metrics to judge; none: all of the untrained network, at a budget the latency too.
        budget: what every network fills, in blocks and width; None: topologies are trained, as in the paper.
        base_stride: base stride of the topologies.
        space_name: space that they are sampled from.
        least_ratio: ratio of the variance between networks to that between seeds below which the pilot ends the study.
        so_far: whether to train nothing, and judge what has been trained.
        job: where, and from which seed.
    """
    check_number("least_ratio", least_ratio, 0, 1_000_000)
    if budget is not None and budget.measured and settings.workers.storage is not None:
        raise UserError(
            f"networks for {budget} are sampled by what this machine measures, and --storage is shared with others: "
            "expected a budget in --params or --macs, or no --storage"
        )
    names = metric_names(metrics, at_budget=budget is not None)
    extra = {"plan": asdict(plan_settings)} | recorded_space(base_stride, space_name)
    extra |= {} if budget is None else {"budget": asdict(budget)}
    setup = prepare_study("study", settings, extra, names, job)
    measurer = setup.measurer(setup.devices[0])
    meter = UsageMeter(setup.task, measurer.device)
    space, costs = space_for(setup.task.image_size, base_stride, space_name), Costs(setup.task, meter)
    counted = budget is None or not budget.measured
    networks = sample(plan_settings, space, budget, costs) if counted else []
    config = setup.config | extra  # how it measures may change from one run of the command to the next
    with working(
        "study", config, setup.job, [measurer], [meter], data=settings.data.data, processes=setup.processes
    ) as directory:
        networks = networks or sample(plan_settings, space, budget, costs)  # of what the run directory remembers
        plan = tuple(planned(plan_settings, networks))
        pilot = Pilot(tuple(pilot_of(plan, plan_settings)), least_ratio)
        crew = Crew(setup=setup, plan=plan, pilot=pilot, measure=True)

        def keep(trained: Sequence[Trained]) -> None:
            """Write the trainings so far, without measures: whatever happens, another study can continue from them."""
            write_file(directory.path / TOPOLOGIES, as_csv(trained, setup.provenance, ()))

        say_few_tokens(setup.task, base_stride)
        with crew.queue() as queue:
            setup.add_earlier(queue)
            if not so_far:
                train_all(queue, crew, keep)
            trained = queue.trained()
        result = verdict(trained, len(plan), pilot, setup, measurer, at_budget=budget is not None)
        write_file(directory.path / TOPOLOGIES, as_csv(result.trained, setup.provenance, result.points))
        directory.write_result(result)
    return Finished(directory, result)


def sample(settings: PlanSettings, space: Space, budget: Budget | None, costs: Costs) -> list[str]:
    """Topologies, or networks that fill a budget, in text form."""
    if budget is None:
        return sample_topologies(settings.topologies, settings.seed, space)
    return sample_networks(settings.topologies, settings.seed, budget, costs, space)


def metric_names(asked: Sequence[str], *, at_budget: bool = False) -> tuple[str, ...]:
    """Metrics to judge: all of the untrained network, or those asked for, with what the verdict compares.

    At a budget the latency is one of them: where all networks have as many parameters, it tells them apart.
    """
    known = [metric for metric in METRICS.values() if not metric.in_use or (at_budget and metric.name == "latency")]
    names = tuple(metric.name for metric in (parse_metrics(asked) if asked else known))
    missing = [name for name in (*SEARCHED_BY, "params") if name not in names]
    if missing:
        raise UserError(f"the verdict compares {', '.join(missing)} too: add them to --metrics")
    return names


def verdict(
    trained: Sequence[Trained], of: int, pilot: Pilot, setup: Setup, measurer: Measurer, *, at_budget: bool = False
) -> StudyResult:
    """Judge every metric, and their sum of ranks, by the accuracies that there are, of so many planned ones.

    The baseline is counting parameters; at a budget the plain number that ranks best.
    """
    of_pilot = pilot.variance(trained)
    if of_pilot is None:
        raise UserError(f"{len(trained)} trainings are done, and the pilot is not: repeat the command without --so-far")
    networks = list(dict.fromkeys(training.network for training in trained))
    subjects = [ArchitectureSubject(Architecture.parse(network), setup.task) for network in networks]
    measured = measure_all(subjects, measurer)
    scores = scores_of(setup.metrics, measured, [measurer.costs(subject) for subject in subjects])
    accuracy = mean_accuracies(trained, networks)
    baseline = best_plain([*scores.values()], accuracy) if at_budget else scores["params"]
    variance = variance_of(by_network(trained))
    reliability = variance.reliability(by_network(trained))
    rows = judge_all(scores, accuracy, baseline, reliability)
    return StudyResult(
        task=setup.task,
        measuring=measuring_config(measurer),
        baseline=baseline.name,
        sentence=sentence(rows, baseline.name, of_pilot),
        pilot=of_pilot,
        variance=variance,
        scores=tuple(rows.values()),
        points=tuple(
            point_of(network, subject, trained, row)
            for network, subject, row in zip(networks, subjects, measured, strict=True)
        ),
        planned=of,
        trained=tuple(trained),
    )


def measure_all(subjects: Sequence[ArchitectureSubject], measurer: Measurer) -> list[Mapping[str, Estimate]]:
    """Every metric of every network, without those that are invalid."""
    measurer.begin(subjects)
    measured: list[Mapping[str, Estimate]] = []
    with ProgressDisplay() as display:
        for done, subject in enumerate(subjects, start=1):
            measured.append(measurer.by_metric(subject))
            display.update("measure", done, len(subjects), count=f"{done} of {len(subjects)}", facts=subject.name)
    return measured


def point_of(
    network: str, subject: ArchitectureSubject, trained: Sequence[Trained], estimates: Mapping[str, Estimate]
) -> Point:
    """What was found of a topology, or of a network at a budget, by its text form."""
    own = [training.top1 for training in trained if training.network == network]
    return Point.of(network, own, estimates, params=subject.params, macs=subject.macs)
