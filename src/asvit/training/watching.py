"""What trainings share around their loop: run directory, progress, and what every epoch leaves behind."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from asvit.errors import from_extra
from asvit.runs.devices import usable_cores, use_threads
from asvit.runs.job import Finished, Job
from asvit.runs.progress import ProgressDisplay
from asvit.runs.records import Json, RunDirectory, write_file
from asvit.runs.working import recorded_threads, working_in
from asvit.training.loop import Training
from asvit.training.parallel import Processes
from asvit.training.results import EpochRecord, as_csv, as_lines
from asvit.training.settings import Running, usual_precision

Adjust = Callable[[Running], Running]
"""Makes of the usual way to run a training on a machine the way to run it now."""
SLOW_DATA = 0.2
"""Share of the time spent waiting for images from which the progress line says so."""


@contextmanager
def training_in(
    name: str, config: Json, job: Job, device: torch.device, processes: Processes
) -> Iterator[tuple[Path, RunDirectory | None]]:
    """Folder of the run, in all processes, and for the first one, which alone writes in it, the run directory."""
    if not processes.first:
        processes.wait()
        path = job.directory(name, config)
        use_threads(job.threads or recorded_threads(path))
        yield path, None
        return
    with working_in(name, config, job, device) as directory:
        processes.wait()
        yield directory.path, directory


class Watcher:
    """Shows how far a training is, and writes what every epoch gave."""

    def __init__(
        self,
        directory: RunDirectory | None,
        facts: Callable[[Any], list[str]],
        *,
        scalars: Sequence[str],
        tensorboard: bool,
    ) -> None:
        """Write to a directory.

        Args:
            directory: run directory; None: this process is silent.
            facts: what the progress line says of a training.
            scalars: fields of an epoch that go to TensorBoard.
            tensorboard: whether to write its files.
        """
        self.directory, self.facts, self.scalars = directory, facts, scalars
        self.display = ProgressDisplay()
        self.board = board(directory.path) if directory is not None and tensorboard else None

    def __enter__(self) -> "Watcher":
        """Begin to show."""
        if self.directory is not None:
            self.display.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Leave the last state on the screen."""
        if self.directory is not None:
            self.display.__exit__(*error)

    def __call__(self, training: Training[Any, Any, Any]) -> None:
        """Show the state; after an epoch, write its row."""
        if self.directory is None:
            return
        state, epochs = training.state, training.loop.epochs
        if state.step == 0 and state.epochs:
            write_epochs(self.directory, state.epochs)
            if self.board is not None:
                write_scalars(self.board, state.epochs[-1], self.scalars)
        self.display.update(
            "training",
            state.macs,
            training.planned_macs,
            count=f"epoch {min(state.epoch + 1, epochs)} of {epochs}",
            facts=", ".join([*speed(training), *self.facts(training), *unreadable(training)]),
        )


def speed(training: Training[Any, Any, Any]) -> list[str]:
    """Images a second, and whether they are waited for."""
    state = training.state
    if state.step:
        rate, share = state.step * training.loop.batch_size / state.seconds, state.waiting / state.seconds
    else:
        rate, share = state.epochs[-1].images_per_second, state.epochs[-1].waiting
    words = [f"{rate:.3g} images/s"]
    # In the first epoch the processes that load are still being started.
    if share > SLOW_DATA and state.epochs:
        words.append(f"{share:.0%} of the time waiting for images (more --workers?)")
    return words


def unreadable(training: Training[Any, Any, Any]) -> list[str]:
    """Images that could not be read."""
    problems = training.state.unreadable
    return [f"{len(problems)} unreadable, last {problems[-1]}"] if problems else []


def write_epochs(directory: RunDirectory, epochs: Sequence[EpochRecord]) -> None:
    """Write ``metrics.jsonl`` and ``summary.csv``."""
    write_file(directory.path / "metrics.jsonl", as_lines(epochs))
    write_file(directory.path / "summary.csv", as_csv(epochs))


def board(path: Path) -> Any:
    """Writer of TensorBoard files."""
    with from_extra("tensorboard"):
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter(str(path / "tensorboard"))


def write_scalars(board: Any, epoch: EpochRecord, names: Sequence[str]) -> None:
    """Add an epoch to TensorBoard's files: fields, or fields of fields such as ``boxes.ap``."""
    for name in names:
        value: Any = epoch
        for part in name.split("."):
            value = getattr(value, part, None)
        if value is not None:
            board.add_scalar(name, value, epoch.epoch)
    board.flush()


def finished(directory: RunDirectory | None, result: Any) -> Finished[Any] | None:
    """What a training has left behind, with its epochs and its result written; None in processes that write nothing."""
    if directory is None:
        return None
    write_epochs(directory, result.epochs)
    directory.write_result(result)
    return Finished(directory, result)


def usual_running(device: torch.device, processes: Processes, *, in_memory: bool = False) -> Running:
    """How a training is run on a device where nothing else is asked for.

    Args:
        device: where.
        processes: how many share this machine.
        in_memory: whether images take no processes to load; others have a core each but for one, at most 8.
    """
    cores = usable_cores() // processes.local_count
    return Running(
        workers=0 if in_memory else min(8, max(0, cores - 1)),
        precision=usual_precision(device.type),
    )
