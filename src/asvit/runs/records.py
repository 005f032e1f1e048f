"""Run directories and the files in them: what a job was asked, what it measured, what it found.

A run directory holds ``run.json`` (configuration, versions, device), ``measurements.sqlite`` (the ledger) and, at the
end, ``result.json``, ``report.html`` and a file for each designed architecture. Files appear whole or not at all.
"""

import hashlib
import json
import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from asvit.errors import UserError
from asvit.runs.differences import refuse_difference

SCHEMA = 1
"""Number that grows when files of an earlier version can no longer be read."""

Record = TypeVar("Record")
Json = dict[str, Any]

RUN, RESULT, LEDGER, REPORT = "run.json", "result.json", "measurements.sqlite", "report.html"
_LOCK, _PID = ".lock", ".pid"

OPENED: ContextVar[Path | None] = ContextVar("OPENED", default=None)
"""Run directory in which this process has worked last; None where in none."""


def to_json(record: object) -> bytes:
    """A record as indented JSON that ends in a line feed; numbers keep every digit."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def write_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it, so that it is there whole or not at all.

    Raises:
        UserError: it cannot be written, for example because the disk is full.
    """
    # In the same folder: only within one file system is a rename a single step.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            # Otherwise the name may reach the disk before the content: after a power failure the file would be empty.
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UserError(
            f"cannot write {path}: {error.strerror}; make room or choose another --out, then repeat the command: "
            "what was measured is kept"
        ) from error


def read_file(path: Path) -> Json:
    """A JSON file of ours as a dictionary.

    Raises:
        UserError: the file is missing, not ours, or of another schema.
    """
    try:
        content = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; expected a file that asvit wrote") from error
    except msgspec.DecodeError as error:
        raise UserError(f"cannot read {path}: {error}; expected a JSON file that asvit wrote, whole") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise UserError(
            f"{path} is not a file of asvit with schema {SCHEMA}: repeat the job that should have written it"
        )
    return content


def read_record(path: Path, record_type: type[Record]) -> Record:
    """The typed record in a result file."""
    content = read_file(path)
    try:
        return msgspec.convert(content, record_type)
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is damaged: {error}; repeat the job that wrote it") from error


def write_record(path: Path, job: str, record: object) -> None:
    """Write a typed record with its schema and the job's name in front."""
    write_file(path, to_json({"schema": SCHEMA, "job": job, **msgspec.to_builtins(record)}))


@dataclass(frozen=True)
class RunDirectory:
    """A folder that belongs to one job with one configuration; one process at a time works in it."""

    path: Path
    job: str

    @property
    def ledger(self) -> Path:
        """Path of the ledger, in which measurements are kept."""
        return self.path / LEDGER

    def write_result(self, record: object) -> None:
        """Write ``result.json``."""
        write_record(self.path / RESULT, self.job, record)


def default_path(job: str, recipe: str, config: Json) -> Path:
    """Folder below ``runs`` that is named after the configuration: the same command finds it again."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:8]
    return Path("runs") / f"{job}-{recipe}-{digest}"


def recorded(path: Path) -> Json | None:
    """Content of a folder's ``run.json``; None where no job has begun there."""
    return read_file(path / RUN) if (path / RUN).exists() else None


@contextmanager
def open_run(
    path: Path, job: str, config: Json, environment: Json, command: str, *, beside: Json | None = None
) -> Iterator[RunDirectory]:
    """Begin or go on with a job in a folder, alone. A run that has left nothing behind is begun anew.

    Args:
        path: folder, new or of an earlier run of the same job.
        job: name of the command.
        config: all that was asked; going on with another is refused.
        environment: versions, device and threads; going on with another is refused too.
        command: command line that repeats the job.
        beside: what is recorded beside these, and may differ.

    Raises:
        UserError: the folder cannot be written, is another's, or another process works in it.
    """
    # Looked at before the lock is put there, so that nothing is written into a folder of something else.
    try:
        path.mkdir(parents=True, exist_ok=True)
        foreign = [p.name for p in path.iterdir() if p.name not in (_LOCK, _PID) and not p.name.endswith(".tmp")]
    except OSError as error:
        raise UserError(f"cannot use {path} as a run directory: {error.strerror}; choose another --out") from error
    if foreign and not (path / RUN).exists():
        raise UserError(f"{path} holds {foreign[0]} but no {RUN}: expected a new folder or one of an earlier run")
    with alone_in(path):
        asked = {"schema": SCHEMA, "job": job, "config": config, "environment": environment}
        earlier = recorded(path)
        # As it would read back from the file, where tuples have become lists.
        now = json.loads(json.dumps(asked))
        if earlier is None or not has_begun(path):
            write_file(path / RUN, to_json({**asked, **(beside or {}), "command": command, "commit": commit()}))
        else:
            place = f"{path} (`{earlier.get('command')}`)"
            refuse_difference(place, {key: earlier.get(key) for key in now}, now, "another --out")
        yield RunDirectory(path, job)


def has_begun(path: Path) -> bool:
    """Whether a run has left anything behind: a file beside its record, a row in its ledger."""
    files = (file for file in path.rglob("*") if file.is_file() and not file.name.endswith(".tmp"))
    others = [file for file in files if file.name not in (RUN, _LOCK, _PID)]
    return any(not file.name.startswith(LEDGER) for file in others) or has_rows(path / LEDGER)


def has_rows(ledger: Path) -> bool:
    """Whether anything was measured that a ledger keeps; a damaged one is for its reader to refuse."""
    if not ledger.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT EXISTS (SELECT 1 FROM measurement)").fetchone() == (1,)
    except sqlite3.Error:
        return True


@contextmanager
def alone_in(path: Path) -> Iterator[None]:
    """Work in a folder that no other process works in.

    Raises:
        UserError: one does, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    # Held by the operating system, not by the file's being there: a process that is killed lets go of it. The other
    # file only names the process in the message.
    lock = FileLock(path / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        pid = (path / _PID).read_text() if (path / _PID).exists() else "unknown"
        raise UserError(
            f"another job, process {pid}, is at work in {path}: wait for it, stop it, or choose another --out"
        ) from error
    except OSError as error:
        raise UserError(f"cannot use {path} as a run directory: {error.strerror}; choose another --out") from error
    try:
        write_file(path / _PID, str(os.getpid()).encode())
        OPENED.set(path)
        yield
    finally:
        # While the lock is held: afterwards the file may be the next process's.
        (path / _PID).unlink(missing_ok=True)
        lock.release()


def without_password(word: str) -> str:
    """An argument as it may be shown, such as a URL.

    >>> without_password("--storage=postgresql://me:secret@host/db")
    '--storage=postgresql://me:***@host/db'
    """
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", word)


def environment(*, device: str, threads: int | None) -> Json:
    """Versions and hardware that a result depends on."""
    from importlib.metadata import version

    return {
        "asvit": version("asvit"),
        "torch": version("torch"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "threads": threads,
    }


def commit() -> str | None:
    """Git commit of this package's source, None outside a checkout."""
    folder = Path(__file__).parent
    try:
        git = ["git", "-C", str(folder), "log", "-1", "--format=%H", "--", "."]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None
