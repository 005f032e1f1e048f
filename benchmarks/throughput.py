"""Is As-ViT as fast per multiply-add as Swin? Forward passes and training steps, side by side in one run.

Rounds alternate between the models, so that what slows the machine slows both; a figure is the median over rounds of
the ratio of seconds per multiply-add. Beside it stands what the device reaches in one large product of bfloat16
matrices, and the share of it that each model reaches:

    uv run python benchmarks/throughput.py --json benchmarks/results/throughput-cpu.json
    uv run python benchmarks/throughput.py --device cuda --batches 1 128 --precisions float32 bfloat16 --rounds 9

bfloat16 is autocast, as asvit trains. A model that runs out of memory is recorded as one that did.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from machine import provenance, timed
from torch import nn

import asvit.zoo  # noqa: F401, registers asvit_small
from asvit.complexity.cost import count_macs
from asvit.training.results import BACKWARD

LARGE = {"cpu": 1024, "cuda": 8192}
"""Sides of the matrices whose product shows what a device can do."""
PASSES = {"forward": 1, "training": BACKWARD}
"""Forward passes that a way of running a model is worth."""
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
    """What the device reaches in a large product of bfloat16 matrices: the best of some rounds."""
    side = LARGE[device.type]
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = [timed(lambda: a @ b, device)[0] for _ in range(rounds + 1)]
    return tflops(side**3, min(seconds[1:]))


def tflops(macs: float, seconds: float) -> float:
    """Of multiply-adds, two operations each."""
    return 2 * macs / seconds / 1e12


def compared(ours: Run, theirs: Run, macs: tuple[float, float], rounds: int, device: torch.device, peak: float) -> Any:
    """Two runs in turns; multiply-adds are those of the whole run."""
    for run in (ours, theirs):
        run()
    pairs = [tuple(timed(run, device)[0] for run in (ours, theirs)) for _ in range(rounds)]
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
    parser.add_argument("--against", default="swin_tiny_patch4_window7_224")
    parser.add_argument("--batches", type=int, nargs="+", default=[4])
    parser.add_argument("--precisions", nargs="+", choices=("float32", "bfloat16"), default=["float32"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    device = options.device
    image = torch.zeros(1, 3, 224, 224)
    peak = peak_tflops(device, options.rounds)
    print(f"{LARGE[device.type]} x {LARGE[device.type]} matrices in bfloat16: {peak:.3g} TFLOP/s", flush=True)
    models = {name: timm.create_model(name) for name in (*options.models, options.against)}
    macs = {name: count_macs(model, image) for name, model in models.items()}
    reference = models[options.against].to(device)
    rows = []
    for name in options.models:
        model = models[name].to(device)
        for batch, precision in ((b, p) for b in options.batches for p in options.precisions):
            row: dict[str, Any] = {"model": name, "batch": batch, "precision": precision, "gmacs": macs[name] / 1e9}
            for what, make in WAYS.items():
                each = PASSES[what] * batch
                cost = (each * macs[name], each * macs[options.against])
                try:
                    images = torch.randn(batch, *image.shape[1:], device=device)
                    ours, theirs = make(model, images, precision), make(reference, images, precision)
                    row[what] = compared(ours, theirs, cost, options.rounds, device, peak)
                except torch.OutOfMemoryError:
                    row[what] = "out of memory"
                print(f"{name:12s} batch {batch:3d} {precision:8s} {what:8s} {said(row[what])}", flush=True)
            rows.append(row)
        models[name].cpu()
    if options.json:
        record = {
            **provenance(),
            "device": str(device),
            "tf32": {"matmul": torch.backends.cuda.matmul.allow_tf32, "cudnn": torch.backends.cudnn.allow_tf32},
            "rounds": options.rounds,
            "against": options.against,
            "gmacs_of_reference": macs[options.against] / 1e9,
            "peak": {"side": LARGE[device.type], "bfloat16_tflops": round(peak, 3)},
            "rows": rows,
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")


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
