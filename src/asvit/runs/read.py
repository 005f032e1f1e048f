"""The files of a run directory, as far as all kinds of job write the same."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from asvit.errors import UserError
from asvit.runs.json_files import complaint, read_regular
from asvit.runs.records import RESULT, read_record, run_file

MOST_OF_A_PICTURE = 2**20
"""Bytes of a small picture, which has some thousands."""

Run = TypeVar("Run", bound="RunFile")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Config:
    """Configuration of any job, as far as a report speaks of it."""

    recipe: str
    seed: int


@dataclass(frozen=True)
class Environment:
    """Versions and hardware that a job ran on."""

    asvit: str
    torch: str
    python: str
    device: str
    threads: int | None = None


@dataclass(frozen=True)
class RunFile:
    """The record ``run.json`` of any job."""

    job: str
    config: Config
    environment: Environment
    command: str


def read_run(directory: Path, run_type: type[Run]) -> Run:
    """Read ``run.json``.

    Args:
        directory: run directory.
        run_type: type of the record that this kind of job writes.

    Raises:
        UserError: the file is missing or damaged.
    """
    return read_record(run_file(directory), run_type)


def read_result(directory: Path, run: RunFile, result_type: type[Result]) -> Result:
    """Read ``result.json``.

    Args:
        directory: run directory.
        run: content of its ``run.json``.
        result_type: type of the record that the job wrote.

    Raises:
        UserError: the job has not ended, or the file is damaged.
    """
    path = directory / RESULT
    if not os.path.lexists(path):
        raise UserError(f"{directory} holds no {RESULT}: the job has not ended, repeat `{run.command}` to finish it")
    return read_record(path, result_type)


@contextmanager
def fitting_records(directory: Path) -> Iterator[None]:
    """Context in which records are drawn: what no job can have written is refused, whatever it does to arithmetic.

    Raises:
        UserError: the records of the directory do not fit together.

    >>> with fitting_records(Path("run")):  # doctest: +ELLIPSIS
    ...     1 / 0
    Traceback (most recent call last):
    asvit.errors.UserError: the records in run do not fit together (ZeroDivisionError: division by zero): expected ...
    """
    try:
        yield
    except UserError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UserError(
            f"the records in {directory} do not fit together ({type(error).__name__}: {complaint(error)}): expected "
            "those that a job wrote; repeat it in another --out"
        ) from error


def damaged(path: Path, what: str) -> UserError:
    """Error for a file whose parts do not fit together."""
    return UserError(f"{path} is damaged: {what}; repeat the job that wrote it")


def read_picture(directory: Path, name: str) -> bytes:
    """A small picture that a record names, in its run directory.

    Raises:
        UserError: it lies elsewhere, or is missing, no file or far too large.
    """
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise damaged(directory / RESULT, f"its picture {name} lies outside of {directory}")
    return read_regular(path, "a small picture that the job wrote; repeat it", most=MOST_OF_A_PICTURE)
