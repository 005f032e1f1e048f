"""The job behind `asvit study`: workers, the pilot, the verdict."""

import hashlib
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

import msgspec
import torch

from asvit.architecture import Architecture, Task
from asvit.errors import UserError
from asvit.job import choose_device, recorded_threads, tell, working
from asvit.measure import Estimate, Measurer
from asvit.metrics import METRICS, parse_metrics
from asvit.options import MeasureOptions, RunOptions
from asvit.progress import ProgressDisplay
from asvit.records import SCHEMA, Json, RunDirectory, default_path, to_json, write_file
from asvit.space import Topology
from asvit.study.noise import variance_of
from asvit.study.plan import pilot_of, planned
from asvit.study.queue import Queue
from asvit.study.recipes import RECIPES
from asvit.study.results import Point, StudyResult, Trained, as_csv, read_csv
from asvit.study.verdict import Score, judge, mean_accuracies, score_of, sentence, together
from asvit.study.worker import Pilot, by_topology
from asvit.study_options import StudyOptions, StudyRecipeName
from asvit.study_show import show_study
from asvit.study_trainer import Setup, alive, run_worker, worker_name
from asvit.subject import ArchitectureSubject
from asvit.train_jobs import classifier_settings
from asvit.train_options import ClassifierLoadingOptions, ClassifierRunningOptions, DataOptions, TrainOptions
from asvit.training.parallel import Processes
from asvit.training.sources import check_classes, open_source

TOPOLOGIES = "topologies.csv"
SEARCHED_BY = ("length", "ntk")
"""Whose ranks the paper's growth adds up."""
LOOK = 1.0
"""Seconds between looks at the workers."""


def run_study(
    recipe_name: StudyRecipeName,
    metrics: Sequence[str],
    data: DataOptions,
    sampling: StudyOptions,
    training: TrainOptions,
    measuring: MeasureOptions,
    loading: ClassifierLoadingOptions,
    run: RunOptions,
) -> None:
    """`asvit study`: train sampled topologies, and judge every measure by their accuracies."""
    setup, devices = prepare_study(recipe_name, metrics, data, sampling, training, measuring, loading, run)
    measurer = setup.measurer(devices[0])
    config = setup.config | {
        "measure": asdict(measurer.settings),
        "photographs": measurer.photographs.digest,
        "metrics": list(setup.metrics),
        "storage": sampling.storage and "shared",
    }
    run = replace(run, out=setup.path, threads=setup.threads)
    with working("study", recipe_name, config, run, [measurer]) as directory, setup.queue() as queue:
        if sampling.continue_from is not None:
            queue.add(read_csv(sampling.continue_from, provenance(setup)))
        if not sampling.so_far:
            train_all(queue, setup, devices)
        result = verdict(queue.trained(), setup, measurer)
        write_file(directory.path / TOPOLOGIES, as_csv(result.trained, provenance(setup), result.points))
        directory.write_result(result)
        hand_over(directory, result, run)


