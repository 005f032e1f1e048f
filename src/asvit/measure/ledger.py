"""What has been measured, in SQLite: a job that is repeated after an interruption finds its measurements here.

A row is one metric of one repeat of one subject under one context (settings, versions, device). Repeats are written
whole, in one transaction, so that a process killed at any moment leaves whole repeats behind.
"""

import json
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from asvit.errors import UserError, shortened
from asvit.runs.json_files import complaint
from asvit.runs.progress import tell
from asvit.runs.surroundings import primary_code

T = TypeVar("T")
IN_MEMORY = ":memory:"
TURN, PATIENCE = 5.0, 600.0
"""Seconds for which a lock is waited for before that is said, and after which it is given up."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS context (id INTEGER PRIMARY KEY, description TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS measurement (
    context INTEGER NOT NULL REFERENCES context(id),
    subject TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    metric TEXT NOT NULL,
    value REAL,
    invalid TEXT,
    seconds REAL NOT NULL,
    work TEXT NOT NULL,
    PRIMARY KEY (context, subject, repeat, metric)
) WITHOUT ROWID;
"""


class LedgerLocked(UserError):
    """Another program has the file locked."""


@dataclass(frozen=True)
class Entry:
    """One metric of one repeat: a finite value, or the reason why there is none."""

    value: float | None
    invalid: str | None
    seconds: float
    work: str
    """How much of the repeat was done at a time; empty where nothing is evaluated."""


@dataclass(frozen=True)
class Cost:
    """Time and work that one metric of all repeats took."""

    seconds: float
    work: str
    """How much was done at a time; several descriptions, with commas, where repeats differ."""

    @classmethod
    def of(cls, repeats: Sequence[Entry]) -> "Cost":
        """Cost of some repeats."""
        work = dict.fromkeys(entry.work for entry in repeats)
        return cls(math.fsum(entry.seconds for entry in repeats), ",".join(work))


