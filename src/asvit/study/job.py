"""The job behind `asvit study`: a sample trained, a pilot, and the verdict."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from asvit.design.job import say_few_tokens
from asvit.errors import UserError, check_number
from asvit.measure.estimates import Estimate
from asvit.measure.job import working
from asvit.measure.measurer import Measurer
from asvit.measure.metrics import METRICS, parse_metrics
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture
from asvit.networks.space import BASE_STRIDE, space_for
from asvit.runs.job import Finished, Job
from asvit.runs.progress import ProgressDisplay
from asvit.runs.records import write_file
from asvit.study.noise import variance_of
from asvit.study.plan import LEAST_RATIO, PlanSettings, pilot_of, planned
from asvit.study.results import Point, StudyResult, Trained, as_csv, by_network
from asvit.study.settings import StudySettings
from asvit.study.setup import Crew, Setup, measuring_config, prepare_study
from asvit.study.trainings import train_all
from asvit.study.verdict import judge, mean_accuracies, score_of, sentence, together
from asvit.study.worker import Pilot

TOPOLOGIES = "topologies.csv"
SEARCHED_BY = ("length", "ntk")
"""Metrics whose ranks the paper's growth adds up."""


def run_study(
    settings: StudySettings,
    plan_settings: PlanSettings,
    metrics: Sequence[str] = (),
    *,
    base_stride: int = BASE_STRIDE,
    least_ratio: float = LEAST_RATIO,
    so_far: bool = False,
    job: Job = Job(),
) -> Finished[StudyResult]:
    """Train sampled topologies, and judge every measure by their accuracies.

    Args:
        settings: images, trainings, measures and workers.
        plan_settings: how many topologies and seeds.
        metrics: metrics to judge; none: all of the untrained network.
        base_stride: base stride of the topologies.
        least_ratio: ratio of the variance between topologies to that between seeds below which the pilot ends the
            study.
        so_far: whether to train nothing, and judge what has been trained.
        job: where, and from which seed.
    """
    check_number("least_ratio", least_ratio, 0, 1_000_000)
    names = metric_names(metrics)
    extra = {"plan": asdict(plan_settings), "base_stride": base_stride}
    setup = prepare_study("study", settings, extra, names, job)
    plan = tuple(planned(plan_settings, space_for(setup.task.image_size, base_stride)))
    pilot = Pilot(tuple(pilot_of(plan, plan_settings)), least_ratio)
    measurer = setup.measurer(setup.devices[0])
    crew = Crew(setup=setup, plan=plan, pilot=pilot, measure=True)
    config = setup.config | extra  # how it measures may change from one run of the command to the next
    with (
        working(
            "study", config, setup.job, [measurer], data=settings.data.data, processes=setup.processes
        ) as directory,
        crew.queue() as queue,
    ):

        def keep(trained: Sequence[Trained]) -> None:
            """Write the trainings so far, without measures: whatever happens, another study can continue from them."""
            write_file(directory.path / TOPOLOGIES, as_csv(trained, setup.provenance, ()))

        say_few_tokens(setup.task, base_stride)
        setup.add_earlier(queue)
        if not so_far:
            train_all(queue, crew, keep)
        result = verdict(queue.trained(), len(plan), pilot, setup, measurer)
        write_file(directory.path / TOPOLOGIES, as_csv(result.trained, setup.provenance, result.points))
        directory.write_result(result)
    return Finished(directory, result)


def metric_names(asked: Sequence[str]) -> tuple[str, ...]:
    """Metrics to judge: all of the untrained network, or those asked for, with what the verdict compares."""
    known = [metric for metric in METRICS.values() if not metric.in_use]
    names = tuple(metric.name for metric in (parse_metrics(asked) if asked else known))
    missing = [name for name in (*SEARCHED_BY, "params") if name not in names]
    if missing:
        raise UserError(f"the verdict compares {', '.join(missing)} too: add them to --metrics")
    return names


def verdict(trained: Sequence[Trained], of: int, pilot: Pilot, setup: Setup, measurer: Measurer) -> StudyResult:
    """Judge every metric, and their sum of ranks, by the accuracies that there are, of so many planned ones."""
    of_pilot = pilot.variance(trained)
    if of_pilot is None:
        raise UserError(f"{len(trained)} trainings are done, and the pilot is not: repeat the command without --so-far")
    networks = list(dict.fromkeys(training.network for training in trained))
    subjects = [ArchitectureSubject(Architecture.parse(network), setup.task) for network in networks]
    measurer.begin(subjects)
    measured: list[Mapping[str, Estimate]] = []
    with ProgressDisplay() as display:
        for done, subject in enumerate(subjects, start=1):
            measured.append(measurer.by_metric(subject))
            display.update("measure", done, len(subjects), count=f"{done} of {len(subjects)}", facts=subject.name)
    costs = [measurer.costs(subject) for subject in subjects]

    def seconds(name: str) -> float:
        return statistics.median(cost[name].seconds for cost in costs if name in cost)

    scores = [score_of(METRICS[name], [row.get(name) for row in measured], seconds(name)) for name in setup.metrics]
    by_name = {score.name: score for score in scores}
    scores.append(together([by_name[name] for name in SEARCHED_BY]))
    accuracy, params = mean_accuracies(trained, networks), by_name["params"].values
    variance = variance_of(by_network(trained))
    reliability = variance.reliability(by_network(trained))
    rows = tuple(judge(score, accuracy, params, reliability) for score in scores)
    return StudyResult(
        task=setup.task,
        measuring=measuring_config(measurer),
        sentence=sentence({row.name: row for row in rows}, of_pilot),
        pilot=of_pilot,
        variance=variance,
        scores=rows,
        points=tuple(point_of(subject, trained, row) for subject, row in zip(subjects, measured, strict=True)),
        planned=of,
        trained=tuple(trained),
    )


def point_of(subject: ArchitectureSubject, trained: Sequence[Trained], estimates: Mapping[str, Estimate]) -> Point:
    """What was found of a topology."""
    topology = str(subject.architecture.topology)
    own = [training.top1 for training in trained if training.network == topology]
    return Point(
        topology=topology,
        params=subject.params,
        macs=subject.macs,
        top1=statistics.fmean(own),
        trainings=len(own),
        values={name: estimate.mean for name, estimate in estimates.items()},
        errors={
            name: estimate.standard_error
            for name, estimate in estimates.items()
            if estimate.standard_error is not None and not METRICS[name].counted
        },
    )
