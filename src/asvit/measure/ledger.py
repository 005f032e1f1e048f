"""What has been measured, in SQLite: a job that is repeated after an interruption finds its measurements here.

A row is one metric of one repeat of one subject under one context (settings, versions, device). Repeats are written
whole, in one transaction, so that a process killed at any moment leaves whole repeats behind.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asvit.errors import UserError, reason

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
        with self._explaining():
            self._connection = sqlite3.connect(path)
            # What a job has seen written is on the disk: a repeat takes far longer than the wait for that.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)

    @classmethod
    def in_memory(cls) -> "Ledger":
        """A ledger in memory, of which nothing stays."""
        return cls(":memory:")

    def context(self, description: Mapping[str, object]) -> int:
        """Number of a context, new or known."""
        # Sorted, because equal descriptions have to be equal texts, in whichever order their parts were put together.
        text = json.dumps(description, sort_keys=True)
        # Ignored where it is there: of two processes that begin at once, the second finds the number of the first.
        with self._explaining(), self._connection as transaction:
            transaction.execute("INSERT OR IGNORE INTO context (description) VALUES (?)", (text,))
            row = transaction.execute("SELECT id FROM context WHERE description = ?", (text,)).fetchone()
        return row[0]

    def read(self, context: int, subject: str, repeat: int) -> dict[str, Entry]:
        """Entries of one repeat of a subject that are known, by metric."""
        with self._explaining():
            rows = self._connection.execute(
                "SELECT metric, value, invalid, seconds, work FROM measurement"
                " WHERE context = ? AND subject = ? AND repeat = ?",
                (context, subject, repeat),
            )
            return {metric: Entry(*entry) for metric, *entry in rows}

    def write(self, context: int, subject: str, repeats: Mapping[int, Mapping[str, Entry]]) -> None:
        """Add metrics of some repeats of a subject; what another process has written meanwhile stays."""
        rows = [
            (context, subject, repeat, metric, entry.value, entry.invalid, entry.seconds, entry.work)
            for repeat, entries in repeats.items()
            for metric, entry in entries.items()
        ]
        # One transaction: a process that is killed leaves all of these repeats or none. What is there already stays: a
        # job may have decided by it.
        with self._explaining(), self._connection as transaction:
            transaction.executemany("INSERT OR IGNORE INTO measurement VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def is_empty(self) -> bool:
        """Whether nothing has been measured yet."""
        with self._explaining():
            return self._connection.execute("SELECT 1 FROM measurement LIMIT 1").fetchone() is None

    def costs(self, context: int, subject: str) -> dict[str, Cost]:
        """Time and work that all repeats of a subject took, by metric."""
        with self._explaining():
            rows = self._connection.execute(
                "SELECT metric, total(seconds), group_concat(DISTINCT work) FROM measurement"
                " WHERE context = ? AND subject = ? GROUP BY metric",
                (context, subject),
            )
            return {metric: Cost(seconds, work) for metric, seconds, work in rows}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            raise UserError(
                f"cannot use the ledger {self.path}: {reason(error)}; make room or choose another --out, then repeat "
                "the command: whole repeats already measured are kept"
            ) from error
