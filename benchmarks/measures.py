"""How fast are the measures: against the slow way, against the floor, and how does the cost grow?

    uv run python benchmarks/measures.py --json benchmarks/results/measures-cpu.json

Prints, for one network and one repeat, seconds by the slow way (naive.py), by plain forward mode or a loop of one-image
gradients, and by asvit, beside the floor: three forward passes for the length, a forward and a backward pass for the
kernel. Values of all ways are compared. Then cost against image size, width, repeats and angles, and peak memory.
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
from pathlib import Path
from typing import Any

import naive
import numpy as np
import torch
from machine import provenance, timed

from asvit.architecture import Architecture, Task
from asvit.attention import write_out_attention
from asvit.complexity import curve, ntk
from asvit.measure import Measurer
from asvit.norms import remove_norms
from asvit.probe import Probe
from asvit.settings import Settings
from asvit.space import TABLE_1
from asvit.subject import ArchitectureSubject

ROUNDS = 7


def tell(what: str) -> None:
    """What is being timed, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def medians(runs: dict[str, Callable[[], Any]], device: torch.device) -> tuple[dict[str, float], dict[str, Any]]:
    """Median seconds of several ways, in rounds that take turns, and what each returned."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    found = {}
    for _ in range(ROUNDS + 1):
        for name, run in runs.items():
            elapsed, found[name] = timed(run, device)
            seconds[name].append(elapsed)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}, found


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference over the largest value."""
    return ((found - expected).abs().max() / expected.abs().max()).item()


def speed(name: str, device: torch.device, angles: int, images: int, sample: int) -> dict[str, Any]:
    """Every way of every measure on one network."""
    task = Task()
    measurer = Measurer(Settings(repeats=1, angles=angles, kernel_images=images), task, device=device)
    draw = measurer.draws[0]
    subject = ArchitectureSubject(Architecture.parse(name), task)
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

    tables = {}
    tell("length")
    seconds, found = medians(
        {
            "asvit": lambda: fresh().velocity,
            "plain": lambda: curve.velocity(circle, theta),
            "floor": three_forward_passes,
        },
        device,
    )
    seconds["naive"], expected = timed(lambda: naive.velocity(deepcopy(bare), basis, theta), device)
    tables["length"] = seconds | {
        "difference": abs(curve.length(found["asvit"]) / curve.length(expected) - 1).item(),
        "difference_of_velocities": difference(found["asvit"], expected),
    }
    tell("kernel")
    seconds, found = medians(
        {
            "asvit": lambda: fresh().kernel,
            "plain": lambda: ntk.kernel(lambda x: network(x).sum(1), weights, photographs),
            "floor": forward_and_backward_pass,
        },
        device,
    )
    seconds["naive"], expected = timed(lambda: naive.kernel(deepcopy(network), photographs), device)
    conditions = [ntk.condition_number(gram) for gram in (found["asvit"], expected)]
    tables["kernel"] = seconds | {
        "difference": abs(conditions[0] / conditions[1] - 1),
        "difference_of_kernels": difference(found["asvit"], expected),
    }
    tell("curvature")
    seconds, found = medians(
        {
            "asvit": lambda: fresh().velocity_and_acceleration,
            "plain": lambda: curve.velocity_and_acceleration(circle, theta),
        },
        device,
    )
    channels = [round(i) for i in np.linspace(0, found["asvit"][0].shape[1] - 1, sample)]
    v, a, seconds["naive"] = naive.velocity_and_acceleration(deepcopy(bare), basis, theta, channels=channels)
    tables["curvature"] = seconds | {
        "difference": max(difference(found["asvit"][0][:, channels], v), difference(found["asvit"][1][:, channels], a)),
        "channels_of_the_slow_way": sample,
    }
    for row in tables.values():
        row["times_faster_than_naive"] = row["naive"] / row["asvit"]
        if "floor" in row:
            row["ratio_to_floor"] = row["asvit"] / row["floor"]
    return tables


def growth(device: torch.device) -> list[dict[str, Any]]:
    """Seconds of a measurement of the seed against one quantity at a time, and the exponents."""
    rows = []
    for quantity, values in (
        ("image side", (112, 224, 448)),
        ("width", (16, 32, 64)),
        ("repeats", (1, 2, 4)),
        ("angles", (5, 10, 20)),
    ):
        tell(f"growth with {quantity}")
        row: dict[str, Any] = {"quantity": quantity, "values": values, "macs": [], "length": [], "kernel": []}
        for value in values:
            side, width = value if quantity == "image side" else 224, value if quantity == "width" else 32
            task = Task(image_size=(side, side))
            architecture = Architecture.parse("seed")
            subject = ArchitectureSubject(Architecture(architecture.topology, width=width), task)
            settings = Settings(
                repeats=value if quantity == "repeats" else 1, angles=value if quantity == "angles" else 10
            )
            seconds: dict[str, list[float]] = {"length": [], "ntk": []}
            for _ in range(3):
                measurer = Measurer(settings, task, device=device)
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


def memory(topologies: int) -> dict[str, Any]:
    """Peak memory of `asvit measure` with five repeats on the topology, of many, that keeps the most activations."""
    tell("memory")
    rng = np.random.default_rng(0)
    subjects = [ArchitectureSubject(Architecture(TABLE_1.sample(rng)), Task()) for _ in range(topologies)]
    largest = max(subjects, key=lambda subject: subject.activations)
    command = [str(Path(sys.executable).parent / "asvit"), "measure", largest.name, "--out", "run"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if peak <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
        raise RuntimeError("this process took more memory, which its child inherits: the child's peak is not known")
    return {
        "topologies": topologies,
        "largest": largest.name,
        "activations_mb": round(largest.activations / 1e6, 1),
        "peak_gb": round(peak * 1024 / 1e9, 2),
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
    if "memory" in record:
        print(f"peak memory of five repeats of {record['memory']['largest']}: {record['memory']['peak_gb']} GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="seed", help="architecture for the table of speed")
    parser.add_argument("--angles", type=int, default=10)
    parser.add_argument("--images", type=int, default=16, help="of the kernel")
    parser.add_argument("--sample", type=int, default=2, help="channels of the slow way's curvature, scaled up")
    parser.add_argument("--topologies", type=int, default=200, help="among which the largest is looked for")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    record = {
        **provenance(),
        "device": str(options.device),
        "threads": torch.get_num_threads(),
        "network": options.network,
        "angles": options.angles,
        "images": options.images,
    }
    if options.device.type == "cpu":
        record["memory"] = memory(options.topologies)  # first: a child's peak counts from its parent's
    record["speed"] = speed(options.network, options.device, options.angles, options.images, options.sample)
    record["growth"] = growth(options.device)
    show(record)
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
