"""WebDataset shards as a list: every image of some tar files by number.

Streams of shards cannot be resumed within an epoch; an index of the members can, and costs one pass over the headers.
"""

import os
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from asvit.errors import UserError
from asvit.photos import ARRAYS, RASTER


class Shards:
    """Images ``KEY.jpg`` with labels ``KEY.cls`` (a number in ASCII) in tar files."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Index the members of every file.

        Raises:
            UserError: a file is damaged, or an image has no label.
        """
        self.paths = list(paths)
        found: list[tuple[int, int, int, int]] = []
        self.names: list[str] = []
        for shard, path in enumerate(self.paths):
            for name, offset, size, label in _members(path):
                found.append((shard, offset, size, label))
                self.names.append(name)
        table = np.array(found, dtype=np.int64).reshape(-1, 4)
        self.shard, self.offset, self.size, self.labels = table.T
        self._open: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Shard and member."""
        return f"{self.paths[self.shard[index]].name}/{self.names[index]}"

    def read(self, index: int) -> tuple[bytes, str, int]:
        """Content, suffix and label of an image."""
        content = os.pread(self._descriptor(int(self.shard[index])), int(self.size[index]), int(self.offset[index]))
        return content, PurePosixPath(self.names[index]).suffix, int(self.labels[index])

    def _descriptor(self, shard: int) -> int:
        """File descriptor of this process; another process opens its own."""
        key = os.getpid(), shard
        if key not in self._open:
            self._open[key] = os.open(self.paths[shard], os.O_RDONLY)
        return self._open[key]


def _members(path: Path) -> list[tuple[str, int, int, int]]:
    """Name, offset, size and label of every image of a tar file."""
    images: dict[str, tuple[str, int, int]] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                key, _, suffix = member.name.rpartition(".")
                if f".{suffix.lower()}" in RASTER | ARRAYS:
                    images[key] = member.name, member.offset_data, member.size
                elif suffix == "cls" and (file := tar.extractfile(member)) is not None:
                    labels[key] = int(file.read())
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        raise UserError(f"cannot read the shard {path}: {error}; expected a whole, uncompressed tar file") from error
    unlabelled = images.keys() - labels.keys()
    if unlabelled:
        raise UserError(f"{path} has no label for {min(unlabelled)}: expected a .cls file beside each image")
    return [(*images[key], labels[key]) for key in images]
