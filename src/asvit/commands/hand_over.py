"""How commands end: the report of a run is drawn, and what was found is said, as JSON or for a reader."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from asvit.commands.next_steps import say_next
from asvit.commands.tables import say_json
from asvit.errors import missing
from asvit.runs.job import Finished
from asvit.runs.next_steps import after_run
from asvit.runs.progress import tell
from asvit.runs.records import SCHEMA, to_json

ResultT = TypeVar("ResultT")


def hand_over(finished: Finished[ResultT], show: Callable[[ResultT], None], *, as_json: bool) -> None:
    """Draw the report of a finished job, and print its result.

    Args:
        finished: job with its run directory.
        show: prints the result for a reader.
        as_json: whether a program reads it.
    """
    report = drawn(finished.directory.path)
    if as_json:
        print_record(finished.directory.job, finished.result)
        return
    show(finished.result)
    say_next(after_run(finished.directory.path))
    if report is not None:
        tell(f"report: {report}")


def hand_over_training(finished: Finished[Any] | None, show: Callable[[Any], None], *, as_json: bool) -> None:
    """Hand a training over, and say which checkpoint is its best; nothing in processes that write nothing.

    Args:
        finished: training with its run directory, in the first process.
        show: prints the result for a reader.
        as_json: whether a program reads it.
    """
    if finished is None:
        return

    def show_with_checkpoint(result: Any) -> None:
        show(result)
        tell(f"best checkpoint: {finished.directory.path / result.checkpoint}")

    hand_over(finished, show_with_checkpoint, as_json=as_json)


def print_record(job: str, record: Any) -> None:
    """Print a record as JSON, with its schema and the job's name in front."""
    say_json(to_json({"schema": SCHEMA, "job": job, **msgspec.to_builtins(record)}).decode())


def drawn(path: Path) -> Path | None:
    """The report of a run directory; None where a package that draws it is missing, which is said."""
    try:
        from asvit.report import write_report
    except ImportError as error:
        package = missing(error)
        if package in (None, "asvit"):
            raise
        tell(
            f"the report is not drawn, for the package {package} is missing: where `pip install asvit` has brought it, "
            f"`{shlex.join(['asvit', 'report', str(path)])}` draws it"
        )
        return None
    return write_report(path)
