"""Images in tar files as a list: any of them by number, from any process.

A stream of tar files cannot be resumed within an epoch; an index of members can, for one pass over the headers.
"""

import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from asvit.errors import UserError
from asvit.photos import ARRAYS, RASTER


@dataclass(frozen=True)
class Member:
    """An image in a tar file."""

    tar: Path
    name: str
    offset: int
    size: int
    label: int | None
    """What a member of the same name with suffix ``.cls`` says, as in WebDataset shards."""

    @property
    def folder(self) -> str:
        """Name of the folder it is in."""
        return PurePosixPath(self.name).parent.name


def index(path: Path) -> list[Member]:
    """Every image of an uncompressed tar file, in its order.

    Raises:
        UserError: the file is damaged, or a label is not a number.
    """
    images: list[tuple[str, int, int]] = []
    labels: dict[str, int] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                stem, _, suffix = member.name.rpartition(".")
                if f".{suffix.lower()}" in RASTER | ARRAYS:
                    images.append((member.name, member.offset_data, member.size))
                elif suffix == "cls" and (file := tar.extractfile(member)) is not None:
                    labels[stem] = int(file.read())
        end = max((offset + size for _, offset, size in images), default=0)
        if end > path.stat().st_size:
            raise tarfile.ReadError("unexpected end of data")
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        raise UserError(f"cannot read the tar file {path}: {error}; expected a whole one, not compressed") from error
    return [Member(path, *image, labels.get(image[0].rpartition(".")[0])) for image in images]


class TarReader:
    """Reads members of some tar files."""

    def __init__(self, members: Sequence[Member]) -> None:
        """Read from these."""
        self.members = members
        self._open: dict[tuple[int, Path], int] = {}

    def read(self, number: int) -> bytes:
        """Content of a member."""
        member = self.members[number]
        return os.pread(self._descriptor(member.tar), member.size, member.offset)

    def _descriptor(self, path: Path) -> int:
        """File descriptor of this process; another process opens its own."""
        key = os.getpid(), path
        if key not in self._open:
            self._open[key] = os.open(path, os.O_RDONLY)
        return self._open[key]
