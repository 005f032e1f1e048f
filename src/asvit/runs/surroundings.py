"""Errors of the machine that a job runs on, which say nothing against what was asked of it."""

import errno
import os
import sqlite3

CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""No room, no memory, no more open files, or a disk that fails."""
OF_SQLITE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY)
WORDS = (
    *(os.strerror(code) for code in CODES),
    "database or disk is full",
    "disk I/O error",
    "DefaultCPUAllocator",
)
"""What such errors say, where libraries hand on no more than the words: safetensors, torch, processes that load."""


def of_surroundings(error: BaseException | None) -> bool:
    """Whether an error, or one that it comes from, is of the machine: the same may well succeed another time.

    >>> of_surroundings(OSError(28, "No space left on device")), of_surroundings(ValueError("the loss is nan"))
    (True, False)
    """
    while error is not None:
        out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch's own
        if out_of_memory or (isinstance(error, OSError) and error.errno in CODES):
            return True
        if primary_code(error) in OF_SQLITE or any(words in str(error) for words in WORDS):
            return True
        error = error.__cause__
    return False


def primary_code(error: BaseException) -> int | None:
    """SQLite's number of an error, without what it says in detail; None where it is none of SQLite's."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
