"""Is As-ViT as fast per multiply-add as Swin? Forward passes and training steps, side by side in one run.

Rounds alternate between the models, so that what slows the machine slows both; a figure is the median over rounds of
the ratio of seconds per multiply-add. Beside it stands what the device reaches in one large product of matrices, of
bfloat16 on a card and of float32 on a CPU, and the share of it that each model reaches:

    uv run python benchmarks/throughput.py --json benchmarks/results/throughput-cpu.json
    uv run python benchmarks/throughput.py --device cuda --batches 1 128 --precisions float32 bfloat16 --rounds 9

bfloat16 is autocast, as asvit trains. A model that runs out of memory is recorded as one that did.

A model is a name of timm's or a text form, with @ and a side where that is not 224; it is compared with every one of
--against of its own size. On a busy machine, --clock processor with one thread leaves out what other programs take:

    uv run python benchmarks/throughput.py --models asvit_seed '6,4,6,3|3,4,5,4|4,1,5,1|4,1,6,1|16,36@96' \
        --against swin_third convnext_atto swin_third@96 pvt_v2_b0@96 --threads 1 --batches 1 32 --clock processor
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import timm
import torch
from machine import provenance, timed
from torch import nn

import asvit.zoo
from asvit.complexity.cost import count_macs
from asvit.training.results import BACKWARD

LARGE = {"cpu": 1024, "cuda": 8192}
"""Sides of the matrices whose product shows what a device can do."""
PEAK_PRECISION = {"cpu": "float32", "cuda": "bfloat16"}
"""Their precision: many a CPU multiplies float32 matrices faster."""
PASSES = {"forward": 1, "training": BACKWARD}
"""Forward passes that a way of running a model is worth."""
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
"""What a run is timed by: the time that passes, or that of all processors which work on it."""
Run = Callable[[], None]


def forward_pass(model: nn.Module, images: torch.Tensor, precision: str) -> Run:
    """Logits without a graph, in evaluation mode."""

    def run() -> None:
        model.eval()
        with torch.inference_mode(), autocast(images.device, precision):
            model(images)

    return run


def training_step(model: nn.Module, images: torch.Tensor, precision: str) -> Run:
    """Forward and backward pass in training mode, without the optimiser."""
    labels = torch.arange(len(images), device=images.device)

    def run() -> None:
        model.train()
        for parameter in model.parameters():
            parameter.grad = None
        with autocast(images.device, precision):
            logits = model(images)
        nn.functional.cross_entropy(logits.float(), labels).backward()

    return run


WAYS = {"forward": forward_pass, "training": training_step}


def autocast(device: torch.device, precision: str) -> Any:
    """Around what is computed in a precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def peak_tflops(device: torch.device, rounds: int) -> float:
    """What the device reaches in a large product of matrices: the best of some rounds."""
    side, dtype = LARGE[device.type], getattr(torch, PEAK_PRECISION[device.type])
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = [timed(lambda: a @ b, device)[0] for _ in range(rounds + 1)]
    return tflops(side**3, min(seconds[1:]))


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A model by its name, and an image for it.

    ``swin_third`` is Swin-T at a third of its width: like it, but as small as a seed network.
    """
    name, _, side = name.partition("@")
    size = int(side or 224)
    image = torch.zeros(1, 3, size, size)
    if "|" in name:
        return timm.create_model(asvit.zoo.ANY, architecture=name, img_size=size), image
    if name == "swin_third":
        options = {"embed_dim": 32, "num_heads": (1, 2, 4, 8), "window_size": 7 if size % 7 == 0 else 6}
        return timm.create_model("swin_tiny_patch4_window7_224", img_size=size, **options), image
    try:
        return timm.create_model(name, img_size=size), image
    except TypeError:  # a convolutional network takes any size, and no such argument
        return timm.create_model(name), image


def tflops(macs: float, seconds: float) -> float:
    """Of multiply-adds, two operations each."""
    return 2 * macs / seconds / 1e12


def compared(
    ours: Run,
    theirs: Run,
    macs: tuple[float, float],
    rounds: int,
    device: torch.device,
    peak: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Any:
    """Two runs in turns; multiply-adds are those of the whole run."""
    for run in (ours, theirs):
        run()
    pairs = [tuple(timed(run, device, clock)[0] for run in (ours, theirs)) for _ in range(rounds)]
    ratios = [a / macs[0] / (b / macs[1]) for a, b in pairs]
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    reached = [tflops(m, seconds) for m, seconds in zip(macs, medians, strict=True)]
    return {
        "ms": round(1e3 * medians[0], 2),
        "ms_of_reference": round(1e3 * medians[1], 2),
        "per_mac_ratio": round(statistics.median(ratios), 3),
        "per_mac_quartiles": [round(q, 3) for q in statistics.quantiles(ratios, n=4)[::2]] if rounds > 1 else None,
        "tflops": round(reached[0], 3),
        "tflops_of_reference": round(reached[1], 3),
        "share_of_peak": round(reached[0] / peak, 4),
        "share_of_peak_of_reference": round(reached[1] / peak, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["asvit_seed", "asvit_small", "asvit_base"])
    parser.add_argument("--against", nargs="+", default=["swin_tiny_patch4_window7_224"])
    parser.add_argument("--batches", type=int, nargs="+", default=[4])
    parser.add_argument("--threads", type=int, nargs="+", default=[torch.get_num_threads()])
    parser.add_argument("--precisions", nargs="+", choices=("float32", "bfloat16"), default=["float32"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    device = options.device
    peak = peak_tflops(device, options.rounds)
    side, precision = LARGE[device.type], PEAK_PRECISION[device.type]
    print(f"{side} x {side} matrices in {precision}: {peak:.3g} TFLOP/s", flush=True)
    models = {name: build(name) for name in (*options.models, *options.against)}
    macs = {name: count_macs(model, image) for name, (model, image) in models.items()}
    rows = []
    settings = product(options.threads, options.batches, options.precisions)
    for threads, batch, precision in settings:
        torch.set_num_threads(threads)
        for name, other in pairs_of_one_size(options.models, options.against):
            (model, image), (reference, _) = models[name], models[other]
            row: dict[str, Any] = {"model": name, "against": other, "threads": threads, "batch": batch}
            row |= {"precision": precision, "gmacs": macs[name] / 1e9, "gmacs_of_reference": macs[other] / 1e9}
            for what, make in WAYS.items():
                cost = tuple(PASSES[what] * batch * macs[each] for each in (name, other))
                try:
                    images = torch.randn(batch, *image.shape[1:], device=device)
                    ours, theirs = (make(each.to(device), images, precision) for each in (model, reference))
                    clock = CLOCKS[options.clock]
                    row[what] = compared(ours, theirs, cost, options.rounds, device, peak, clock)
                except torch.OutOfMemoryError:
                    row[what] = "out of memory"
                place = f"{name:12s} against {other}, {threads} threads, batch {batch:3d} {precision:8s} {what:8s}"
                print(f"{place} {said(row[what])}", flush=True)
            rows.append(row)
            model.cpu()
    if options.json:
        record = {
            **provenance(),
            "device": str(device),
            "tf32": {"matmul": torch.backends.cuda.matmul.allow_tf32, "cudnn": torch.backends.cudnn.allow_tf32},
            "rounds": options.rounds,
            "clock": options.clock,
            "peak": {"side": side, "precision": PEAK_PRECISION[device.type], "tflops": round(peak, 3)},
            "rows": rows,
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")


def pairs_of_one_size(models: list[str], others: list[str]) -> list[tuple[str, str]]:
    """Models with those that take images of the same size.

    >>> pairs_of_one_size(["seed", "small@96"], ["swin", "vit@96"])
    [('seed', 'swin'), ('small@96', 'vit@96')]
    """
    pairs = product(models, others)
    return [(ours, theirs) for ours, theirs in pairs if ours.partition("@")[2] == theirs.partition("@")[2]]


def said(found: Any) -> str:
    """A comparison on a line."""
    if isinstance(found, str):
        return found
    return (
        f"{found['ms']} ms, per MAC {found['per_mac_ratio']} x, "
        f"{found['tflops']} TFLOP/s, {found['share_of_peak']:.1%} of the peak; "
        f"reference {found['ms_of_reference']} ms, {found['share_of_peak_of_reference']:.1%}"
    )


if __name__ == "__main__":
    main()
