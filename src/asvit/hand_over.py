"""How a job ends: its report is drawn, and what was found is said."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from asvit.extras import missing
from asvit.job import tell
from asvit.options import RunOptions
from asvit.records import SCHEMA, RunDirectory, to_json


def hand_over(
    directory: RunDirectory, result: Any, run: RunOptions, show: Callable[[Any], None] = lambda result: None
) -> None:
    """Draw the report of a result that is written, and print the result.

    Args:
        directory: of the run.
        result: what the job found.
        run: how the job answers.
        show: prints the result for a reader.
    """
    report = drawn(directory.path)
    if run.json:
        print(to_json({"schema": SCHEMA, "job": directory.job, **msgspec.to_builtins(result)}).decode(), end="")
        return
    show(result)
    if report is not None:
        tell(f"report: {report}")


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