class Ledger:
    """Measurements by context, subject, repeat and metric.

    >>> ledger = Ledger.in_memory()
    >>> context = ledger.context({"device": "cpu"})
    >>> ledger.write(context, "seed", {0: {"length": Entry(2.5, None, 0.1, "4 angles a pass")}})
    >>> ledger.read(context, "seed", 0)
    {'length': Entry(value=2.5, invalid=None, seconds=0.1, work='4 angles a pass')}
    """

    def __init__(self, path: Path | str) -> None:
        """Open or create the file at ``path``."""
        self.path = path
        if path != IN_MEMORY and os.path.lexists(path) and not os.path.isfile(path):
            raise UserError(f"cannot use the ledger {path}: it is a folder or no regular file; choose another --out")
        with self._explaining():
            # It waits in short turns, between which is said what it waits for.
            self._connection = sqlite3.connect(path, timeout=TURN)
        try:
            # Damaged pages are found now, not after an hour.
            (said,) = self._do(lambda connection: connection.execute("PRAGMA quick_check(1)").fetchone())
            if said != "ok":
                raise self._damaged(shortened(said))
            # What a job has seen written is on the disk: a repeat takes far longer than the wait for that.
            self._do(lambda connection: connection.execute("PRAGMA synchronous = FULL"))
            self._do(lambda connection: connection.executescript(_SCHEMA))
        except BaseException:
            self.close()
            raise

    @classmethod
    def in_memory(cls) -> "Ledger":
        """A ledger in memory, of which nothing stays."""
        return cls(IN_MEMORY)

    def context(self, description: Mapping[str, object]) -> int:
        """Number of a context, new or known."""
        # Sorted, because equal descriptions have to be equal texts, in whichever order their parts were put together.
        text = json.dumps(description, sort_keys=True)

        def find(connection: sqlite3.Connection) -> tuple[int] | None:
            # Ignored where it is there: of two processes that begin at once, the second finds the first one's number.
            with connection as transaction:
                transaction.execute("INSERT OR IGNORE INTO context (description) VALUES (?)", (text,))
                return transaction.execute("SELECT id FROM context WHERE description = ?", (text,)).fetchone()

        row = self._do(find)
        if row is None:
            raise self._damaged("it takes no context")
        return row[0]

    def read(self, context: int, subject: str, repeat: int) -> dict[str, Entry]:
        """Entries of one repeat of a subject that are known, by metric."""
        rows = self._rows("context = ? AND subject = ? AND repeat = ?", (context, subject, repeat))
        return {metric: self._entry(subject, metric, *values) for metric, *values in rows}

    def write(self, context: int, subject: str, repeats: Mapping[int, Mapping[str, Entry]]) -> None:
        """Add metrics of some repeats of a subject; what another process has written meanwhile stays."""
        rows = [
            (context, subject, repeat, metric, entry.value, entry.invalid, entry.seconds, entry.work)
            for repeat, entries in repeats.items()
            for metric, entry in entries.items()
        ]

        def add(connection: sqlite3.Connection) -> None:
            # One transaction: a process that is killed leaves all of these repeats or none. What is there already
            # stays: a job may have decided by it.
            with connection as transaction:
                transaction.executemany("INSERT OR IGNORE INTO measurement VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

        self._do(add)

    def is_empty(self) -> bool:
        """Whether nothing has been measured yet."""
        return self._do(lambda connection: connection.execute("SELECT 1 FROM measurement LIMIT 1").fetchone()) is None

    def costs(self, context: int, subject: str) -> dict[str, Cost]:
        """Time and work that all repeats of a subject took, by metric."""
        entries: dict[str, list[Entry]] = {}
        for metric, *values in self._rows("context = ? AND subject = ?", (context, subject)):
            entries.setdefault(metric, []).append(self._entry(subject, metric, *values))
        return {metric: Cost.of(own) for metric, own in entries.items()}

    def _rows(self, where: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        select = f"SELECT metric, value, invalid, seconds, work FROM measurement WHERE {where} ORDER BY repeat, metric"
        return self._do(lambda connection: connection.execute(select, values).fetchall())

    def _entry(self, subject: str, metric: object, value: Any, invalid: Any, seconds: Any, work: Any) -> Entry:
        """An entry as it was written: SQLite keeps any value in any column."""
        measured = isinstance(value, float) and math.isfinite(value) and invalid is None
        if not (measured or (value is None and isinstance(invalid, str))):
            raise self._damaged(f"{shortened(str(metric))} of {subject} is {shortened(str(value))}")
        if not (isinstance(seconds, float) and 0 <= seconds < math.inf and isinstance(work, str)):
            raise self._damaged(f"{shortened(str(metric))} of {subject} took {shortened(str(seconds))} seconds")
        return Entry(value, invalid, seconds, work)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Work on the file, and wait while another program has it locked."""
        given_up, told = time.monotonic() + PATIENCE, False
        while True:
            try:
                with self._explaining():
                    return work(self._connection)
            except LedgerLocked:
                if time.monotonic() > given_up:
                    raise
                if not told:
                    tell(f"waiting for the ledger {self.path}, which another program has locked")
                    told = True

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._refusal(error) from error

    def _refusal(self, error: sqlite3.Error | UnicodeDecodeError) -> UserError:
        cannot = f"cannot use the ledger {self.path}: {complaint(error)}"
        match primary_code(error):
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return LedgerLocked(f"{cannot}: close what else has it open, then repeat the command")
            case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
                again = "make room or choose another --out, then repeat the command"
                return UserError(f"{cannot}; {again}: whole repeats already measured are kept")
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
                return UserError(f"{cannot}; expected a file and folder that can be written, or another --out")
        return self._damaged(complaint(error))

    def _damaged(self, what: str) -> UserError:
        return UserError(
            f"cannot use the ledger {self.path}: it is damaged or not asvit's: {what}; choose another --out, or remove "
            "it and measure anew"
        )
