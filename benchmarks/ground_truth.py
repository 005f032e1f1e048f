"""Ground truth on a card: the topologies of a study trained for as many epochs as fit, over as many days as it takes.

    python benchmarks/ground_truth.py --data cifar10 --images photographs --device cuda --workers 8 --minutes 10 \
        --minutes-in-all 30 --csv ground-truth.csv --json ground-truth.json --work runs/ground-truth

The first time a pilot trains as many topologies at a time as there are workers, for one short epoch, and says what an
epoch takes. The number of epochs that then fits into `--minutes-in-all`, from 2 to 30, is written into the JSON file
and stays; the learning rate rises over a fifth of them, at most two. Then `asvit study` trains until `--minutes` are
over. The CSV file holds every finished training of all days, and the same command with both files goes on from there on
any machine. Exit code 0: all is trained and judged; 75: time ran out, and what is done is kept.

`--metrics` says what is judged while minutes are dear; once all is trained, the same command with `--device cpu
--metrics all` judges every measure, without a card.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from ground_truth_pilot import Pace, Question, rehearse_all
from machine import GOES_ON, asvit, provenance, watching_card
from small_data import small_copy

from asvit.complexity.usage import Precision
from asvit.runs.devices import device_name
from asvit.runs.records import write_file
from asvit.study.job import TOPOLOGIES
from asvit.study.plan import PlanSettings, planned
from asvit.study.recipes import RECIPES
from asvit.study.sample import sample_topologies

FEWEST, MOST = 2, 30
"""Epochs."""
STOPPING = 6.0
"""Seconds that are kept for a study to stop in; after them it is killed, which loses nothing more."""
LOOK = 2.0
"""Seconds between looks at the study."""


@dataclass(frozen=True)
class Decided:
    """What all days have in common, decided on the first."""

    recipe: str
    topologies: int
    planned: int
    """Trainings."""
    epochs: int
    warmup_epochs: int
    precision: Precision

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Decided":
        """As the record says."""
        return cls(**{field.name: record[field.name] for field in fields(cls)})


def epochs_that_fit(pace: Pace, minutes: float, trainings: int, workers: int) -> int:
    """Epochs of each of all trainings in so many minutes, from 2 to 30."""
    rounds = -(-trainings // workers)
    epochs = ((60 * minutes - pace.start) / rounds - pace.training) // pace.epoch
    return int(min(MOST, max(FEWEST, epochs)))


def warm_up(epochs: int) -> int:
    """Epochs over which the learning rate rises: a fifth, at most the recipe's two."""
    return min(2, epochs // 5)


def trainings_in(csv: Path) -> int:
    """Rows of a CSV file that may not be there."""
    return max(0, len(csv.read_text().splitlines()) - 1) if csv.exists() else 0


def decide(options: argparse.Namespace, data: str) -> dict[str, Any]:
    """Run the pilot, and begin the record with what all days have in common."""
    recipe = RECIPES[options.recipe]
    topologies = options.topologies or recipe.topologies
    settings = PlanSettings.of(topologies=topologies, seeds=recipe.seeds, seed=0)
    plan = planned(settings, sample_topologies(topologies, settings.seed))
    precision: Precision = "float32" if options.device == "cpu" else "bfloat16"
    question = Question(
        recipe=options.recipe,
        data=data,
        photographs=options.images,
        metrics=metrics_of(options),
        precision=precision,
        device=options.device,
        workers=options.workers,
        threads=options.threads,
        path=options.work / "pilot",
    )
    pace, images = rehearse_all(question, list(dict.fromkeys(one.network for one in plan)))
    epochs = epochs_that_fit(pace, options.minutes_in_all, len(plan), options.workers)
    print(f"with {options.workers} trainings at a time an epoch takes {pace.epoch:.1f} s: {epochs} epochs", flush=True)
    decided = Decided(options.recipe, topologies, len(plan), epochs, warm_up(epochs), precision)
    pilot = {"workers": options.workers, "card": card(options), "images": images, "seconds": asdict(pace)}
    return {
        "data": Path(options.data).name,
        **asdict(decided),
        "minutes_in_all": options.minutes_in_all,
        "pilot": pilot,
        "done": 0,
        "seconds": 0.0,
        "days": [],
        "verdict": None,
    }


def card(options: argparse.Namespace) -> str:
    """Name of the device."""
    return device_name(torch.device(options.device))


def metrics_of(options: argparse.Namespace) -> tuple[str, ...]:
    """Names; none: all."""
    return () if options.metrics == "all" else tuple(options.metrics.split(","))


def study_command(options: argparse.Namespace, decided: Decided, data: str, run: Path) -> list[str]:
    """The study of all days, going on from what the CSV file holds."""
    words = ["study", "--data", data, "--recipe", decided.recipe, "--topologies", str(decided.topologies)]
    words += ["--epochs", str(decided.epochs), "--warmup-epochs", str(decided.warmup_epochs), "--least-ratio", "0"]
    words += ["--precision", decided.precision, "--device", options.device, "--workers", str(options.workers)]
    words += [] if options.metrics == "all" else ["--metrics", options.metrics]
    words += [] if options.images is None else ["--images", str(options.images)]
    words += [] if options.threads is None else ["--threads", str(options.threads)]
    words += ["--continue-from", str(options.csv)] if trainings_in(options.csv) else []
    return asvit(*words, "--out", str(run))


def work_until(deadline: float, command: list[str], look: Callable[[], None]) -> int | None:
    """Run a command up to a time, and look after it meanwhile and at the end.

    Returns:
        Its exit code; None where it was stopped.
    """
    process = subprocess.Popen(command)
    try:
        while process.poll() is None and time.monotonic() < deadline:
            look()
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, min(LOOK, deadline - time.monotonic())))
        return process.poll()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOPPING - 1)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        look()


