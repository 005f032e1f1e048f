"""What `asvit` alone says: what a newcomer would do, and what can be done with the runs that lie here."""

from collections.abc import Iterable
from pathlib import Path

from asvit.errors import UserError
from asvit.runs.next_steps import Step, after_run
from asvit.runs.records import RESULT, RUN, read_file

START: tuple[Step, ...] = (
    ("Design a network for your images and budget", "asvit design --image-size 96 --num-classes 12 --params 3M"),
    ("Say what a network costs", "asvit describe small"),
    ("Train one in a minute, no download", "asvit train seed --data digits --recipe digits"),
    ("See what is installed, and what this machine has", "asvit doctor"),
    ("All commands; then options and examples of one", "asvit --help; asvit design --help"),
)
RUNS = 5
"""Runs that are listed, the latest first."""


def show_welcome(runs: Path = Path("runs")) -> None:
    """Print what one would do next."""
    print("asvit designs Vision Transformers for your images and budget without training them, then trains them.\n")
    show_steps(START)
    found = latest_runs(runs)
    if not found:
        return
    print(f"\nYour runs in {runs}, the latest first:\n")
    for run in found[:RUNS]:
        print(f"  {run}: {state_of(run)}")
    if len(found) > RUNS:
        print(f"  and {len(found) - RUNS} more")
    steps = list(after_run(found[0]))
    if steps:
        print(f"\nWith {found[0]}:\n")
        show_steps(steps)


def show_steps(steps: Iterable[Step]) -> None:
    """Print what one would do, and below it how."""
    for title, command in steps:
        print(f"  {title}:\n      {command}")


def latest_runs(runs: Path) -> list[Path]:
    """Run directories below a folder, the one in which something was written last first.

    >>> latest_runs(Path("no such folder"))
    []
    """
    directories = [path.parent for path in runs.glob(f"*/{RUN}")]
    return sorted(directories, key=lambda run: max(file.stat().st_mtime for file in run.iterdir()), reverse=True)


def state_of(run: Path) -> str:
    """What a run is, and whether it has ended."""
    try:
        asked = read_file(run / RUN)
    except UserError:
        return "cannot be read"
    return f"{asked.get('job')}, {'finished' if (run / RESULT).exists() else 'not finished'}"
