"""Files that users name: opened so that no reader waits for ever or takes more than is there; and what is no folder.

Needs no torch.
"""

import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path
from shlex import quote

LARGE = 2**16
"""Bytes to read at once from which on it matters whether a file has so many."""

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
}
"""First bytes of compressed files, and what compressed them."""


class WithinFile(BufferedReader):
    """A file of which decoders get what is there: for the length that a damaged header says, they would take memory."""

    def __init__(self, file: FileIO) -> None:
        super().__init__(file)
        self.size = os.fstat(file.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """So many bytes, or those that are left."""
        if size is not None and size > LARGE:
            size = min(size, max(0, self.size - self.tell()))
        return super().read(size)


def open_regular(path: Path) -> WithinFile:
    """Open a regular file to read.

    Raises:
        OSError: there is no such file, or it is a folder.
        ValueError: it is a pipe or a device, whose reader might wait for ever, or its name has a NUL.
    """
    file = FileIO(path, opener=_without_waiting)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("it is no regular file, but a pipe or a device")
    return WithinFile(file)


def _without_waiting(name: str | Path, flags: int) -> int:
    # A named pipe would be opened only when somebody writes to it.
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def no_folder(path: Path) -> str:
    """What is there where a folder was expected.

    >>> no_folder(Path("missing"))
    'there is no folder missing'
    """
    return compressed(path) or (f"{path} is a file, not a folder" if path.is_file() else f"there is no folder {path}")


def compressed(path: Path) -> str | None:
    """Says of a compressed file how it is unpacked, which its first bytes tell; None: it is another file, or none."""
    try:
        with open_regular(path) as file:
            head = file.read(max(map(len, _COMPRESSED)))
    except (OSError, ValueError):
        return None
    kind = next((kind for magic, kind in _COMPRESSED.items() if head.startswith(magic)), None)
    if kind is None:
        return None
    name = quote(str(path))
    how = {"zip": f"unzip {name} -d FOLDER", "7z": f"7z x {name} -oFOLDER"}.get(kind, f"tar -xf {name} -C FOLDER")
    return f"{path} is compressed ({kind}), which cannot be read in place: unpack it (`{how}`), and name that folder"
