"""The database of a study: its URL, what its errors mean, and the lock of one that is a file."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock, Timeout

from asvit.errors import UserError, from_extra, shortened
from asvit.runs.json_files import complaint
from asvit.runs.progress import tell
from asvit.runs.surroundings import of_surroundings, primary_code
from asvit.runs.urls import hide_password, parsed_url, shown_url
from asvit.study.optuna_search import import_optuna

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

PATIENCE, RETRY = 300.0, 5.0
"""Seconds for which a database that was there may be away, and between looks at it."""
SOON = 10.0
"""Seconds after which it is said that a lock is waited for."""
EXAMPLES = "sqlite:///study.sqlite3 or postgresql+psycopg://user@host/database"
AWAY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL)
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH)
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RuntimeError, ArithmeticError)
"""What Optuna raises on values and tables that it would not have written."""


class StorageError(UserError):
    """The database cannot be used."""


class StorageAway(StorageError):
    """The database does not answer, and may after a while."""


Method = TypeVar("Method", bound=Callable[..., Any])


def patient(method: Method) -> Method:
    """Try again while the database is away, such as while it restarts, and say so."""

    @wraps(method)
    def trying(*args: Any, **kwargs: Any) -> Any:
        given_up, told = time.monotonic() + PATIENCE, False
        while True:
            try:
                return method(*args, **kwargs)
            except StorageAway as away:
                if time.monotonic() > given_up:
                    raise
                if not told:
                    tell(f"waiting up to {PATIENCE / 60:g} minutes: {away}")
                    told = True
                time.sleep(RETRY)

    return trying  # pyright: ignore[reportReturnType]


def storage_url(text: str) -> "URL":
    """A database's URL.

    Raises:
        UserError: it cannot be read for certain; it is not repeated, since a part of it may be a password.
    """
    with from_extra("study"):
        url = parsed_url(text)
    if url is None:
        raise StorageError(
            f"cannot use the storage {shown_url(text)}: it is no URL of a database; expected one such as {EXAMPLES}, "
            "in a password %40 for @, %3A for :, %2F for / and %3F for ?, or the password in PGPASSWORD or ~/.pgpass"
        )
    return url


@contextmanager
def explaining(url: "URL") -> Iterator[None]:
    """Context of what is done with a database, whose errors become one line without the URL's password.

    Raises:
        StorageAway: it does not answer.
        StorageError: it cannot be used.
    """
    with from_extra("study"):
        from sqlalchemy.exc import SQLAlchemyError

    known = import_optuna().exceptions.StorageInternalError, SQLAlchemyError, ImportError, OSError
    try:
        with from_extra("postgresql") if url.drivername == "postgresql+psycopg" else nullcontext():
            yield
    except known as error:
        raise refusal(url, error) from error


@contextmanager
def reading(url: "URL") -> Iterator[None]:
    """Context in which what others may have written is read.

    Raises:
        StorageError: it is nothing that a study writes.
    """
    try:
        yield
    except UserError:
        raise
    except UNREADABLE as error:
        raise damaged(url, f"{type(error).__name__}: {complaint(error)}") from error


def damaged(url: "URL", what: str) -> StorageError:
    """Error for a database whose content is not that of a study."""
    return StorageError(
        f"the storage {shown_url(str_of(url))} is damaged or not asvit's: {what}; restore a copy of it, or begin with "
        "another --storage or --out and --continue-from topologies.csv, which has what was trained"
    )


def refusal(url: "URL", error: Exception) -> StorageError:
    """What an error of a database means, and what to do."""
    driver = driver_error(error)
    code, state = primary_code(driver), getattr(driver, "sqlstate", None) or ""
    cause = complaint(ValueError(hide_password(str(driver) or type(driver).__name__, url)))  # before it is cut
    if code in DAMAGED or "decode" in cause:
        return damaged(url, cause)
    cannot = f"cannot use the storage {shown_url(str_of(url))}: {cause}"
    if code not in AWAY and (of_surroundings(driver) or state[:2] in ("53", "58")):
        return StorageError(f"{cannot}; make room for it, then repeat the command: what was trained is kept")
    expected = f"expected the URL of a database that can be written, such as {EXAMPLES}"
    return (StorageAway if is_away(error, driver, code, state) else StorageError)(f"{cannot}; {expected}")


def driver_error(error: BaseException) -> BaseException:
    """The error of the database's driver, which others carry."""
    while (inner := getattr(error, "orig", None) or error.__cause__) is not None:
        error = inner
    return error


def is_away(error: Exception, driver: BaseException, code: int | None, state: str) -> bool:
    """Whether a database may answer after a while: it is locked, or nobody is there."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    if code is not None:
        return code in AWAY
    carried = error if isinstance(error, DBAPIError) else error.__cause__
    if isinstance(carried, OperationalError | InterfaceError | PoolTimeoutError):
        return not state or state[:2] in ("08", "40", "55", "57")
    return driver is error and type(error).__name__ == "StorageInternalError"


def str_of(url: "URL") -> str:
    """A URL as it was written."""
    return url.render_as_string(hide_password=False)


@contextmanager
def opening(url: "URL") -> Iterator[None]:
    """Context in which Optuna looks at the tables of a database, or makes them.

    Raises:
        StorageError: they are another version's, or nothing that Optuna makes.
    """
    with explaining(url):
        try:
            yield
        except UserError:
            raise
        except UNREADABLE as error:
            if "no longer compatible" not in str(error):
                raise damaged(url, f"{type(error).__name__}: {complaint(error)}") from error
            remedy = "update Optuna: `pip install -U optuna`"
            if "storage upgrade" in str(error):
                remedy = f"upgrade it, after a copy: `optuna storage upgrade --storage {shown_url(str_of(url))}`"
            raise StorageError(
                f"the storage {shown_url(str_of(url))} was made by another version of Optuna: {remedy}, then repeat "
                "the command"
            ) from error


def check_pages(url: "URL", engine: "Engine") -> None:
    """Refuse an SQLite file with damaged pages, which might be met only after hours.

    Raises:
        StorageError: it has some.
    """
    if url.get_backend_name() == "sqlite":
        with engine.connect() as connection:
            (said,) = connection.exec_driver_sql("PRAGMA quick_check(1)").one()
        if said != "ok":
            raise damaged(url, shortened(said))


def one_at_a_time(url: "URL") -> AbstractContextManager[Any]:
    """A lock around what reads and then writes: SQLite, unlike other databases, has none on rows."""
    if url.get_backend_name() != "sqlite":
        return nullcontext()
    if url.database in (None, "", ":memory:"):
        raise UserError(f"workers cannot share {url}, which is in the memory of one: expected a file or a server")
    return WaitingLock(Path(f"{url.database}.lock"))


class WaitingLock:
    """A lock that processes share by a file, and that says when it waits; it may be entered again."""

    def __init__(self, path: Path) -> None:
        """Take nothing yet."""
        self.path, self._lock = path, FileLock(path)

    def __enter__(self) -> None:
        """Wait for the lock."""
        try:
            self._lock.acquire(timeout=SOON)
        except Timeout:
            tell(f"waiting for {self.path}, which another process holds")
            try:
                self._lock.acquire(timeout=PATIENCE)
            except Timeout as error:
                raise StorageError(
                    f"another process has held {self.path} for {PATIENCE / 60:g} minutes: stop it, then repeat the "
                    "command"
                ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it."""
        self._lock.release()
