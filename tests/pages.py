"""A page of every kind in a moment: of records made by hand or with a fake measure, as large as those of real runs."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import test_report
import test_side_by_side
import test_train_report
from fakes import fake_measure
from PIL import Image

from asvit.complexity.usage import Usage
from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.design.family import FamilySettings, grow_family
from asvit.design.results import DesignResult
from asvit.detection.recipe import RECIPES as DETECT_RECIPES
from asvit.detection.results import TWELVE, CocoScores, DetectEpoch, DetectResult, PartCost, best_of
from asvit.measure.compared import Cell, Row
from asvit.measure.estimates import Estimate
from asvit.measure.measurer import Measurer
from asvit.measure.metrics import METRICS
from asvit.measure.settings import Settings
from asvit.measure.side_by_side import Entrant
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import TABLE_1, Topology
from asvit.report import write_report, write_side_by_side
from asvit.runs.records import RESULT, RUN, to_json, write_file, write_record
from asvit.study.comparison import Yardstick, compare, union
from asvit.study.contest import Contestant, ScalingContest, SearchContest, standings
from asvit.study.contest_job import contestant, member_contestant, places_of, scaled_contestants
from asvit.study.job import point_of
from asvit.study.noise import variance_of
from asvit.study.plan import PlanSettings
from asvit.study.published_rules import RULES
from asvit.study.race.results import RaceResult, Ran, in_order
from asvit.study.race.rounds import rounds
from asvit.study.race.runners import Runner, Way
from asvit.study.recipes import RECIPES as STUDY_RECIPES
from asvit.study.results import StudyResult, Trained, by_network
from asvit.study.rivals import SEARCHERS
from asvit.study.sample import sample_networks
from asvit.study.scaling_rules import RandomScaling, scaled_by
from asvit.study.table import judge_table
from asvit.study.verdict import judge, mean_accuracies, score_of, sentence, together
from asvit.training.mistakes import thumbnail

TASK = Task(image_size=(64, 64), num_classes=10)
ENVIRONMENT = {"asvit": "0.1.0", "torch": "2", "python": "3.11", "machine": "x", "device": "cpu", "threads": 2}
SEED = Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32")


TRAINED_SHORTLY: dict[str, Any] = {
    "train": asdict(STUDY_RECIPES["cifar10-laptop"].train),
    "images": {"train": 25_600, "val": 10_000},
    "resident": True,
}
"""How networks of a study are trained, for its configuration."""


def written(folder: Path, job: str, result: Any, **config: Any) -> Path:
    run = {"schema": 1, "job": job, "config": {"recipe": "by-hand", "seed": 0} | config, "environment": ENVIRONMENT}
    write_file(folder / RUN, to_json(run | {"command": f"asvit {job} --out {'run' * 30}", "commit": None}))
    write_record(folder / RESULT, job, result)
    return write_report(folder)


def designed(job: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        test_report.write_run(folder, job)
        return write_report(folder)

    return make


def designed_within_latency(folder: Path) -> Path:
    both = Budget.together([Budget.parse("params", "4M"), Budget.parse("latency", "8ms")])
    family = test_report.grown(2, (both, Budget.parse("memory", "20MB")))
    result = DesignResult(test_report.TASK, test_report.searched(2), family.growth, family.family)
    test_report.write_run(folder, "design", result=result)
    return write_report(folder)


def side_by_side(folder: Path) -> Path:
    test_report.write_run(folder, "grow")
    test_side_by_side.record(folder, test_side_by_side.rows())
    page = write_side_by_side(folder)
    assert page is not None
    return page


def trained(folder: Path) -> Path:
    """A training of thirty epochs and twenty classes with long names, all of which are confused."""
    classes = tuple(f"a kind of animal that has the number {i}" for i in range(20))
    confusion = np.random.default_rng(0).integers(1, 90, (20, 20)).tolist()
    result = test_train_report.result_of(5, 5, 20, classes=classes)
    picture = thumbnail(Image.new("RGB", (400, 100), (0, 90, 180)))
    test_train_report.write_run(folder, test_train_report.with_answers(folder, result, confusion, picture))
    return write_report(folder)


def detected(folder: Path) -> Path:
    """A training of 36 epochs, every third of which is followed by an evaluation."""
    recipe = replace(DETECT_RECIPES["coco"], detector=DETECT_RECIPES["small"].detector)

    def scores(ap: float) -> CocoScores:
        return CocoScores(**dict.fromkeys(TWELVE, ap))

    def epoch(number: int) -> DetectEpoch:
        evaluated = number % recipe.evaluate_every == 0
        return DetectEpoch(
            epoch=number,
            lr=1e-3 / number,
            train_loss=4 / number,
            macs=number * 10**13,
            seconds=1234.5,
            waiting=0.01,
            images_per_second=3.21,
            unreadable=0,
            proposal_loss=0.5 / number,
            class_loss=2 / number,
            box_loss=1 / number,
            mask_loss=0.5 / number,
            boxes=scores(0.5 - 1 / (number + 1)) if evaluated else None,
            masks=scores(0.4 - 1 / (number + 1)) if evaluated else None,
        )

    epochs = tuple(map(epoch, range(1, recipe.epochs + 1)))
    best = best_of(epochs)
    assert best is not None
    parts = ("backbone", "pyramid", "proposals", "boxes", "masks")
    result = DetectResult(
        network=test_train_report.NETWORK,
        task=replace(TASK, num_classes=80),
        classes=tuple(f"kind {i}" for i in range(80)),
        costs=tuple(PartCost(part, 10**6 * i, 10**9 * i, 2 * 10**9 * i) for i, part in enumerate(parts, start=1)),
        best=best,
        checkpoint="checkpoints/epoch-0036.safetensors",
        unreadable=(),
        left_out=("000000000139: annotation 7 has no area",),
        epochs=epochs,
    )
    return written(folder, "detect", result, data="/data/coco", start=None, detect=asdict(recipe))


def training_of(network: str, seed: int, rng: np.random.Generator) -> Trained:
    return Trained(network, seed, float(rng.uniform(0.4, 0.5)), 1.5, 600.0, "cpu", "0.1.0", "2.15.0")


def studied(folder: Path) -> Path:
    """Thirty topologies with two trainings each; of the measures one is mostly invalid, one always the same."""
    rng = np.random.default_rng(0)
    topologies = [TABLE_1.sample(rng) for _ in range(30)]
    subjects = [ArchitectureSubject(Architecture(topology), TASK) for topology in topologies]
    done = tuple(training_of(str(topology), seed, rng) for topology in topologies for seed in range(2))

    def estimate(name: str, subject: ArchitectureSubject) -> Estimate:
        if METRICS[name].counted:
            return Estimate.of([float(getattr(subject, name, 4))] * 3)
        return Estimate.of(list(rng.lognormal(len(name), 0.5) * rng.uniform(0.9, 1.1, 3)))

    names = ("length", "ntk", "length_of_curvature", "params", "macs", "depth", "zico", "token_entropy")
    measured = [{name: estimate(name, subject) for name in names} for subject in subjects]
    for row in measured[3:]:
        del row["zico"]
    scores = [score_of(METRICS[name], [row.get(name) for row in measured], 0.25) for name in names]
    by_name = {score.name: score for score in scores}
    scores.append(together([by_name["length"], by_name["ntk"]]))
    accuracy = mean_accuracies(done, list(map(str, topologies)))
    variance = variance_of(by_network(done))
    rows = tuple(judge(score, accuracy, by_name["params"], 0.8) for score in scores)
    points = tuple(
        point_of(str(topology), subject, done, row)
        for topology, subject, row in zip(topologies, subjects, measured, strict=True)
    )
    result = StudyResult(
        task=TASK,
        measuring={"measure": asdict(Settings())},
        baseline="params",
        sentence=sentence({row.name: row for row in rows}, "params", variance),
        pilot=variance,
        variance=variance,
        scores=rows,
        points=points,
        planned=60,
        trained=done,
    )
    plan = asdict(PlanSettings(topologies=30, seeds=2, repeated=30, seed=0))
    return written(folder, "study", result, plan=plan, **TRAINED_SHORTLY)


def table_judged(folder: Path) -> Path:
    """Accuracies of twelve networks, two of them with seeds, and two that could not be measured."""
    rng = np.random.default_rng(1)
    networks = [f"timm:network_{i}" for i in range(12)]
    rows = [
        Row(n, n, None, {m: Cell(Estimate.of(rng.uniform(1e3, 5e3, 3).tolist())) for m in MEASURES}) for n in networks
    ]
    accuracies = {network: rng.uniform(0.6, 0.8, 1 + (i < 2)).tolist() for i, network in enumerate(networks)}
    entrants = [Entrant(row.name, ArchitectureSubject(Architecture(SEED), TASK)) for row in rows]
    missing = {"timm:nothing": "timm has no classifier nothing", "<b>bold": "no network"}
    measurer = Measurer(task=TASK, metrics=MEASURES)
    result = judge_table("<i>table.csv", list(zip(entrants, rows, strict=True)), accuracies, missing, measurer)
    return written(folder, "study-table", result)


LONG = "timm:swin_tiny_patch4_window7_224:depths=2,2,6,2:embed_dim=24:num_heads=1,2,4,8:patch_size=2:window_size=4"


def raced(folder: Path) -> Path:
    """Sixteen designed networks and a guest, whose names are long, over four rounds."""
    rng = np.random.default_rng(2)
    networks = sample_networks(16, 0, Budget.parse("params", "2M"), Costs(TASK))
    parts = tuple(rounds(17, 16))
    lengths = [part.epochs for part in reversed(parts) for _ in range(part.runners - 0)][:17]
    ran = []
    for i, name in enumerate([*networks, LONG]):
        curve = tuple(np.sort(rng.uniform(0.1, 0.8, lengths[i])).tolist())
        way: Way = "guest" if i == 16 else "score" if i % 2 else "random"
        usage = Usage(0.004 + 0.001 * i, 0.0002, 10**7 + i, 1, "float32", "laptop", 1)
        runner = Runner(name, way, 2_000_000 - i, 10_000_000 * (1 + i), None if i == 16 else i + 1, usage)
        ran.append(Ran(runner, curve, (curve[-1] + 0.01,) if lengths[i] == 16 else (), 3.5))
    result = RaceResult(
        task=TASK,
        budget="2M parameters",
        minutes=60.0,
        seconds=3300.0,
        epochs=16,
        rounds=parts,
        score="length,ntk",
        runners=in_order(ran, parts),
        left_out=("<b>seed",),
        checkpoint="winner/epoch-0016.safetensors",
        finished=True,
        images=10_000,
    )
    return written(folder, "race", result, images={"train": 25_600, "val": 10_000})


MEASURES = ("length", "ntk", "params", "macs")
MEASURE = fake_measure(
    lambda architecture: architecture.params() / 1e6 + sum(architecture.topology.expansions),
    lambda architecture: 100.0 * sum(architecture.topology.kernels) + sum(architecture.depths),
    lambda architecture: architecture.topology.heads == 64,
)


def searches_compared(folder: Path) -> Path:
    """All methods, three runs of forty measurements each."""
    rng = np.random.default_rng(0)
    traces = [search(MEASURE, 40, seed=seed) for search in SEARCHERS.values() for seed in range(3)]
    yardstick = Yardstick(union(traces))
    networks = [(trace, Architecture.parse(str(trace.result))) for trace in traces]
    contestants = [contestant(trace.method, trace.seed, "", network, TASK) for trace, network in networks]
    found = trainings_of(contestants, rng)
    sampled = [training_of(str(TABLE_1.sample(rng)), 0, rng) for _ in range(30)]
    result = SearchContest(
        task=TASK,
        score="length,ntk",
        measurements=40,
        methods=tuple(compare(traces)),
        curves={name: [yardstick.best_so_far(trace) for trace in traces if trace.method == name] for name in SEARCHERS},
        contestants=tuple(contestants),
        standings=standings(contestants, 1, found, sampled),
        trained=tuple(found),
        sampled=tuple(sampled),
    )
    return written(folder, "study-search", result, **TRAINED_SHORTLY)


def rules_compared(folder: Path) -> Path:
    """Algorithm 2, three random growths, and all published rules, at two sizes."""
    budgets = (Budget.parse("params", "5M"), Budget.parse("params", "20M"))
    family = FamilySettings(task=TASK, budgets=budgets, limits=budgets[1:])
    grown = grow_family(Architecture(SEED), family, measure=MEASURE, measure_proxy=MEASURE)
    places = places_of("Algorithm 2", 0, [Architecture.parse(step.architecture) for step in grown.growth.steps], TASK)
    contestants = [member_contestant(0, member, TASK) for member in grown.family]
    for number, rule in [*((i, RandomScaling(i)) for i in range(3)), *((0, rule) for rule in RULES.values())]:
        scaled = scaled_by(rule, SEED, budgets, TASK)
        places += places_of(rule.name, number, [Architecture.parse(one.architecture) for one in scaled], TASK)
        contestants += scaled_contestants(number, scaled, TASK)
    found = trainings_of(contestants, np.random.default_rng(0))
    result = ScalingContest(
        task=TASK,
        topology=str(SEED),
        places=tuple(places),
        contestants=tuple(contestants),
        standings=standings(contestants, 1, found),
        trained=tuple(found),
    )
    return written(folder, "study-scaling", result, **TRAINED_SHORTLY)


def trainings_of(contestants: list[Contestant], rng: np.random.Generator) -> list[Trained]:
    """A training of each."""
    return [training_of(one.network, one.run, rng) for one in contestants]


PAGES: dict[str, Callable[[Path], Path]] = {
    "search": designed("search"),
    "grow": designed("grow"),
    "design": designed("design"),
    "design-latency": designed_within_latency,
    "side-by-side": side_by_side,
    "train": trained,
    "detect": detected,
    "study": studied,
    "race": raced,
    "study-table": table_judged,
    "study-search": searches_compared,
    "study-scaling": rules_compared,
}
"""Kinds of page: of the jobs, a design within measured bounds, and networks side by side."""
