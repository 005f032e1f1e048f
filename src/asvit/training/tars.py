"""Images in tar files as a list: any of them by number, from any process.

A stream of tar files cannot be resumed within an epoch; an index of members can, for one pass over the headers.
"""

import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from asvit.errors import UserError, reason
from asvit.images import ARRAYS, RASTER


@dataclass(frozen=True)
class TarImage:
    """An image in a tar file."""

    tar: Path
    name: str
    offset: int
    size: int
    label: int | None
    """What the member with the same key and suffix ``.cls`` says, as in WebDataset shards."""

    @property
    def folder(self) -> str:
        """Name of the folder it is in."""
        return PurePosixPath(self.name).parent.name

    @property
    def suffix(self) -> str:
        """Suffix of the name, from its last dot on."""
        return PurePosixPath(self.name).suffix

    def read(self) -> bytes:
        """Bytes of the image file."""
        with open(self.tar, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def key_of(name: str) -> str:
    """What the members of one WebDataset sample share: the name up to the first dot after the last slash.

    >>> key_of("a.b/c.mask.png"), key_of("a.b/c.cls")
    ('a.b/c', 'a.b/c')
    """
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def index(path: Path) -> list[TarImage]:
    """Every image of an uncompressed tar file, in its order.

    Raises:
        UserError: the file is damaged, or a label is not a number.
    """
    images: list[tuple[str, int, int]] = []
    labels: dict[str, int] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                suffix = PurePosixPath(name).suffix.lower()
                if not member.isreg():
                    continue
                if suffix in RASTER | ARRAYS:
                    images.append((name, member.offset_data, member.size))
                elif suffix == ".cls" and (file := tar.extractfile(member)) is not None:
                    labels[key_of(name)] = int(file.read())
        end = max((offset + size for _, offset, size in images), default=0)
        if end > path.stat().st_size:
            raise tarfile.ReadError("unexpected end of data")
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        raise UserError(
            f"cannot read the tar file {path}: {reason(error)}; expected a whole one, not compressed"
        ) from error
    return [TarImage(path, *image, labels.get(key_of(image[0]))) for image in images]
