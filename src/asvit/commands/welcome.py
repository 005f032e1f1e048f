"""What `asvit` alone says: what a newcomer would do, and what can be done with the runs that lie here."""

from collections.abc import Iterable
from pathlib import Path

from asvit.commands.tables import say
from asvit.errors import UserError
from asvit.runs.next_steps import Step, after_run
from asvit.runs.records import RESULT, RUN, read_asked

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
    say("asvit designs Vision Transformers for your images and budget without training them, then trains them.")
    say("")
    show_steps(START)
    found = latest_runs(runs)
    if not found:
        return
    say("")
    say(f"Your runs in {runs}, the latest first:")
    say("")
    for run in found[:RUNS]:
        say(f"  {run}: {state_of(run)}")
    if len(found) > RUNS:
        say(f"  and {len(found) - RUNS} more")
    steps = list(after_run(found[0]))
    if steps:
        say("")
        say(f"With {found[0]}:")
        say("")
        show_steps(steps)


def show_steps(steps: Iterable[Step]) -> None:
    """Print what one would do, and below it how."""
    for title, command in steps:
        say(f"  {title}:")
        say(f"      {command}")


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
        asked = read_asked(run)
    except UserError:
        return "cannot be read"
    return f"{asked['job']}, {'finished' if (run / RESULT).exists() else 'not finished'}"
