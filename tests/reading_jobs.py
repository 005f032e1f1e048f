"""Readers of what jobs have written, and of what is typed."""

import io
import json
import os
import shlex
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from unittest import mock

import pages
import test_report
import test_strange_checkpoints
import test_strange_commands
import test_strange_ledgers
import test_strange_records
import test_train_report
import torch
from test_training import Killed, ignore, kill_in_step

from asvit.commands.app import EXAMPLES, main
from asvit.design.record import read_design
from asvit.errors import UserError
from asvit.measure.ledger import Entry
from asvit.networks.named import read_architecture, read_task
from asvit.report import write_report
from asvit.runs.next_steps import after_run
from asvit.runs.records import RESULT, RUN
from asvit.training.checkpoint import last_checkpoint
from asvit.training.trained import load_exported, read_classifier

CHECKPOINT = "epoch-0001-step-000001.safetensors"


@cache
def architectures() -> Mapping[str, bytes]:
    content = test_strange_records.ARCHITECTURE | {"task": test_strange_records.TASK}
    return {"network.json": json.dumps(content).encode()}


def read_architecture_file(path: Path) -> None:
    network, task = read_architecture(str(path)), read_task(str(path))
    assert network.width >= 1
    if task is not None:
        assert 8 <= min(task.image_size) <= max(task.image_size) <= 8192
        assert 1 <= task.num_classes <= 1_000_000
        assert network.params(task) >= 1
        assert network.macs(task) >= 1


RUNS: dict[str, Callable[[Path], object]] = {
    "search": lambda folder: test_report.write_run(folder, "search"),
    "grow": lambda folder: test_report.write_run(folder, "grow"),
    "design": lambda folder: test_report.write_run(folder, "design"),
    "train": lambda folder: test_train_report.write_run(folder, test_train_report.result_of(2, 1, 2)),
    "detect": pages.detected,
    "study": pages.studied,
    "study-table": pages.table_judged,
    "race": pages.raced,
    "study-search": pages.searches_compared,
    "study-scaling": pages.rules_compared,
}


@cache
def records() -> Mapping[str, bytes]:
    found = {}
    with mock.patch("asvit.report.page._write", lambda path, page: path):
        for job, write in RUNS.items():
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder))
                found |= {f"{job}.{name}": (Path(folder) / name).read_bytes() for name in (RUN, RESULT)}
    return found


def read_run(path: Path) -> None:
    job, _, changed = path.name.partition(".")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        for name in (RUN, RESULT):
            (run / name).write_bytes(path.read_bytes() if name == changed else records()[f"{job}.{name}"])
        list(after_run(run))
        write_report(run)
        if job in ("search", "grow", "design"):
            read_design(run)


@cache
def checkpoints() -> Mapping[str, bytes]:
    killed = test_strange_checkpoints.training()
    kill_in_step(killed, 4)
    with tempfile.TemporaryDirectory() as folder:
        with suppress(Killed):
            killed.run(Path(folder), ignore)
        path = last_checkpoint(Path(folder))
        assert path is not None
        assert path.name == CHECKPOINT
        return {CHECKPOINT: path.read_bytes()}


@cache
def going_on():
    """A training into which checkpoints are read, and what it is after the whole one."""
    one = test_strange_checkpoints.training()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / CHECKPOINT).write_bytes(checkpoints()[CHECKPOINT])
        one.resume(Path(folder))
    return one, one.state


def read_checkpoint_file(path: Path) -> None:
    one, state = going_on()
    predicted = None
    with suppress(UserError):
        predicted = predictions(read_classifier(path))
    one.resume(path.parent)  # after which it is no other training
    assert predicted is not None
    assert (one.state.epoch, one.state.step) == (state.epoch, state.step)
    assert all(torch.isfinite(x).all() for x in one.model.state_dict().values())


def predictions(classifier) -> torch.Tensor:
    task = classifier.task
    assert len(classifier.classes) == task.num_classes
    assert max(task.image_size) <= 64  # that of its weights
    given = classifier.predict(torch.zeros(task.in_chans, *task.image_size), top=1)
    assert all(0 <= share <= 1 for _, share in given)
    return torch.tensor([share for _, share in given])


