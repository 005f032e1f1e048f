"""How fast are the measures: against the slow way, against the floor, and how does the cost grow?

    uv run python benchmarks/measures.py --json benchmarks/results/measures-cpu.json

Prints, for one network and one repeat, seconds by the slow way (naive.py), by plain forward mode or a loop of one-image
gradients, and by asvit, beside the floor: three forward passes for the length, a forward and a backward pass for the
kernel. Values of all ways are compared. Then how far float32 and TF32 are from float64, cost against image size, width,
repeats and angles, and peak memory. On a GPU the slow way's length is taken of some channels and scaled up; what takes
how long is set by the options, and `--image-size 64 --rounds 1 --topologies 0` shows that everything runs.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import naive
import numpy as np
import torch
from machine import asvit, provenance, timed
from rounding import rounding
from torch import Tensor

from asvit.complexity import curve, ntk
from asvit.measure.differentiable import remove_norms, write_out_attention
from asvit.measure.measurer import Measurer
from asvit.measure.photos import BuiltIn, Folder, Photographs
from asvit.measure.probe import Probe
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import TABLE_1


@dataclass(frozen=True)
class Bench:
    """Where everything is measured, on what, and how often."""

    device: torch.device
    photographs: Photographs
    side: int
    """Of the images, in pixels."""
    rounds: int
    kernel_images: int

    @property
    def task(self) -> Task:
        return Task(image_size=(self.side, self.side))

    def medians(self, runs: dict[str, Callable[[], Any]]) -> tuple[dict[str, float], dict[str, Any]]:
        """Median seconds of several ways, in rounds that take turns, and what each returned; a first round warms up."""
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        found = {}
        for _ in range(self.rounds + 1):
            for name, run in runs.items():
                elapsed, found[name] = timed(run, self.device)
                seconds[name].append(elapsed)
        return {name: statistics.median(values[1:]) for name, values in seconds.items()}, found


def tell(what: str) -> None:
    """What is being timed, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def spread(channels: int, sample: int | None) -> list[int]:
    """Numbers of some channels, evenly spread; None: of all."""
    if sample is None or sample >= channels:
        return list(range(channels))
    return [round(i) for i in np.linspace(0, channels - 1, sample)]


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest value."""
    return ((found - expected).abs().max() / expected.abs().max()).item()


def speed(bench: Bench, name: str, angles: int, samples: tuple[int | None, int]) -> dict[str, Any]:
    """Every way of every measure on one network; the slow ways of length and curvature of some channels."""
    device = bench.device
    settings = Settings(repeats=1, angles=angles, kernel_images=bench.kernel_images)
    measurer = Measurer(settings, bench.task, photographs=bench.photographs, device=device)
    draw = measurer.draws[0]
    subject = ArchitectureSubject(Architecture.parse(name), bench.task)
    theta, basis, photographs = curve.angles(angles, device=device), draw.basis.to(device), draw.images.to(device)

    def fresh() -> Probe:
        """A probe that remembers its network only."""
        probe = Probe(subject, draw, measurer.settings, device, measurer.work_memory)
        vars(probe)["network"] = network
        return probe

    network = subject.network(draw.weights_seed).to(device)
    bare = deepcopy(network).requires_grad_(False)
    remove_norms(bare)
    plain = deepcopy(bare)
    write_out_attention(plain)
    circle = curve.image_of_circle(plain, basis, math.sqrt(basis[0].numel()))
    points = torch.randn(angles, *basis[0].shape, device=device)
    weights = [parameter for key, parameter in network.named_parameters() if key.endswith("weight")]

    def three_forward_passes() -> None:
        with torch.no_grad():
            for _ in range(3):
                bare(points)

    def forward_and_backward_pass() -> None:
        torch.autograd.grad(network(photographs).sum(), weights, allow_unused=True)

    tables: dict[str, dict[str, Any]] = {}
    tell("length")
    seconds, found = bench.medians(
        {
            "asvit": lambda: fresh().velocity,
            "plain": lambda: curve.velocity(circle, theta),
            "floor": three_forward_passes,
        }
    )
    channels = spread(found["asvit"].shape[1], samples[0])
    expected, seconds["naive"] = naive.velocity(deepcopy(bare), basis, theta, channels=channels)
    velocity = found["asvit"][:, channels]
    tables["length"] = seconds | {
        "difference": abs(curve.length(velocity) / curve.length(expected) - 1).item(),
        "difference_of_velocities": difference(velocity, expected),
        "channels": found["asvit"].shape[1],
        "channels_of_the_slow_way": len(channels),
    }
    tell("kernel")
    seconds, found = bench.medians(
        {
            "asvit": lambda: fresh().kernel,
            "plain": lambda: ntk.kernel(lambda x: network(x).sum(1), weights, photographs),
            "floor": forward_and_backward_pass,
        }
    )
    seconds["naive"], expected = timed(lambda: naive.kernel(deepcopy(network), photographs), device)
    conditions = [ntk.condition_number(gram) for gram in (found["asvit"], expected)]
    tables["kernel"] = seconds | {
        "difference": abs(conditions[0] / conditions[1] - 1),
        "difference_of_kernels": difference(found["asvit"], expected),
    }
    tell("curvature")
    seconds, found = bench.medians(
        {
            "asvit": lambda: fresh().velocity_and_acceleration,
            "plain": lambda: curve.velocity_and_acceleration(circle, theta),
        }
    )
    channels = spread(found["asvit"][0].shape[1], samples[1])
    v, a, seconds["naive"] = naive.velocity_and_acceleration(deepcopy(bare), basis, theta, channels=channels)
    tables["curvature"] = seconds | {
        "difference": max(difference(found["asvit"][0][:, channels], v), difference(found["asvit"][1][:, channels], a)),
        "channels": found["asvit"][0].shape[1],
        "channels_of_the_slow_way": len(channels),
    }
    for row in tables.values():
        row["times_faster_than_naive"] = row["naive"] / row["asvit"]
        if "floor" in row:
            row["ratio_to_floor"] = row["asvit"] / row["floor"]
    return tables


def growth(bench: Bench) -> list[dict[str, Any]]:
    """Seconds of a measurement of the seed against one quantity at a time, and the exponents."""
    rows = []
    for quantity, values in (
        ("image side", (bench.side // 2, bench.side, 2 * bench.side)),
        ("width", (16, 32, 64)),
        ("repeats", (1, 2, 4)),
        ("angles", (5, 10, 20)),
    ):
        tell(f"growth with {quantity}")
        row: dict[str, Any] = {"quantity": quantity, "values": values, "macs": [], "length": [], "kernel": []}
        for value in values:
            side, width = value if quantity == "image side" else bench.side, value if quantity == "width" else 32
            task = Task(image_size=(side, side))
            architecture = Architecture.parse("seed")
            subject = ArchitectureSubject(Architecture(architecture.topology, width=width), task)
            settings = Settings(
                repeats=value if quantity == "repeats" else 1,
                angles=value if quantity == "angles" else 10,
                kernel_images=bench.kernel_images,
            )
            seconds: dict[str, list[float]] = {"length": [], "ntk": []}
            for _ in range(min(3, bench.rounds)):
                measurer = Measurer(settings, task, photographs=bench.photographs, device=bench.device)
                _ = measurer.draws
                measurer(subject)
                for metric, cost in measurer.costs(subject).items():
                    seconds[metric].append(cost.seconds)
            row["macs"].append(subject.macs)
            row["length"].append(statistics.median(seconds["length"]))
            row["kernel"].append(statistics.median(seconds["ntk"]))
        for measure in ("length", "kernel"):
            row[f"exponent_of_{measure}"] = exponent(values, row[measure])
            if row["macs"][0] != row["macs"][-1]:
                row[f"exponent_of_{measure}_in_macs"] = exponent(row["macs"], row[measure])
        rows.append(row)
    return rows


def exponent(x: Any, y: Any) -> float:
    """Slope of the line through ``(log x, log y)``."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def largest_of(topologies: int, task: Task) -> ArchitectureSubject:
    """The topology, of many, that keeps the most activations."""
    rng = np.random.default_rng(0)
    subjects = [ArchitectureSubject(Architecture(TABLE_1.sample(rng)), task) for _ in range(topologies)]
    return max(subjects, key=lambda subject: subject.activations)


