"""The steps of a day on a GPU, in order of worth: their commands, on a card and in miniature, and their limits."""

import gzip
import shutil
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PHOTOGRAPHS = 64
"""Of the carried validation images, evenly spread: what the kernel sees."""
TINY = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8"
"""A network for miniatures."""
SCHEDULES = ("none", "40-70", "80-140", "120-210")


@dataclass(frozen=True)
class Day:
    """Where steps find and put things."""

    device: str
    """``cuda``, or ``cpu`` for steps in miniature."""
    carried: Path
    out: Path
    """Folder of results."""
    work: Path
    """Folder for what need not be kept."""

    @property
    def miniature(self) -> bool:
        """Whether steps do as little as shows that they run."""
        return self.device == "cpu"

    @property
    def cifar10(self) -> str:
        """Tar file of images of 32 pixels."""
        return str(self.unzipped("cifar10.tar"))

    @property
    def imagenette(self) -> str:
        """Tar file of images of 128 pixels."""
        return str(self.unzipped("imagenette128.tar"))

    @property
    def photographs(self) -> str:
        """Folder of some of those, unpacked when a step first asks."""
        folder = self.work / "photographs"
        if self.work.exists() and not folder.exists():
            folder.mkdir()
            with tarfile.open(self.imagenette) as tar:
                files = [member for member in tar if member.isfile() and "val" in Path(member.name).parts]
                for member in files[:: max(1, len(files) // PHOTOGRAPHS)][:PHOTOGRAPHS]:
                    content = tar.extractfile(member)
                    assert content is not None
                    (folder / member.name.replace("/", "-")).write_bytes(content.read())
        return str(folder)

    def unzipped(self, name: str) -> Path:
        """A carried tar file as training reads it, not compressed; made when a step first asks."""
        target = self.work / name
        if self.work.exists() and not target.exists():
            with gzip.open(self.carried / "data" / f"{name}.gz") as packed, target.open("wb") as tar:
                shutil.copyfileobj(packed, tar)
        return target

    def result(self, step: str) -> str:
        """File that a step writes."""
        return str(self.out / f"{step}.json")

    def named(self, word: str) -> str:
        """A word of a command, without where this machine keeps its folders."""
        folders = {"carried": self.carried, "results": self.out, "work": self.work}
        for name, folder in folders.items():
            word = word.replace(str(folder), name)
        return "python" if word == sys.executable else word


@dataclass(frozen=True, kw_only=True)
class Step:
    """One question to the card."""

    name: str
    title: str
    seconds: float
    """That it may take on a card."""
    least: float = 20.0
    """Seconds without which it is not begun."""
    arguments: Callable[[Day, float], list[str]]
    """Program and options, for the seconds that it is given."""
    headline: Callable[[Mapping[str, Any]], str]
    """Main figures of its result."""

    def command(self, day: Day, limit: float) -> list[str]:
        """As it is run from the repository's folder."""
        program, *options = self.arguments(day, limit)
        own = ["--device", day.device] if "--" not in options else []
        return [sys.executable, f"benchmarks/{program}.py", *own, "--json", day.result(self.name), *options]


def either(day: Day, on_a_card: str, miniature: str) -> list[str]:
    """Options that make the difference."""
    return (miniature if day.miniature else on_a_card).split()


def tests(day: Day, limit: float) -> list[str]:
    return ["gpu_tests"]


def measures(day: Day, limit: float) -> list[str]:
    small = "--image-size 64 --rounds 1 --topologies 0 --rounding 2 --angles 3 --kernel-images 4 --sample 1"
    card = "--rounds 5 --topologies 40"
    return ["measures", "--images", day.photographs, *either(day, card, f"{small} --length-sample 2")]


def throughput(day: Day, limit: float) -> list[str]:
    small = "--models asvit_seed --against vit_tiny_patch16_224 --batches 1 --precisions float32 bfloat16 --rounds 1"
    return ["throughput", *either(day, "--batches 1 128 --precisions float32 bfloat16 --rounds 7", small)]


def design(day: Day, limit: float) -> list[str]:
    return ["design", "--images", day.photographs, *either(day, "--recipe paper", "--recipe smoke")]


def ground_truth(day: Day, limit: float) -> list[str]:
    small = "--recipe smoke --topologies 3 --train-images 128 --val-images 20 --workers 1 --threads 1"
    card = "--recipe cifar10 --workers 8 --minutes-in-all 30"
    here = ["--data", day.cifar10, "--images", day.photographs, "--minutes", f"{limit / 60:.2f}"]
    kept = ["--csv", str(day.out / "ground-truth.csv"), "--work", str(day.work / "ground-truth")]
    return ["ground_truth", *here, *kept, *either(day, card, f"{small} --minutes-in-all 0.1")]


def table_6(schedule: str, *options: str) -> Callable[[Day, float], list[str]]:
    """Training with one schedule."""

    def arguments(day: Day, limit: float) -> list[str]:
        small = f"{TINY} --recipe imagenette --image-size 32 --epochs 4 --batch-size 16 --warmup-epochs 0 --workers 0"
        card = "small --recipe imagenette --image-size 128 --epochs 100 --workers 15"
        part = either(day, "", "--train-images 40 --val-images 20")
        runs = ["--data", day.imagenette, "--out", str(day.work / "table-6"), *part]
        train = [*either(day, card, small), "--device", day.device]
        return ["schedules", "--schedules", schedule, *options, *runs, "--", *train]

    return arguments


def retokenize(day: Day, limit: float) -> list[str]:
    small = "--networks seed --image-size 64 --batch 4 --rounds 1"
    return ["retokenize", "--bfloat16", *either(day, "--batch 128", small)]


def decoding(day: Day, limit: float) -> list[str]:
    small = f"--files 40 --network {TINY} --image-size 64 --batch 8 --workers 1 --seconds 0.5 --epoch-images 64"
    return ["decoding", "--data", day.imagenette, *either(day, "--files 2000 --workers 4 8 15", small)]


def of_tests(result: Mapping[str, Any]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in result["counts"].items())


def of_measures(result: Mapping[str, Any]) -> str:
    speed = result["speed"]
    rows = (f"{name} {row['times_faster_than_naive']:.0f}x the slow way" for name, row in speed.items())
    return ", ".join(rows)


def of_throughput(result: Mapping[str, Any]) -> str:
    rows = (
        f"{row['model']} {row['precision']} x{row['batch']}: {row['training']['per_mac_ratio']} of Swin-T's"
        for row in result["rows"]
        if row["training"] != "out of memory"
    )
    return f"matrices reach {result['peak']['tflops']:.3g} TFLOP/s; a training step's time per MAC: " + "; ".join(rows)


def of_design(result: Mapping[str, Any]) -> str:
    return f"{result['seconds']} s: {result['family'][-1]['architecture']}"


def of_ground_truth(result: Mapping[str, Any]) -> str:
    return f"{result['done']} of {result['planned']} trainings of {result['epochs']} epochs"


def of_table_6(result: Mapping[str, Any]) -> str:
    (run,) = result["runs"]
    return f"top-1 {run['top1']:.2%}, MACs saved {run['saved_macs']:.1%}, {run['minutes']} min"


def of_retokenize(result: Mapping[str, Any]) -> str:
    rows = result["networks"]
    return "; ".join(
        f"{row['network']} {s['schedule']}: MACs saved {s['saved_macs']:.0%}, time {s['saved_time_with_update']:.0%}"
        for row in rows
        for s in row["schedules"]
    )


def of_decoding(result: Mapping[str, Any]) -> str:
    together = result["together"]
    rate, waiting = (together[f"{key}_after_the_start"] for key in ("images_per_second", "waiting"))
    loader = max(one["images_per_second"] for one in result["loader"])
    steps = result["steps_images_per_second"]
    return f"images/s: loader {loader:.0f}, steps {steps:.0f}, together {rate:.0f} ({waiting:.0%} waiting)"


STEPS: tuple[Step, ...] = (
    Step(name="tests", title="what can go wrong on a card", seconds=120, arguments=tests, headline=of_tests),
    Step(
        name="measures",
        title="measures against the slow way and the floor",
        seconds=75,
        arguments=measures,
        headline=of_measures,
    ),
    Step(
        name="throughput",
        title="time per MAC against Swin-T, share of the peak",
        seconds=60,
        arguments=throughput,
        headline=of_throughput,
    ),
    Step(name="design", title="a design with the paper's recipe", seconds=180, arguments=design, headline=of_design),
    Step(
        name="ground-truth",
        title="87 topologies trained on CIFAR-10",
        seconds=1800,
        least=90,
        arguments=ground_truth,
        headline=of_ground_truth,
    ),
    *(
        Step(
            name=f"table-6-{schedule}",
            title=f"Table 6, schedule {schedule}",
            seconds=560,
            least=300,
            arguments=table_6(schedule),
            headline=of_table_6,
        )
        for schedule in SCHEDULES
    ),
    *(
        Step(
            name=f"table-6-{schedule}-equal-cost",
            title=f"Table 6, all tokens at the cost of {schedule}",
            seconds=560,
            least=300,
            arguments=table_6(schedule, "--equal-cost"),
            headline=of_table_6,
        )
        for schedule in SCHEDULES[1:]
    ),
    Step(
        name="retokenize",
        title="a training step with coarse tokens",
        seconds=45,
        arguments=retokenize,
        headline=of_retokenize,
    ),
    Step(
        name="decoding", title="does decoding JPEG files keep up", seconds=90, arguments=decoding, headline=of_decoding
    ),
)
"""In order of worth. Trainings at equal budgets come when `asvit study` can sample networks for a budget."""