def main() -> None:
    begin = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the study is stopped on the way out
    options = parse()
    if trainings_in(options.csv) and not options.json.exists():
        sys.exit(f"{options.csv.name} holds trainings, but {options.json.name} is not there to say of how many epochs")
    data, images = options.data, (options.train_images, options.val_images)
    if images != (None, None):
        data = str(small_copy(data, options.work / f"images-{images[0]}-{images[1]}", images=images))
    record = json.loads(options.json.read_text()) if options.json.exists() else decide(options, data)
    decided, pace, done = Decided.of(record), Pace(**record["pilot"]["seconds"]), trainings_in(options.csv)
    if decided.recipe != options.recipe:
        sys.exit(f"{options.json.name} is of recipe {decided.recipe}, not {options.recipe}: choose another --json")
    run = options.work / f"study-{card(options).replace(' ', '-')}"
    written, said, days, before = run / TOPOLOGIES, provenance(), record["days"], record["seconds"]
    day = {"workers": options.workers, "card": card(options), "trainings": 0, "seconds": 0.0, "card_busy": None}

    def keep() -> None:
        """Have all that is done so far in both files, whatever happens next."""
        if trainings_in(written) >= max(1, trainings_in(options.csv)):
            write_file(options.csv, written.read_bytes())
        day["trainings"], day["seconds"] = trainings_in(options.csv) - done, round(time.monotonic() - begin, 1)
        record.update(said, done=trainings_in(options.csv), seconds=round(before + day["seconds"], 1))
        record["days"] = [*days, {"date": said["date"], **day}]
        write_file(options.json, json.dumps(record, indent=2).encode() + b"\n")

    keep()
    left = 60 * options.minutes - STOPPING - (time.monotonic() - begin)
    needed = pace.start + pace.training + decided.epochs * pace.epoch
    if done < decided.planned and left < needed:
        print(f"{left:.0f} s are left, but a training takes {needed:.0f} s: none is begun", file=sys.stderr)
        sys.exit(GOES_ON)
    with watching_card(options.device) as busy:
        code = work_until(time.monotonic() + left, study_command(options, decided, data, run), keep)
    day["card_busy"] = busy()
    if code == 0:
        result = json.loads((run / "result.json").read_text())
        record["verdict"] = {key: result[key] for key in ("sentence", "pilot", "variance", "scores")}
    keep()
    print(f"{record['done']} of {decided.planned} trainings of {decided.epochs} epochs are done", flush=True)
    sys.exit(GOES_ON if code is None else code)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--train-images", type=int, help="use only so many (default: all)")
    parser.add_argument("--val-images", type=int, help="use only so many (default: all)")
    parser.add_argument("--images", type=Path, help="folder of photographs for the kernel (default: scikit-image's)")
    parser.add_argument("--recipe", default="cifar10", choices=tuple(RECIPES))
    parser.add_argument("--topologies", type=int, help="default: the recipe's")
    parser.add_argument("--metrics", default="length,ntk,params", help="to judge, with commas, or all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=8, help="trainings at a time")
    parser.add_argument("--threads", type=int, help="of each on the CPU (default: as many as its cores allow)")
    parser.add_argument("--minutes", type=float, required=True, help="that are left today")
    parser.add_argument("--minutes-in-all", type=float, default=30.0, help="of all days")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for what need not be kept")
    return parser.parse_args()


if __name__ == "__main__":
    main()
