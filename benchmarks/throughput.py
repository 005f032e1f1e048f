"""Is As-ViT as fast per multiply-add as Swin? Forward passes and training steps, side by side in one run.

Rounds alternate between the models, so that what slows the machine slows both; a figure is the median over rounds of
the ratio of seconds per multiply-add:

    uv run python benchmarks/throughput.py --json benchmarks/results/throughput-cpu.json
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from machine import provenance, timed
from torch import nn

import asvit.zoo  # noqa: F401, registers asvit_small
from asvit.complexity.cost import count_macs


def forward_pass(model: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """Logits without a graph, in evaluation mode."""

    def run() -> None:
        model.eval()
        with torch.inference_mode():
            model(images)

    return run


def training_step(model: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """Forward and backward pass in training mode, without the optimiser."""
    labels = torch.arange(len(images), device=images.device)

    def run() -> None:
        model.train()
        nn.functional.cross_entropy(model(images), labels).backward()
        for parameter in model.parameters():
            parameter.grad = None

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["asvit_seed", "asvit_small", "asvit_base"])
    parser.add_argument("--against", default="swin_tiny_patch4_window7_224")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    images = torch.randn(options.batch, 3, 224, 224, device=options.device)
    rows = []
    reference = timm.create_model(options.against).to(options.device)
    for name in options.models:
        model = timm.create_model(name).to(options.device)
        row: dict[str, object] = {"model": name}
        macs = {n: count_macs(m, images[:1]) * options.batch for n, m in ((name, model), (options.against, reference))}
        row["gmacs"] = round(macs[name] / options.batch / 1e9, 3)
        for what, make in (("forward", forward_pass), ("training", training_step)):
            ours, theirs = make(model, images), make(reference, images)
            for run in (ours, theirs):
                run()
            pairs = [tuple(timed(run, options.device)[0] for run in (ours, theirs)) for _ in range(options.rounds)]
            ratios = [a / macs[name] / (b / macs[options.against]) for a, b in pairs]
            row |= {
                f"{what}_ms": round(1e3 * statistics.median(a for a, _ in pairs), 1),
                f"{what}_ms_of_reference": round(1e3 * statistics.median(b for _, b in pairs), 1),
                f"{what}_per_mac_ratio": round(statistics.median(ratios), 3),
                f"{what}_per_mac_quartiles": [round(q, 3) for q in statistics.quantiles(ratios, n=4)[::2]],
            }
        rows.append(row)
        print(
            f"{name:12s} {row['gmacs']} G  forward {row['forward_ms']} ms, per MAC {row['forward_per_mac_ratio']} x;  "
            f"training step {row['training_ms']} ms, per MAC {row['training_per_mac_ratio']} x {options.against}",
            flush=True,
        )
    if options.json:
        record = {
            **provenance(),
            "device": str(options.device),
            "batch": options.batch,
            "rounds": options.rounds,
            "against": options.against,
            "gmacs_of_reference": round(count_macs(reference, images[:1]) / 1e9, 3),
            "models": rows,
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
