"""How much of a training step do coarse tokens save, and how much of it never shrinks?

For each coarseness the median seconds of forward and backward pass, and of optimiser and average, which depend on the
weights alone; rounds alternate between the stages. Then, for the paper's schedules, the shares of MACs and of time:

    uv run python benchmarks/retokenize.py --json benchmarks/results/retokenize-cpu.json
"""

import argparse
import json
import statistics
from pathlib import Path

import torch
from machine import provenance, timed
from timm.optim._optim_factory import create_optimizer_v2
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from asvit.networks.architecture import Task
from asvit.networks.building import build_trainable
from asvit.networks.named import parse_network
from asvit.training.retokenize import enter, stage_costs
from asvit.training.schedule import PAPER_SCHEDULES, named_schedule, saved_share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["seed", "small"])
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    device = options.device
    images = torch.randn(options.batch, 3, options.image_size, options.image_size, device=device)
    labels = torch.arange(options.batch, device=device)
    rows = []
    for name in options.networks:
        torch.manual_seed(0)
        model = build_trainable(parse_network(name), Task(image_size=(options.image_size, options.image_size))).to(
            device
        )
        optimiser = create_optimizer_v2(model, "adamw", lr=1e-4, weight_decay=0.05, fused=True)
        average = ModelEmaV3(model, decay=0.999)

        def passes(model: nn.Module = model) -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=options.bfloat16):
                logits = model(images)
            nn.functional.cross_entropy(logits.float(), labels).backward()

        def update(model: nn.Module = model, optimiser=optimiser, average=average) -> None:
            optimiser.step()
            average.update(model)

        seconds: dict[int, list[float]] = {4: [], 2: [], 1: []}
        updates: list[float] = []
        for _ in range(options.rounds + 1):  # the first warms up
            for coarseness, taken in seconds.items():
                enter(model, coarseness)
                taken.append(timed(passes, device)[0])
                updates.append(timed(update, device)[0])
                optimiser.zero_grad()
        step = {coarseness: statistics.median(taken[1:]) for coarseness, taken in seconds.items()}
        fixed = statistics.median(updates[3:])
        row = {
            "network": name,
            "passes_seconds": {coarseness: round(value, 4) for coarseness, value in step.items()},
            "update_seconds": round(fixed, 4),
            "schedules": [],
        }
        for schedule in PAPER_SCHEDULES:
            costs = stage_costs(model, named_schedule(schedule, 300), images[:1].cpu())
            macs = saved_share(costs)
            epochs = {cost.coarseness: cost.epochs / 300 for cost in costs}
            time = 1 - sum(share * step[coarseness] for coarseness, share in epochs.items()) / step[1]
            whole = 1 - sum(share * (step[c] + fixed) for c, share in epochs.items()) / (step[1] + fixed)
            row["schedules"].append(
                {
                    "schedule": schedule,
                    "saved_macs": round(macs, 4),
                    "saved_time_of_passes": round(time, 4),
                    "saved_time_with_update": round(whole, 4),
                    "ratio": round(time / macs, 3) if macs else None,
                }
            )
            print(f"{name} {schedule}: MACs saved {macs:.1%}, time of passes {time:.1%}, with update {whole:.1%}")
        print(f"{name}: passes {row['passes_seconds']} s, update {fixed:.4f} s", flush=True)
        rows.append(row)
    if options.json:
        record = {**provenance(), "device": str(device), "batch": options.batch, "image_size": options.image_size}
        record |= {"bfloat16": options.bfloat16, "rounds": options.rounds, "networks": rows}
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
