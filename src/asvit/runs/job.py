"""The surroundings of a job: device, run directory, random seed, and the command that repeats it. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from asvit.errors import check_whole
from asvit.runs.records import Json, RunDirectory, default_path

ResultT = TypeVar("ResultT")


MOST_THREADS = 1024
"""Threads of a process on the CPU."""
LARGEST_SEED = 2**31 - 1
"""Largest random seed; those of several runs count up from it, and numpy's older generators end at 32 bits."""


def check_seed(seed: int) -> None:
    """Refuse what is no random seed."""
    check_whole("seed", seed, 0, LARGEST_SEED)


@dataclass(frozen=True, kw_only=True)
class Computer:
    """The device and the threads that a job computes with."""

    device: str = "auto"
    """auto (the first CUDA GPU, else the CPU), cpu, cuda, cuda:i or mps (Apple's GPU, which auto never takes)."""
    threads: int | None = None
    """Threads on the CPU."""

    def __post_init__(self) -> None:
        if self.threads is not None:
            check_whole("threads", self.threads, 1, MOST_THREADS)


@dataclass(frozen=True, kw_only=True)
class Job(Computer):
    """The surroundings of a job: device and threads, run directory, random seed, and command.

    >>> Job(seed=1).directory("search", {"recipe": "quick"}).parent
    PosixPath('runs')
    """

    out: Path | None = None
    """Run directory."""
    seed: int = 0
    """Random seed, the number that all randomness follows from."""
    command: str = ""
    """Command line that repeats the job, for its records."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed)

    def directory(self, name: str, config: Json) -> Path:
        """Run directory: the one asked for, or one below ``runs`` that is named after the configuration."""
        return self.out or default_path(name, config["recipe"], config)


@dataclass(frozen=True)
class Finished(Generic[ResultT]):
    """A job that has ended: its run directory, and what it found."""

    directory: RunDirectory
    result: ResultT