def prepare_study(
    recipe_name: StudyRecipeName,
    metrics: Sequence[str],
    data: DataOptions,
    sampling: StudyOptions,
    training: TrainOptions,
    measuring: MeasureOptions,
    loading: ClassifierLoadingOptions,
    run: RunOptions,
) -> tuple[Setup, list[str]]:
    """What all workers need to know, and the device of each."""
    recipe = RECIPES[recipe_name]
    names = tuple(metric.name for metric in (parse_metrics(metrics) if metrics else METRICS.values()))
    missing = [name for name in (*SEARCHED_BY, "params") if name not in names]
    if missing:
        raise UserError(f"the verdict compares {', '.join(missing)} too: add them to --metrics")
    plan_settings = sampling.plan(recipe, run.seed)
    plan = planned(plan_settings)
    train_recipe = training.recipe(recipe.train)
    resident = recipe.resident if sampling.resident is None else sampling.resident
    images = recipe.images if sampling.train_images is None else sampling.train_images
    if images is not None and not resident:
        raise UserError("--train-images takes a part of resident images: leave it out, or give --resident")
    train, val = (
        open_source(data.data, split, folder=data.data_folder, in_chans=data.in_chans) for split in ("train", "val")
    )
    check_classes(train, val)
    device = choose_device(run.device)
    running = classifier_settings(loading, ClassifierRunningOptions(keep=1), data, device, Processes())
    config: Json = {
        "recipe": recipe_name,
        "seed": run.seed,
        "plan": asdict(plan_settings),
        "train": asdict(train_recipe),
        "resident": resident,
        "images": {"train": images or len(train), "val": len(val)},
        "classes": list(train.classes),
        "in_chans": train.channels,
        "precision": running.precision,
    }
    path = run.out or default_path("study", recipe_name, json.loads(json.dumps(config)))
    devices = worker_devices(run.device, device, sampling.workers)
    threads = run.threads or recorded_threads(path) or max(1, len(os.sched_getaffinity(0)) // len(devices))
    setup = Setup(
        path=path,
        url=sampling.storage or f"sqlite:///{path.absolute() / 'study.sqlite3'}",
        name=sampling.name,
        heartbeat=sampling.heartbeat,
        plan=tuple(plan),
        pilot=Pilot(tuple(pilot_of(plan, plan_settings)), sampling.least_ratio),
        config=config,
        recipe=recipe,
        train=train_recipe,
        resident=resident,
        images=images,
        task=Task(image_size=train_recipe.image_size, in_chans=train.channels, num_classes=len(train.classes)),
        data=data,
        metrics=names,
        measuring=measuring,
        running=running,
        run=run,
        threads=threads,
    )
    return setup, devices


def worker_devices(asked: str, device: torch.device, workers: int | None) -> list[str]:
    """A device for every worker: GPUs in turn, where none was named."""
    if device.type == "cpu":
        return ["cpu"] * (workers or len(os.sched_getaffinity(0)))
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if asked in ("auto", "cuda") else [str(device)]
    return [gpus[i % len(gpus)] for i in range(workers or 4 * len(gpus))]


def train_all(queue: Queue, setup: Setup, devices: Sequence[str]) -> None:
    """Have workers do all trainings, or those of the pilot if it fails.

    Raises:
        UserError: the pilot shows that accuracies hardly differ, or all workers have died.
    """
    for worker in set(queue.running().values()):
        if not alive(worker):
            queue.give_back(worker)
    workers: list[BaseProcess] = []
    try:
        if setup.pilot.passed(queue.trained()) is not False and len(queue.trained()) < len(setup.plan):
            workers = [get_context("spawn").Process(target=run_worker, args=(setup, device)) for device in devices]
            for worker in workers:
                worker.start()
        watch(queue, setup, workers)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
    variance = setup.pilot.variance(queue.trained())
    if variance is not None and not setup.pilot.passed(queue.trained()):
        raise UserError(
            f"in the pilot the variance between topologies is {variance.ratio:.1f} times that between seeds "
            f"[{variance.low:.1f}, {variance.high:.1f}], less than {setup.pilot.least_ratio:g}: the accuracies would "
            "decide nothing; train longer or on more images in another --out, or go on anyway with --least-ratio 0"
        )
    if len(queue.trained()) < len(setup.plan):
        codes = ", ".join(str(worker.exitcode) for worker in workers)
        raise UserError(f"all workers have ended early, with exit codes {codes}; the same command goes on")


def watch(queue: Queue, setup: Setup, workers: Sequence[BaseProcess]) -> None:
    """Show how far the study is until all workers have ended; give back what dead ones had."""
    buried: set[int | None] = set()
    seen = -1
    with ProgressDisplay() as display:
        while True:
            ended = [worker for worker in workers if not worker.is_alive()]
            for worker in ended:
                if worker.exitcode and worker.pid not in buried:
                    buried.add(worker.pid)
                    queue.give_back(worker_name().replace(str(os.getpid()), str(worker.pid)))
                    tell(f"worker {worker.pid} has died (exit code {worker.exitcode}): its training is given back")
            trained = queue.trained()
            done, total = len(trained), len(setup.plan)
            if done != seen:
                display.update("study", done, total, count=f"{done} of {total} trainings", facts=facts(trained, setup))
                seen = done
            if len(ended) == len(workers):
                return
            time.sleep(LOOK)


def facts(trained: Sequence[Trained], setup: Setup) -> str:
    """What is known so far, for the progress line."""
    words = []
    if trained:
        words.append(f"top-1 {min(t.top1 for t in trained):.1%} to {max(t.top1 for t in trained):.1%}")
    variance = setup.pilot.variance(trained)
    words.append("pilot" if variance is None else f"variance ratio of the pilot {variance.ratio:.1f}")
    return ", ".join(words)


def verdict(trained: Sequence[Trained], setup: Setup, measurer: Measurer) -> StudyResult:
    """Judge every metric, and their sum of ranks, by the accuracies that there are."""
    variance = setup.pilot.variance(trained)
    if variance is None:
        raise UserError(f"{len(trained)} trainings are done, and the pilot is not: repeat the command without --so-far")
    topologies = list(dict.fromkeys(one.topology for one in trained))
    subjects = [ArchitectureSubject(Architecture(Topology.parse(topology)), setup.task) for topology in topologies]
    found: list[Mapping[str, Estimate]] = []
    with ProgressDisplay() as display:
        for done, subject in enumerate(subjects, start=1):
            valid = (m.estimates for m in measurer.by_metric(subject).values() if m.valid)
            found.append({name: estimate for estimates in valid for name, estimate in estimates.items()})
            display.update("measure", done, len(subjects), count=f"{done} of {len(subjects)}", facts=subject.name)
    costs = [measurer.costs(subject) for subject in subjects]

    def seconds(name: str) -> float:
        return statistics.median(cost[name].seconds for cost in costs if name in cost)

    scores = [score_of(METRICS[name], [one.get(name) for one in found], seconds(name)) for name in setup.metrics]
    by_name = {score.name: score for score in scores}
    scores.append(together([by_name[name] for name in SEARCHED_BY]))
    return judged(scores, trained, topologies, found, setup)


def judged(
    scores: Sequence[Score],
    trained: Sequence[Trained],
    topologies: Sequence[str],
    found: Sequence[Mapping[str, Estimate]],
    setup: Setup,
) -> StudyResult:
    """The result: the table, the points behind it, and the sentence."""
    accuracy = mean_accuracies(trained, topologies)
    params = next(score for score in scores if score.name == "params").values
    pilot = setup.pilot.variance(trained)
    assert pilot is not None
    variance = variance_of(by_topology(trained))
    reliability = variance.reliability(len(trained) / len(topologies))
    rows = tuple(judge(score, accuracy, params, reliability) for score in scores)
    points = []
    for topology, estimates, top1 in zip(topologies, found, accuracy, strict=True):
        architecture = Architecture(Topology.parse(topology))
        points.append(
            Point(
                topology=topology,
                params=architecture.params(setup.task),
                macs=architecture.macs(setup.task),
                top1=float(top1),
                trainings=sum(one.topology == topology for one in trained),
                values={name: one.mean for name, one in estimates.items()},
                errors={name: one.standard_error for name, one in estimates.items() if one.standard_error is not None},
            )
        )
    told = sentence({row.name: row for row in rows}, pilot, setup.pilot.least_ratio)
    return StudyResult(setup.task, told, pilot, variance, rows, tuple(points), len(setup.plan), tuple(trained))


def provenance(setup: Setup) -> Mapping[str, str]:
    """What makes accuracies comparable, for every row of the CSV file."""
    config = {key: value for key, value in setup.config.items() if key not in ("recipe", "seed", "plan")}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
    height, width = setup.train.image_size
    return {
        "recipe": setup.config["recipe"],
        "image_size": f"{height}x{width}",
        "epochs": str(setup.train.epochs),
        "train_images": str(setup.config["images"]["train"]),
        "val_images": str(setup.config["images"]["val"]),
        "precision": setup.running.precision,
        "settings": digest,
    }


def hand_over(directory: RunDirectory, result: StudyResult, run: RunOptions) -> None:
    """Draw the report and say the verdict."""
    from asvit.report import write_report

    report = write_report(directory.path)
    if run.json:
        print(to_json({"schema": SCHEMA, "job": directory.job, **msgspec.to_builtins(result)}).decode(), end="")
    else:
        show_study(result)
        tell(f"ground truth: {directory.path / TOPOLOGIES}\nreport: {report}")
