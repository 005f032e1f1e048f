"""What do coarse tokens cost in accuracy, and what do they save? The paper's Table 6 on a data set of one's own.

Trains one network with every schedule, each in a run directory of its own below `--out`; stopped, it goes on:

    uv run python benchmarks/schedules.py --data imagenette160.tar --side 80 --out runs/schedules \
        --json benchmarks/results/schedules-imagenette.json -- \
        seed --recipe imagenette --image-size 64 --epochs 20

What follows `--` goes to `asvit train` as it is. With `--side` the images are first resized once, shorter side to that
many pixels, so that decoding does not hide what coarse tokens save; with `--networks` several networks are trained with
the first schedule instead, side by side.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import provenance
from PIL import Image

from asvit.training.sources import open_source


def resized(data: str, side: int, folder: Path) -> Path:
    """A folder of the same images, no larger than needed; made once."""
    if (folder / "whole").exists():
        return folder
    for split in ("train", "val"):
        source = open_source(data, split)
        for i in range(len(source)):
            image, label = source.read(i)
            scale = side / min(image.size)
            path = folder / split / source.classes[label] / f"{i:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
            image.resize(size, Image.Resampling.BICUBIC).save(path, quality=92)
    (folder / "whole").touch()
    return folder


def trained(arguments: list[str], data: str, out: Path) -> dict[str, Any]:
    """Train in a run directory, and what came out."""
    command = [str(Path(sys.executable).parent / "asvit"), "train", *arguments, "--data", data, "--out", str(out)]
    subprocess.run(command, check=True)
    return outcome(json.loads((out / "result.json").read_text()))


def outcome(result: dict[str, Any]) -> dict[str, Any]:
    """A row of the table; time is taken from the median epoch of each stage, which a busy moment does not move."""
    epochs = result["epochs"]
    by_stage = {
        stage["coarseness"]: statistics.median(e["seconds"] for e in epochs if e["coarseness"] == stage["coarseness"])
        for stage in result["stages"]
    }
    return {
        "network": result["network"],
        "params": result["params"],
        "macs": result["stages"][-1]["macs"],
        "stages": result["stages"],
        "top1": round(epochs[-1]["top1"], 4),
        "best_top1": round(result["best"]["top1"], 4),
        "saved_macs": round(result["saved_macs"], 4),
        "seconds_of_an_epoch": {str(coarseness): round(seconds, 2) for coarseness, seconds in by_stage.items()},
        "saved_time": round(saved_time(result["stages"], by_stage), 4),
        "minutes": round(sum(epoch["seconds"] for epoch in epochs) / 60, 2),
        "waiting": round(sum(e["waiting"] * e["seconds"] for e in epochs) / sum(e["seconds"] for e in epochs), 3),
        "top1_by_epoch": [round(epoch["top1"], 4) for epoch in epochs],
    }


def saved_time(stages: list[dict[str, int]], seconds: dict[int, float]) -> float:
    """Share of the time that coarse epochs save."""
    spent = sum(stage["epochs"] * seconds[stage["coarseness"]] for stage in stages)
    return 1 - spent / (sum(stage["epochs"] for stage in stages) * seconds[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--side", type=int)
    parser.add_argument("--schedules", nargs="+", default=["none", "40-70", "80-140", "120-210"])
    parser.add_argument("--networks", nargs="+", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("train", nargs="+", help="network (but with --networks) and options of asvit train")
    options = parser.parse_args()
    data = options.data
    if options.side:
        data = str(resized(data, options.side, options.out / f"images-{options.side}"))
    network, *arguments = options.train
    variants = [(network, schedule) for schedule in options.schedules]
    if options.networks:
        arguments = options.train
        variants = [(name, options.schedules[0]) for name in options.networks]
    rows = []
    for name, schedule in variants:
        out = options.out / (schedule if not options.networks else name.replace(":", "-").replace("|", "_"))
        row = trained([name, *arguments, "--schedule", schedule], data, out)
        rows.append({"schedule": schedule, **row})
        print(
            f"{name:>12s} {schedule:>8s}: top-1 {row['top1']:.1%}, MACs saved {row['saved_macs']:.1%}, "
            f"time saved {row['saved_time']:.1%}, {row['minutes']} min",
            flush=True,
        )
        if options.json:
            record = {**provenance(), "data": Path(options.data).name, "side": options.side, "train": options.train}
            options.json.write_text(json.dumps({**record, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
