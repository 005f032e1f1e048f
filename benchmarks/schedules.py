"""What do coarse tokens cost in accuracy, and what do they save? The paper's Table 6 on a data set of one's own.

Trains one network with every schedule, each in a run directory of its own below `--out`; stopped, it goes on:

    uv run python benchmarks/schedules.py --data imagenette160.tar --side 80 --out runs/schedules \
        --json benchmarks/results/schedules-imagenette.json -- \
        seed --recipe imagenette --image-size 64 --epochs 20

What follows `--` goes to `asvit train` as it is, `--device` too. With `--equal-cost` the network is trained with all
tokens instead, for as many epochs fewer as a schedule saves multiply-adds. With `--side` the images are first resized
once, shorter side to that many pixels, so that decoding does not hide what coarse tokens save; with `--train-images`
and `--val-images` only so many are used. With `--networks` several networks are trained with the first schedule
instead, side by side.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from machine import provenance
from small_data import small_copy

from asvit.commands.app import main as run_asvit

FULL = "none"
"""The schedule with all tokens from the first epoch on."""


@dataclass(frozen=True)
class Variant:
    """A training of the table."""

    folder: str
    """Of its run directory."""
    facts: dict[str, Any]
    """What it is, for the record."""
    arguments: list[str]
    """Of `asvit train`."""


def equal_cost(plan: dict[str, Any]) -> tuple[int, float]:
    """Epochs with all tokens that cost what a schedule does, and the ratio of the first to the second as rounded.

    Args:
        plan: of the schedule, as `asvit train --plan --json` prints it.
    """
    stages = plan["stages"]
    spent = sum(stage["epochs"] * stage["macs"] for stage in stages)
    full = stages[-1]["macs"]
    epochs = max(1, round(spent / full))
    return epochs, epochs * full / spent


def variants(options: argparse.Namespace, data: str) -> list[Variant]:
    """What is to be trained, in order."""
    if options.networks:
        given = [*options.train, "--schedule", options.schedules[0]]
        facts = {"schedule": options.schedules[0]}
        return [Variant(name.replace(":", "-").replace("|", "_"), facts, [name, *given]) for name in options.networks]
    if not options.equal_cost:
        return [Variant(s, {"schedule": s}, [*options.train, "--schedule", s]) for s in options.schedules]
    found = []
    for schedule in options.schedules:
        epochs, ratio = equal_cost(planned([*options.train, "--schedule", schedule], data))
        facts = {"schedule": FULL, "equal_cost_to": schedule, "macs_over_those": round(ratio, 4)}
        shorter = [*without(options.train, "--epochs"), "--epochs", str(epochs), "--schedule", FULL]
        found.append(Variant(f"equal-{schedule}", facts, shorter))
    return found


def without(words: Sequence[str], option: str) -> list[str]:
    """Arguments without an option and its value."""
    if option not in words:
        return list(words)
    at = list(words).index(option)
    return [*words[:at], *words[at + 2 :]]


def planned(arguments: list[str], data: str) -> dict[str, Any]:
    """What the stages of a training would cost."""
    with redirect_stdout(StringIO()) as said:
        code = run_here("train", *arguments, "--data", data, "--plan", "--json")
    if code:
        sys.exit("the schedule cannot be planned: the lines above say why")
    return json.loads(said.getvalue())


def run_here(*words: str) -> int:
    """Exit code of a command of asvit in this process, which need not load torch once more for each of several."""
    sys.argv = ["asvit", *words]  # what its run directory says that it was
    try:
        run_asvit()
    except SystemExit as ended:
        return int(ended.code or 0)


def trained(arguments: list[str], data: str, out: Path) -> dict[str, Any]:
    """Train in a run directory, and what came out."""
    if run_here("train", *arguments, "--data", data, "--out", str(out)):
        sys.exit(f"the training in {out.name} failed: the lines above say why")
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
        "training_macs": epochs[-1]["macs"],
        "top1": round(epochs[-1]["top1"], 4),
        "best_top1": round(result["best"]["top1"], 4),
        "saved_macs": round(result["saved_macs"], 4),
        "seconds_of_an_epoch": {str(coarseness): round(seconds, 2) for coarseness, seconds in by_stage.items()},
        "saved_time": round(saved_time(result["stages"], by_stage), 4),
        "minutes": round(sum(epoch["seconds"] for epoch in epochs) / 60, 2),
        "images_per_second": round(statistics.median(epoch["images_per_second"] for epoch in epochs), 1),
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
    parser.add_argument("--train-images", type=int)
    parser.add_argument("--val-images", type=int)
    parser.add_argument("--schedules", nargs="+", default=[FULL, "40-70", "80-140", "120-210"])
    parser.add_argument("--equal-cost", action="store_true", help="all tokens, at the cost of each of the schedules")
    parser.add_argument("--networks", nargs="+", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("train", nargs="+", help="network (but with --networks) and options of asvit train")
    options = parser.parse_args()
    if options.equal_cost and (FULL in options.schedules or options.networks):
        parser.error(f"--equal-cost asks what all tokens reach at a schedule's cost: leave out {FULL} and --networks")
    came_from, data = provenance(), options.data
    used = (options.train_images, options.val_images)
    if options.side or used != (None, None):
        names = "-".join(str(value or "all") for value in (options.side, *used))
        data = str(small_copy(data, options.out / f"images-{names}", side=options.side, images=used))
    rows = []
    for variant in variants(options, data):
        row = trained(variant.arguments, data, options.out / variant.folder)
        rows.append({**variant.facts, **row})
        print(
            f"{variant.arguments[0]:>12s} {variant.folder:>12s}: top-1 {row['top1']:.1%}, "
            f"MACs saved {row['saved_macs']:.1%}, time saved {row['saved_time']:.1%}, {row['minutes']} min",
            flush=True,
        )
        if options.json:
            record = {**came_from, "data": Path(options.data).name, "side": options.side, "train": options.train}
            options.json.write_text(json.dumps({**record, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
