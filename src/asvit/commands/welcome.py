"""What `asvit` alone says: what a newcomer would do, and what can be done with the latest run. Needs no torch."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from asvit.errors import UserError
from asvit.runs.records import REPORT, RESULT, RUN, read_file

Step = tuple[str, str]
"""What one would do, and the command for it."""

START: tuple[Step, ...] = (
    ("Design a network for your images and budget", "asvit design --image-size 96 --num-classes 12 --params 3M"),
    ("Say what a network costs", "asvit describe small"),
    ("Train one in a minute, no download", "asvit train seed --data digits --recipe digits"),
    ("See what is installed, and what this machine has", "asvit doctor"),
    ("All commands; then options and examples of one", "asvit --help; asvit design --help"),
)


def show_welcome(runs: Path = Path("runs")) -> None:
    """Print what one would do next."""
    print("asvit designs Vision Transformers for your images and budget without training them, then trains them.\n")
    show_steps(START)
    latest = latest_run(runs)
    if latest is not None:
        steps = list(next_steps(latest))
        if steps:
            print(f"\nYour latest run, {latest}:\n")
            show_steps(steps)


def show_steps(steps: Iterator[Step] | tuple[Step, ...] | list[Step]) -> None:
    """Print what one would do, and below it how."""
    for title, command in steps:
        print(f"  {title}:\n      {command}")


def latest_run(runs: Path) -> Path | None:
    """The run directory below a folder in which something was written last; None where there is none.

    >>> latest_run(Path("no such folder")) is None
    True
    """
    directories = [path.parent for path in runs.glob(f"*/{RUN}")]
    return max(directories, key=lambda run: max(file.stat().st_mtime for file in run.iterdir()), default=None)


def next_steps(run: Path) -> Iterator[Step]:
    """What can be done with a run directory; nothing where its files cannot be read."""
    try:
        asked = read_file(run / RUN)
    except UserError:
        return
    if not (run / RESULT).exists():
        yield "Go on with it where it stopped", str(asked.get("command"))
        return
    if (run / REPORT).exists():
        yield "Look at its report in a browser", str(run / REPORT)
    name = shlex.quote(str(run))
    match asked.get("job"):
        case "search":
            yield "Grow what it found", f"asvit grow {name}/{RESULT} --params 3M"
        case "grow" | "design":
            for member in sorted((run / "family").glob("*.json")):
                yield (
                    f"Train its network for {member.stem}",
                    f"asvit train {shlex.quote(str(member))} --data path/to/images",
                )
        case "train":
            yield "Score it", f"asvit evaluate {name} --data path/to/images"
            yield "Classify images", f"asvit predict {name} image.jpg"
        case "detect":
            yield "Score it", f"asvit detect evaluate {name} --data path/to/coco"
            yield "Find objects in images", f"asvit detect predict {name} image.jpg"
