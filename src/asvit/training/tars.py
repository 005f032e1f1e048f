"""Images in tar files as a list: any of them by number, from any process.

A stream of tar files cannot be resumed within an epoch; an index of members can, for one pass over the headers.
"""

import posixpath
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from asvit.errors import UserError, reason
from asvit.files import compressed
from asvit.images.bounds import UNREADABLE, damage_named
from asvit.listing import BROKEN_LINK, IRREGULAR, LEFTOVER, Skipped, first_folder, is_leftover, why_not
from asvit.training.source import MOST_CLASSES

LABEL = ".cls"
"""End of the name of a label in WebDataset shards."""
REPLACED = "replaced by a later file of the same name"
LONGEST_LABEL = 64
"""Bytes of a label at most."""


@dataclass(frozen=True)
class TarImage:
    """An image in a tar file."""

    tar: Path
    name: str
    offset: int
    size: int

    @property
    def suffix(self) -> str:
        """Suffix of the name, from its last dot on."""
        return PurePosixPath(self.name).suffix

    def read(self) -> bytes:
        """Bytes of the image file."""
        with open(self.tar, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class TarIndex:
    """What a tar file holds."""

    images: tuple[TarImage, ...]
    """Its images, in its order."""
    labels: dict[str, int]
    """What files that end in ``.cls`` say, by their names without that end; empty unless they were asked for."""
    left_out: tuple[tuple[str, str], ...]
    """Reason and name of what is no image."""

    @property
    def names(self) -> list[str]:
        """Paths of the images."""
        return [image.name for image in self.images]

    def skipped(self, above: str = "") -> Skipped:
        """What was left out: below a folder, or in one that holds no images, such as ``__MACOSX``."""
        folders = {first_folder(name) for name in self.names}
        skipped = Skipped()
        for why, name in self.left_out:
            if name.startswith(above) or first_folder(name) not in folders:
                skipped.add(why, name)
        return skipped


def index(path: Path, *, labelled: bool = False) -> TarIndex:
    """Find every image of an uncompressed tar file.

    Args:
        path: tar file.
        labelled: whether files that end in ``.cls`` are labels, as in WebDataset shards.

    Raises:
        UserError: the file is damaged, or a label is not a number.
    """
    images: dict[str, TarImage] = {}
    labels: dict[str, int] = {}
    links: dict[str, str] = {}
    left_out: list[tuple[str, str]] = []
    try:
        with damage_named(), tarfile.open(path, "r:") as tar:
            for member in _members(tar, path.stat().st_size):
                name = posixpath.normpath(member.name)
                if member.isdir():
                    if any(map(is_leftover, PurePosixPath(name).parts)):
                        left_out.append((LEFTOVER, name))
                elif labelled and name.endswith(LABEL) and member.isreg() and why_not(name) != LEFTOVER:
                    file = tar.extractfile(member)
                    labels[name.removesuffix(LABEL)] = _label(file.read(LONGEST_LABEL + 1) if file else b"", name, path)
                elif (why := why_not(name)) is not None:
                    left_out.append((why, name))
                elif member.issym() or member.islnk():
                    above = posixpath.dirname(name) if member.issym() else ""
                    links[name] = posixpath.normpath(posixpath.join(above, member.linkname))
                elif not member.isreg() or member.issparse():
                    left_out.append((IRREGULAR, name))
                else:
                    if name in images:
                        left_out.append((REPLACED, name))
                    images[name] = TarImage(path, name, member.offset_data, member.size)
    except UserError:
        raise
    except UNREADABLE as error:
        raise UserError(
            compressed(path) or f"cannot read the tar file {path}: {reason(error)}; expected a whole one"
        ) from error
    for name in links:
        target = _followed(name, links)
        if target in images:
            images[name] = replace(images[target], name=name)
        else:
            left_out.append((BROKEN_LINK, name))
    return TarIndex(tuple(images.values()), labels, tuple(left_out))


def _members(tar: tarfile.TarFile, size: int) -> Iterator[tarfile.TarInfo]:
    """Members one after the other; a damaged header may lead back, round and round."""
    last = -1
    for member in tar:
        if member.size < 0 or member.offset <= last:
            raise tarfile.ReadError("a header leads back")
        if member.isreg() and member.offset_data + member.size > size:
            raise tarfile.ReadError("unexpected end of data")
        last = member.offset
        yield member
    _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Refuse a tar file whose mark of the end is not where its last member ends, or is not its end.

    At a damaged header, and where the file is cut off, tarfile ends its list of members without a word.
    """
    file: Any = tar.fileobj
    file.seek(tar.offset)
    mark = file.read(tarfile.BLOCKSIZE)
    if not mark:
        raise tarfile.ReadError("it ends without the mark of the end")
    if len(mark) < tarfile.BLOCKSIZE or any(mark):
        raise tarfile.ReadError(f"no header and no end at byte {tar.offset:,}")
    while block := file.read(2**20):
        if block.count(0) < len(block):
            raise tarfile.ReadError("data behind the mark of the end, such as a second tar file")


def _followed(name: str, links: dict[str, str]) -> str:
    """Where a link leads in the end; one in a circle leads to a link."""
    for _ in links:
        if name not in links:
            break
        name = links[name]
    return name


def _label(content: bytes, name: str, tar: Path) -> int:
    text = content.decode("utf-8-sig", errors="replace").strip()
    if re.fullmatch(r"[0-9]{1,18}", text) is None or int(text) >= MOST_CLASSES:
        shown = text if len(text) <= LONGEST_LABEL else f"{text[:20]}..."
        raise UserError(
            f"{name} in {tar} says {shown!r}: expected labels that are whole numbers from 0 to {MOST_CLASSES - 1:,}; "
            "names of classes stand in classes.txt, a line each"
        )
    return int(text)
