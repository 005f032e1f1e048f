"""Which variant of the paper's measures ranks trained topologies best, and better than counting parameters?

    uv run python benchmarks/variants.py benchmarks/ground-truth/cifar10-64.csv --json benchmarks/results/variants.json

Takes the trained topologies of a study and measures them again in every variant: norms taken out or kept, circle of
radius 1 or √N, linear weights of σ = 0.02 or 1/√fan_in, pooled features or logits, fewer and more angles and repeats,
other photographs. For each: Kendall τ with accuracy, partial τ given #params, their 95 % intervals, τ with #params and
with the sum of kernels, mean τ between two repeats, and the ceiling that repeats and training seeds allow.
"""

import argparse
import csv
import json
import statistics
import sys
import time
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from machine import provenance

from asvit.measure.measurer import Measurer
from asvit.measure.metrics import METRICS
from asvit.measure.photos import BuiltIn, Folder, Photographs
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture, Task
from asvit.study.correlation import kendall
from asvit.study.noise import variance_of
from asvit.study.verdict import Score, judge, score_of

CURVE, KERNEL = ("length", "curvature", "length_of_curvature"), ("ntk",)
BOTH = (*CURVE, *KERNEL)
VARIANTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "paper": ({}, BOTH),
    "norms kept": ({"norm": "layer"}, CURVE),
    "radius 1": ({"radius": "one"}, CURVE),
    "norms kept, radius 1": ({"norm": "layer", "radius": "one"}, CURVE),
    "fan-in": ({"initialisation": "fan-in"}, BOTH),
    "fan-in, norms kept": ({"initialisation": "fan-in", "norm": "layer"}, CURVE),
    "fan-in, norms kept, radius 1": ({"initialisation": "fan-in", "norm": "layer", "radius": "one"}, CURVE),
    "logits": ({"output": "logits"}, BOTH),
    "logits, norms kept": ({"output": "logits", "norm": "layer"}, CURVE),
    "logits, fan-in, norms kept": ({"output": "logits", "initialisation": "fan-in", "norm": "layer"}, BOTH),
    "3 angles": ({"angles": 3}, ("length",)),
    "30 angles": ({"angles": 30}, ("length",)),
    "1 repeat": ({"repeats": 1}, ("length", "ntk")),
    "20 repeats": ({"repeats": 20}, ("length", "ntk")),
    "all parameters": ({"kernel_parameters": "all"}, KERNEL),
    "other photographs": ({}, KERNEL),
}
"""Settings that differ from the defaults, and the measures that they change."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ground_truth", type=Path)
    parser.add_argument("--num-classes", type=int, default=10)
    parser.add_argument("--images", type=Path, help="folder of other photographs for the kernel")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with open(options.ground_truth, newline="") as file:
        rows = list(csv.DictReader(file))
    height, width = map(int, rows[0]["image_size"].split("x"))
    task = Task(image_size=(height, width), num_classes=options.num_classes)
    accuracies: dict[str, list[float]] = {}
    for row in rows:
        accuracies.setdefault(row["network"], []).append(float(row["top1"]))
    accuracy = np.array([statistics.fmean(values) for values in accuracies.values()])
    reliability = variance_of(accuracies).reliability(accuracies)
    subjects = [ArchitectureSubject(Architecture.parse(network), task) for network in accuracies]
    counts = {name: measured(Settings(repeats=1), task, BuiltIn(), subjects, (name,))[0] for name in COUNTS}
    found = [of_score("counts", counts[name], accuracy, counts, reliability) for name in COUNTS]
    for variant, (settings, names) in VARIANTS.items():
        photographs: Photographs = BuiltIn()
        if variant == "other photographs":
            if options.images is None:
                continue
            photographs = Folder(options.images)
        print(f"{time.strftime('%H:%M:%S')} {variant}", file=sys.stderr, flush=True)
        for score in measured(Settings(**settings), task, photographs, subjects, names):
            found.append(of_score(variant, score, accuracy, counts, reliability))
            print(line(found[-1]), flush=True)
    if options.json:
        record = {**provenance(), "topologies": len(subjects), "trainings": len(rows), "rows": found}
        options.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


COUNTS = ("params", "macs", "expansion", "kernel")


def measured(
    settings: Settings,
    task: Task,
    photographs: Photographs,
    subjects: list[ArchitectureSubject],
    names: tuple[str, ...],
) -> list[Score]:
    """Some metrics of all topologies."""
    measurer = Measurer(settings, task, metrics=names, photographs=photographs)
    by_subject = [measurer.by_metric(subject) for subject in subjects]

    def seconds(name: str) -> float:
        return statistics.median(measurer.costs(subject)[name].seconds for subject in subjects)

    return [score_of(METRICS[name], [one.get(name) for one in by_subject], seconds(name)) for name in names]


def of_score(
    variant: str, score: Score, accuracy: np.ndarray, counts: dict[str, Score], reliability: float
) -> dict[str, Any]:
    """A row of the table."""
    scored = judge(score, accuracy, counts["params"], reliability)
    valid = np.isfinite(score.values)
    between = None
    if score.repeats is not None and score.repeats.shape[1] > 1:
        columns = score.repeats[valid].T
        between = statistics.fmean(tau(a, b) for a, b in combinations(columns, 2))
    record = {key: value for key, value in asdict(scored).items() if key not in ("source", "title")}
    return {
        "variant": variant,
        **record,
        "with_params": tau(score.values[valid], counts["params"].values[valid]),
        "with_kernel": tau(score.values[valid], counts["kernel"].values[valid]),
        "between_repeats": between,
    }


def tau(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's, of a sample."""
    return float(kendall(a, b, np.ones((1, len(a))))[0])


def line(row: dict[str, Any]) -> str:
    """A row in words."""

    def shown(interval: dict[str, float] | None) -> str:
        return (
            "-" if interval is None else f"{interval['value']:+.2f} [{interval['low']:+.2f}, {interval['high']:+.2f}]"
        )

    between = "-" if row["between_repeats"] is None else f"{row['between_repeats']:.2f}"
    return (
        f"{row['variant']:30} {row['symbol']:8} τ {shown(row['tau'])}  given #params {shown(row['beyond_baseline'])}  "
        f"with #params {row['with_params']:+.2f}  with ΣK {row['with_kernel']:+.2f}  between repeats {between}"
    )


if __name__ == "__main__":
    main()
