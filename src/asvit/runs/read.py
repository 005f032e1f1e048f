"""The files of a run directory, as far as all kinds of job write the same."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from asvit.errors import UserError
from asvit.runs.records import RESULT, RUN, read_record

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
    return read_record(directory / RUN, run_type)


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
    if not path.exists():
        raise UserError(f"{directory} holds no {RESULT}: the job has not ended, repeat `{run.command}` to finish it")
    return read_record(path, result_type)


def read_kept(path: Path) -> bytes:
    """A file that a job keeps beside its result, whole.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise damaged(path, str(error.strerror)) from error


def damaged(path: Path, what: str) -> UserError:
    """Error for a file whose parts do not fit together."""
    return UserError(f"{path} is damaged: {what}; repeat the job that wrote it")
