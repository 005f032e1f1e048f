"""Run directories and the files in them: what a job was asked, what it measured, what it found.

A run directory holds ``run.json`` (configuration, versions, device), ``measurements.sqlite`` (the ledger) and, at the
end, ``result.json``, ``report.html`` and a file for each designed architecture. Files appear whole or not at all.
"""

import errno
import hashlib
import json
import os
import platform
import re
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

import msgspec

from asvit.errors import UserError
from asvit.files import no_folder
from asvit.runs.differences import refuse_difference
from asvit.runs.json_files import converted, read_json, read_regular
from asvit.runs.locks import TakenError, locked_folder

SCHEMA = 1
"""Number that grows when files of an earlier version can no longer be read."""

Record = TypeVar("Record")
Json = dict[str, Any]

RUN, RESULT, LEDGER, REPORT = "run.json", "result.json", "measurements.sqlite", "report.html"
WINNER = "winner"
"""Name of what a race hands over: a folder with the weights, and an architecture file where the network is ours."""
_LOCK, _PID = ".lock", ".pid"
UNFINISHED = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
"""Names under which files are written until they are whole."""

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
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; {remedy(error, path.parent)} or choose another --out, then repeat "
            "the command: what was measured is kept"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside another, in whose place it is put when it has been written.

    Raises:
        OSError: it cannot be.
    """
    # In the same folder: only within one file system is a rename a single step. Made anew, under a name that nobody can
    # guess: so a link that somebody has put there is never followed.
    temporary = path.with_name(f".{path.name[:50]}.{token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666)
        mode = stat.S_IMODE(os.fstat(made).st_mode)
        os.close(made)
        yield temporary
        temporary.chmod(mode)  # as any other file: safetensors keeps its files to their owner
        # Otherwise the name may reach the disk before the content: after a power failure the file would be empty.
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remedy(error: Exception, folder: Path) -> str:
    """What to do where a file cannot be written.

    >>> remedy(PermissionError(errno.EACCES, "Permission denied"), Path("runs/a"))
    'allow writing in runs/a'
    """
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"allow writing in {folder}"
    if number in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
        return "move what is in its place away"
    return "make room"


def remove_unfinished(folder: Path) -> None:
    """Remove what killed jobs had not finished writing in a folder and below it, where nobody else is writing."""
    for path in folder.rglob("*.tmp"):
        if UNFINISHED.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with suppress(OSError):
                path.unlink()


def read_file(path: Path) -> Json:
    """A JSON file of ours as a dictionary.

    Raises:
        UserError: the file is missing, too large, not ours, or of another schema.
    """
    content = read_json(path, object, "a JSON file that asvit wrote, whole")
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise UserError(
            f"{path} is not a file of asvit with schema {SCHEMA}: repeat the job that should have written it"
        )
    return content


def read_record(path: Path, record_type: type[Record]) -> Record:
    """The typed record in a result file."""
    return converted(read_file(path), record_type, str(path))


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


@dataclass(frozen=True)
class Asked:
    """What the ``run.json`` of any job holds at least, and what its parts are."""

    job: str
    config: Json
    environment: "Surroundings"
    command: str
    images: str | None = None
    """Folder of the images that the kernel saw."""
    data: str | None = None
    """Images that a study trains on, whose configuration knows them by their content."""


@dataclass(frozen=True)
class Surroundings:
    """What a job ran on, as far as another is to run on the same."""

    threads: int | None = None


def run_file(directory: Path) -> Path:
    """``run.json`` of a run directory.

    Raises:
        UserError: it is no run directory.
    """
    if os.path.lexists(file := directory / RUN):
        return file
    what = f"{directory} has no {RUN}" if directory.is_dir() else no_folder(directory)
    raise UserError(f"{what}: expected a run directory of asvit")


def read_asked(directory: Path) -> Json:
    """Content of a run directory's ``run.json``, which has the parts of :class:`Asked`.

    Raises:
        UserError: the file is missing or damaged.
    """
    file = run_file(directory)
    content = read_file(file)
    converted(content, Asked, str(file))
    return content


def recorded(path: Path) -> Json | None:
    """Content of a folder's ``run.json``; None where no job has begun there."""
    return read_asked(path) if os.path.lexists(path / RUN) else None


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
        foreign = [name for name in os.listdir(path) if name not in (_LOCK, _PID) and not UNFINISHED.fullmatch(name)]
    except OSError as error:
        raise UserError(f"cannot use {path} as a run directory: {error.strerror}; choose another --out") from error
    if foreign and not (path / RUN).exists():
        raise UserError(f"{path} holds {foreign[0]} but no {RUN}: expected a new folder or one of an earlier run")
    with alone_in(path):
        remove_unfinished(path)
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
    if not ledger.is_file():
        return os.path.lexists(ledger)
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
    folder = ExitStack()
    try:
        lock.acquire(timeout=0)
        folder.enter_context(locked_folder(path))  # whoever deletes the file frees nothing
    except (Timeout, TakenError) as error:
        lock.release()
        raise UserError(
            f"another job, process {_process_in(path)}, is at work in {path}: wait for it, stop it, or choose another "
            "--out"
        ) from error
    except OSError as error:
        raise UserError(f"cannot use {path} as a run directory: {error.strerror}; choose another --out") from error
    try:
        # It only names this process to others; where it cannot be written, the folder cannot be worked in either.
        try:
            write_file(path / _PID, str(os.getpid()).encode())
        except UserError as error:
            cause = error.__cause__
            assert isinstance(cause, OSError)
            raise UserError(
                f"cannot use {path} as a run directory: {cause.strerror}; {remedy(cause, path)} or choose another --out"
            ) from error
        OPENED.set(path)
        yield
    finally:
        # While the lock is held: afterwards the file may be the next process's. Of a folder that has become read-only
        # meanwhile, the job itself tells more.
        with suppress(OSError):
            (path / _PID).unlink(missing_ok=True)
        folder.close()
        lock.release()


def _process_in(path: Path) -> str:
    try:
        return read_regular(path / _PID, "the number of a process", most=20).decode()
    except (UserError, UnicodeDecodeError):
        return "unknown"


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