def memory(bench: Bench, topologies: int, images: Path | None) -> dict[str, Any]:
    """Peak memory of `asvit measure` with five repeats on the topology, of many, that keeps the most activations."""
    tell("memory")
    largest = largest_of(topologies, bench.task)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--device", str(bench.device), "--image-size", str(bench.side), "--out", f"{folder}/run"]
        options += [] if images is None else ["--images", str(images)]
        subprocess.run(asvit("measure", largest.name, *options), check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if peak <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
        raise RuntimeError("this process took more memory, which its child inherits: the child's peak is not known")
    return of_memory(topologies, largest, peak * 1024)


def memory_of_card(bench: Bench, topologies: int) -> dict[str, Any]:
    """The same of the card's memory, in this process."""
    tell("memory")
    largest = largest_of(topologies, bench.task)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(bench.device)
    Measurer(Settings(), bench.task, photographs=bench.photographs, device=bench.device)(largest)
    return of_memory(topologies, largest, torch.cuda.max_memory_allocated(bench.device))


def of_memory(topologies: int, largest: ArchitectureSubject, peak: int) -> dict[str, Any]:
    return {
        "topologies": topologies,
        "largest": largest.name,
        "activations_mb": round(largest.activations / 1e6, 1),
        "peak_gb": round(peak / 1e9, 2),
    }


def show(record: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"{'':10s} {'naive':>9s} {'plain':>9s} {'asvit':>9s} {'floor':>9s}   faster  of floor  difference")
    for name, row in record["speed"].items():
        floor, ratio = (f"{row[key]:9.3f}" if key in row else " " * 9 for key in ("floor", "ratio_to_floor"))
        print(
            f"{name:10s} {row['naive']:9.1f} {row['plain']:9.3f} {row['asvit']:9.3f} {floor}"
            f" {row['times_faster_than_naive']:7.0f}x {ratio} {row['difference']:11.1e}"
        )
    for row in record["growth"]:
        values = ", ".join(map(str, row["values"]))
        for measure in ("length", "kernel"):
            seconds = ", ".join(f"{value:.2f}" for value in row[measure])
            in_macs = row.get(f"exponent_of_{measure}_in_macs")
            print(
                f"{row['quantity']:10s} {values:>14s}  {measure:7s} {seconds:>18s} s"
                f"  exponent {row[f'exponent_of_{measure}']:.2f}" + (f", in MACs {in_macs:.2f}" if in_macs else "")
            )
    for measure in ("length", "ntk"):
        for precision, row in record["rounding"].get(measure, {}).items():
            error = "-" if row["largest_relative_error"] is None else f"{row['largest_relative_error']:.1e}"
            print(f"{measure:10s} {precision:8s} off by {error} from float64, τ of ranks {row['kendall_tau']}")
    if record["memory"] is not None:
        print(f"peak memory of five repeats of {record['memory']['largest']}: {record['memory']['peak_gb']} GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="seed", help="architecture for the table of speed")
    parser.add_argument("--angles", type=int, default=10)
    parser.add_argument("--kernel-images", type=int, default=16)
    parser.add_argument("--images", type=Path, help="folder of photographs (default: scikit-image's)")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sample", type=int, default=2, help="channels of the slow way's curvature, scaled up")
    parser.add_argument(
        "--length-sample", type=int, help="channels of the slow way's length (default: all on a CPU, 16 on a GPU)"
    )
    parser.add_argument("--rounding", type=int, default=12, help="topologies measured in float32, TF32 and float64")
    parser.add_argument("--topologies", type=int, default=200, help="among which the largest is sought; 0: no memory")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    photographs = BuiltIn() if options.images is None else Folder(options.images)
    bench = Bench(options.device, photographs, options.image_size, options.rounds, options.kernel_images)
    on_cpu = bench.device.type == "cpu"
    if options.length_sample is None and not on_cpu:
        options.length_sample = 16
    record = {
        **provenance(),
        "device": str(options.device),
        "threads": torch.get_num_threads(),
        "network": options.network,
        "image_size": options.image_size,
        "angles": options.angles,
        "images": options.kernel_images,
        "rounds": options.rounds,
        "memory": None,
    }
    if options.topologies and on_cpu:
        record["memory"] = memory(bench, options.topologies, options.images)  # first: a child's peak counts from ours
    samples = (options.length_sample, options.sample)
    record["speed"] = speed(bench, options.network, options.angles, samples)
    tell("rounding")
    record["rounding"] = rounding(options.rounding, bench.task, bench.device, photographs) if options.rounding else {}
    record["growth"] = growth(bench)
    if options.topologies and not on_cpu:
        record["memory"] = memory_of_card(bench, options.topologies)
    show(record)
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
