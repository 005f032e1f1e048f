"""What a race keeps beside its queue: who runs and how far, and how accurate every training was after every epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asvit.runs.records import read_record, write_record
from asvit.study.plan import Planned
from asvit.study.race.runners import Runner
from asvit.study.trainer import folder_of
from asvit.training.checkpoint import last_checkpoint, read_checkpoint
from asvit.training.trained import ClassifierHeader

START, BOOK = "start.json", "book.json"


@dataclass(frozen=True)
class Start:
    """Who runs, and how far: decided once."""

    runners: tuple[Runner, ...]
    epochs: int
    """Epochs of a whole training."""


@dataclass(frozen=True)
class Done:
    """A training, as far as it went."""

    network: str
    seed: int
    curve: tuple[float, ...]
    """Top-1 accuracy after every epoch."""
    seconds: tuple[float, ...]
    """Seconds of every epoch, without evaluation."""


@dataclass(frozen=True)
class Book:
    """All trainings, as far as they were when they were last looked at."""

    done: tuple[Done, ...]


def read_start(folder: Path) -> Start | None:
    """Who runs, where that is decided."""
    return read_record(folder / START, Start) if (folder / START).exists() else None


def write_start(folder: Path, start: Start) -> None:
    """Keep who runs."""
    write_record(folder / START, "race", start)


def read_book(folder: Path) -> dict[Planned, Done]:
    """Trainings so far."""
    path = folder / BOOK
    done = read_record(path, Book).done if path.exists() else ()
    return {Planned(one.network, one.seed): one for one in done}


def keep_book(folder: Path, plan: Sequence[Planned]) -> None:
    """Write down how far some trainings are, by their last checkpoints."""
    book = read_book(folder)
    for planned in plan:
        last = last_checkpoint(folder_of(folder, planned))
        if last is not None:
            _, header = read_checkpoint(last, ClassifierHeader, ())
            curve, seconds = (
                tuple(getattr(epoch, name) for epoch in header.state.epochs) for name in ("top1", "seconds")
            )
            book[planned] = Done(planned.network, planned.seed, curve, seconds)
    write_record(folder / BOOK, "race", Book(tuple(book.values())))