@cache
def exports() -> Mapping[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        good, out = Path(folder) / CHECKPOINT, Path(folder) / "out"
        good.write_bytes(checkpoints()[CHECKPOINT])
        out.mkdir()
        test_strange_checkpoints.exported(out, good)
        return {path.name: path.read_bytes() for path in out.iterdir()}


def read_export(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (exports() | {path.name: path.read_bytes()}).items():
            (Path(folder) / name).write_bytes(content)
        predictions(load_exported(Path(folder)))


@cache
def ledgers() -> Mapping[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measurements.sqlite"
        written = test_strange_ledgers.Ledger(path)
        written.write(written.context(test_strange_ledgers.CONTEXT), "seed", test_strange_ledgers.ENTRIES)
        written.close()
        return {path.name: in_small_pages(path)}


def in_small_pages(path: Path) -> bytes:
    """A database of few bytes, so that damage meets something."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA page_size = 512")
        connection.execute("VACUUM")
    return path.read_bytes()


def read_ledger(path: Path) -> None:
    entries, costs = test_strange_ledgers.use(path)
    assert all(isinstance(entry, Entry) for entry in entries.values())
    assert costs.keys() >= entries.keys()


@cache
def studies() -> Mapping[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.sqlite3"
        test_strange_ledgers.fill_study(file)
        return {file.name: in_small_pages(file)}


def read_study(path: Path) -> None:
    done, _, given_up, claim = test_strange_ledgers.look(path)
    assert all(0 <= one.top1 <= 1 for one in done)
    assert len(done) + len(given_up) <= 3
    assert claim is None or claim.planned in test_strange_ledgers.PLAN


JOBS = (
    "asvit.study.race.job.run_race", "asvit.study.table.run_table",
    "asvit.design.job.run_search", "asvit.design.job.run_grow", "asvit.design.job.run_design",
    "asvit.design.against.run_against", "asvit.measure.job.run_measure", "asvit.training.job.run_train",
    "asvit.training.job.plan_training", "asvit.training.job.run_evaluate", "asvit.training.job.run_predict",
    "asvit.training.trained.read_classifier", "asvit.detection.job.costs_of", "asvit.detection.job.run_train",
    "asvit.detection.job.run_evaluate", "asvit.detection.job.run_predict", "asvit.study.job.run_study",
    "asvit.study.contest_job.run_search_contest", "asvit.study.contest_job.run_scaling_contest",
    "asvit.export.job.run_export", "asvit.export.release.drawn", "asvit.export.release.trained",
)  # fmt: skip
"""What would compute."""
MORE = (
    "train seed --data digits --epochs 3 --batch-size 16 --lr 0.001 --image-size 32x32 --seed 1",
    "design --score length:2,ntk --repeats 3 --steps 20 --memory 200MB --latency 50ms --out never",
    "detect train seed --data nowhere --sides 64 96 --epochs 3 --workers 0",
    "detect predict nowhere street.jpg --min-score 0.5 --out never",
    "study --data digits --topologies 7 --least-ratio 0 --storage sqlite:///nowhere.sqlite3 --name mine",
    "study search --data digits --out never",
    "describe seed --image-size 96 --num-classes 12 --json",
)


@cache
def command_lines() -> Mapping[str, bytes]:
    lines = [line.removeprefix("asvit ") for examples in EXAMPLES.values() for line in examples] + [*MORE]
    lines += [shlex.join(test_strange_commands.base(command, "")) for command in test_strange_commands.COMMANDS]
    lines = [line for line in dict.fromkeys(lines) if not line.startswith("doctor")]
    return {f"{number}.words": "\n".join(shlex.split(line)).encode() for number, line in enumerate(lines)}


class Begun(Exception):
    """A job would compute now."""


@contextmanager
def nothing_computed() -> Iterator[None]:
    with ExitStack() as stack:
        for job in JOBS:
            stack.enter_context(mock.patch(job, side_effect=Begun))
        yield


def read_command_line(path: Path) -> None:
    """What is typed ends with 0, or with 2 and a line; the words stand in a file, one a line."""
    words = path.read_bytes().decode(errors="surrogateescape").split("\n")
    if any(word in ("--install-completion", "doctor") for word in words):
        return
    here, out, err, code = os.getcwd(), io.StringIO(), io.StringIO(), None
    os.chdir(path.parent)
    try:
        with nothing_computed(), redirect_stdout(out), redirect_stderr(err):
            main(words)
    except Begun:
        return
    except SystemExit as ended:
        code = ended.code
    finally:
        os.chdir(here)
    if code == 2:
        assert out.getvalue() == ""
        (line,) = err.getvalue().splitlines()
        assert line.startswith("asvit: ")
        assert len(line) <= 700
        raise UserError(line.removeprefix("asvit: "))
    assert code == 0, code
