"""Work in a job's run directory, alone, on the threads of the run that is continued."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from asvit.complexity.speed import computing_threads
from asvit.runs.devices import device_name, use_threads
from asvit.runs.job import Job
from asvit.runs.progress import tell
from asvit.runs.records import Json, RunDirectory, environment, open_run, recorded


@contextmanager
def working_in(
    name: str, config: Json, job: Job, device: torch.device, *, beside: Json | None = None
) -> Iterator[RunDirectory]:
    """Work alone in a job's run directory, on as many threads as the run that is continued.

    Args:
        name: name of the command.
        config: all that was asked, with the name of a recipe; another in the same directory is refused.
        job: run directory, threads and command.
        device: device that was chosen for the job.
        beside: what is recorded beside all that, and may differ.
    """
    config = json.loads(json.dumps(config))
    path = job.directory(name, config)
    use_threads(job.threads or recorded_threads(path))
    around = environment(device=device_name(device), threads=computing_threads(device))
    with open_run(path, name, config, around, job.command, beside=beside) as directory:
        tell(f"run directory: {path}")
        yield directory


def recorded_threads(path: Path) -> int | None:
    """Threads of the run that began in a folder: with as many, a CPU gives the same bits again."""
    earlier = recorded(path)
    return None if earlier is None else earlier["environment"].get("threads")
