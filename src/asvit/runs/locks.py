"""A lock of a folder itself, which nobody can delete away as they can a file in it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that is locked cannot be deleted
    fcntl = None

UNSUPPORTED = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What file systems of a network say, which lock only what can be written."""


class TakenError(Exception):
    """Another process holds the lock."""


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Hold the lock of a folder, as far as its file system has locks of folders.

    Raises:
        TakenError: another process holds it.
        OSError: there is no such folder.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TakenError from error
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
        yield
    finally:
        # Processes that load images may still have it: closing it here would not be enough.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
