"""Which files below a folder are images, by their names; and which folder is which part of a data set. Needs no torch.

One rule for folders, tar files, shards and ``--images``. What is left out is counted by reason, never in silence.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal
from unicodedata import normalize

from asvit.errors import UserError, harmless, reason
from asvit.files import no_folder
from asvit.units import count

RASTER = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".gif"})
ARRAYS = frozenset({".npy", ".tif", ".tiff"})
NOT_READ = frozenset(
    {".heic", ".heif", ".avif", ".jp2", ".j2k", ".jpx", ".jxl", ".svg", ".eps", ".psd", ".ico", ".tga", ".exr", ".hdr"}
    | {".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw"}
    | {".dcm", ".nii", ".npz", ".mat", ".h5", ".hdf5", ".fits"}
)
"""Ends of names of other kinds of images, which have to be converted first."""

Split = Literal["train", "val"]
SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid", "test"),
}
"""Names of the part of a data set that is learned from, and of the one that is evaluated on; the first found counts."""

LEFTOVER = "left by an operating system or a tool"
NO_IMAGE = "of a kind that is no image"
OTHER_KIND = "of a kind of image that is not read, to be converted to JPEG, PNG, TIFF or .npy"
LINKED_TWICE = "linked to a folder that is read already"
BROKEN_LINK = "linked to nothing"
IRREGULAR = "no regular file"
UNNAMEABLE = "with a name that is not Unicode, or longer than any file system takes"
LONGEST = 4096
"""Characters of a path at most; in a tar file it can have any number."""

_LEFTOVERS = {
    *("__macosx", "@eadir", "@__thumb", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "lost+found", "lost.dir"),
    *("system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__pycache__"),
}


def is_leftover(name: str) -> bool:
    """Whether a file or folder is a leftover of an operating system or a tool, rather than data.

    >>> [is_leftover(name) for name in ("._cat.png", ".ipynb_checkpoints", "__MACOSX", "Thumbs.db", "cat.png")]
    [True, True, True, True, False]
    """
    return name.startswith(".") or name.lower() in _LEFTOVERS


def why_not(name: str) -> str | None:
    """Why a file is not read as an image, by its path below the data set; None where it is.

    >>> why_not("cat/1.JFIF"), why_not("cat/notes.txt"), why_not("__MACOSX/cat/1.png")
    (None, 'of a kind that is no image', 'left by an operating system or a tool')
    """
    path = PurePosixPath(name)
    if any(map(is_leftover, path.parts)):
        return LEFTOVER
    if len(name) > LONGEST or not _is_unicode(name):
        return UNNAMEABLE
    suffix = path.suffix.lower()
    if suffix in RASTER | ARRAYS:
        return None
    return OTHER_KIND if suffix in NOT_READ else NO_IMAGE


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass
class Skipped:
    """What was left out: how many of each reason, and one example.

    >>> skipped = Skipped()
    >>> skipped.add("of a kind that is no image", "a.txt")
    >>> skipped.add("of a kind that is no image", "b.txt")
    >>> str(skipped)
    'skipped: 2 of a kind that is no image, such as a.txt'
    """

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, why: str, name: str) -> None:
        """Count one file or folder."""
        self.counts[why] = self.counts.get(why, 0) + 1
        self.examples.setdefault(why, harmless(name))

    def update(self, other: "Skipped") -> None:
        """Count what another counted too."""
        for why, number in other.counts.items():
            self.counts[why] = self.counts.get(why, 0) + number
            self.examples.setdefault(why, other.examples[why])

    def __str__(self) -> str:
        """In words, by reason; empty where nothing was left out."""
        parts = [f"{number:,} {why}, such as {self.examples[why]}" for why, number in self.counts.items()]
        return "skipped: " + "; ".join(parts) if parts else ""

    def appended(self, sentence: str) -> str:
        """A sentence, and what was left out."""
        return "; ".join(filter(None, (sentence, str(self))))


@dataclass(frozen=True)
class Listing:
    """Image files below a folder."""

    root: Path
    names: tuple[str, ...]
    """Paths of the images below the folder, with slashes."""
    folders: frozenset[str]
    """Classes of the folders directly in it, but for leftovers and links to what is read already."""
    skipped: Skipped

    @property
    def paths(self) -> list[Path]:
        """Paths of the images, in order."""
        return sorted(self.root / name for name in self.names)

    @property
    def summary(self) -> str:
        """How many images, and what was left out."""
        return self.skipped.appended(f"{self.root}: {count(len(self.names), 'image')}")

    def without(self, is_left_out: Callable[[Path], bool], why: str) -> "Listing":
        """Less some of the images, which are counted as left out.

        Args:
            is_left_out: says of a path whether it is one of them.
            why: the reason.
        """
        kept, skipped = list[str](), Skipped()
        skipped.update(self.skipped)
        for name in self.names:
            if is_left_out(self.root / name):
                skipped.add(why, name)
            else:
                kept.append(name)
        return replace(self, names=tuple(kept), skipped=skipped)


def list_images(root: Path) -> Listing:
    """Find the images below a folder. Links are followed; a folder is read once, so that loops end.

    Raises:
        UserError: there is no such folder, or it cannot be read.
    """
    names: list[str] = []
    folders: set[str] = set()
    skipped = Skipped()
    # A link to a folder above would bring in other parts of a data set, if not the whole disk.
    seen = {_identity(folder) for folder in _resolved(root).parents}
    real, linked = [""], list[str]()
    while real or linked:
        # Folders come before links to them: then an image has the class of the folder that it is in.
        folder = real.pop() if real else linked.pop(0)
        identity = _identity(root / folder)
        if identity in seen:
            skipped.add(LINKED_TWICE, folder)
            continue
        seen.add(identity)
        if folder and "/" not in folder:
            folders.add(class_of(folder))
        subfolders: list[str] = []
        for entry in _entries(root / folder):
            name = f"{folder}/{entry.name}" if folder else entry.name
            match _kind(entry):
                case "leftover":
                    skipped.add(LEFTOVER, name)
                case "folder":
                    (linked if entry.is_symlink() else subfolders).append(name)
                case "file" if (why := why_not(name)) is not None:
                    skipped.add(why, name)
                case "file":
                    names.append(name)
                case _:
                    skipped.add(BROKEN_LINK if entry.is_symlink() else IRREGULAR, name)
        real += reversed(subfolders)
    return Listing(root, tuple(names), frozenset(folders), skipped)


def images_in(path: Path) -> Listing:
    """The images below a folder, and what was left out.

    Raises:
        UserError: there is no such folder, or no image in it.
    """
    return some(list_images(path))


def some(listing: Listing) -> Listing:
    """The same, of which nothing may be empty.

    Raises:
        UserError: there is no image.
    """
    if not listing.names:
        kinds = ", ".join(sorted(RASTER | ARRAYS))
        raise UserError(listing.skipped.appended(f"no images in {listing.root}: expected files that end in {kinds}"))
    return listing


def _resolved(root: Path) -> Path:
    try:
        if root.is_dir():
            return root.resolve()
    except (OSError, RuntimeError) as error:
        raise _cannot_read(root, error) from error
    raise UserError(f"{no_folder(root)}: expected one with images")


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise _cannot_read(folder, error) from error
    return status.st_dev, status.st_ino


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise _cannot_read(folder, error) from error


def _cannot_read(folder: Path, error: Exception) -> UserError:
    return UserError(
        f"cannot read the image folder {folder}: {reason(error)}; choose another folder, or make it readable"
    )


def _kind(entry: os.DirEntry[str]) -> Literal["leftover", "folder", "file", "other"]:
    if is_leftover(entry.name):
        return "leftover"
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
    except OSError:  # a link to itself
        return "other"


def natural_key(name: str) -> list[str | int]:
    """Key of an order in which 2 comes before 10: timm's, so that classes have the numbers that timm gives them.

    >>> sorted(["b10", "b2", "A"], key=natural_key)
    ['A', 'b2', 'b10']
    """
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.lower())]


def in_order(names: Iterable[str]) -> list[str]:
    """Names in natural order; those that differ in case or zeros alone in that of their characters."""
    return sorted(sorted(names), key=natural_key)


def parts_among(names: Iterable[str], split: Split) -> Iterator[str]:
    """Those names that are a split's, the best first; capital letters make no difference.

    >>> list(parts_among(["cat", "Test", "val"], "val"))
    ['val', 'Test']
    """
    there = sorted(names)
    for known in SPLIT_NAMES[split]:
        yield from sorted((name for name in there if name.lower() == known), key=lambda name: name != known)


def part_of(root: Path, split: Split) -> Path | None:
    """The folder for a split in a data set; None where there is none.

    >>> part_of(Path("no such folder"), "train") is None
    True
    """
    try:
        folders = [entry.name for entry in root.iterdir() if entry.is_dir()]
    except (OSError, ValueError):  # there is no such folder, or can be none
        return None
    return next((root / name for name in parts_among(folders, split)), None)


def split_among(names: Sequence[str], split: Split) -> str | None:
    """The folder of a split among paths of images, with a slash: at the top, or below folders that hold all of them.

    >>> split_among(["photos/train/cat/1.png", "photos/val/cat/2.png"], "val")
    'photos/val/'
    """
    above = ""
    while names:
        below = [name[len(above) :] for name in names]
        folders = {first_folder(name) for name in below if "/" in name}
        part = next(parts_among(folders, split), None)
        if part is not None:
            return f"{above}{part}/"
        if len(folders) != 1 or any("/" not in name for name in below):
            return None
        above += f"{folders.pop()}/"
    return None


def is_class(above: str, names: Iterable[str]) -> bool:
    """Whether what :func:`split_among` has found is a class of that name, since there are others beside it.

    >>> is_class("train/", ["train/1.png", "bus/2.png"]), is_class("train/", ["train/cat/1.png", "val/cat/2.png"])
    (True, False)
    """
    base = above.removesuffix("/").rpartition("/")[0]
    parts = {part for known in SPLIT_NAMES.values() for part in known}
    return any(first_folder(name.removeprefix(f"{base}/")).lower() not in parts for name in names)


def first_folder(name: str) -> str:
    """The first folder of a path, as it is written there.

    >>> first_folder("cat/indoor/1.png")
    'cat'
    """
    return name.partition("/")[0]


def class_of(name: str) -> str:
    """The class of an image in a split: the first folder of its path, its accents in Unicode's composed form.

    >>> class_of("cafe\N{COMBINING ACUTE ACCENT}/1.png")
    'café'
    """
    # A Mac may have written them decomposed: the two look the same, and are one class.
    return normalize("NFC", first_folder(name))


def classes_of(names: Sequence[str], place: str) -> list[str]:
    """Classes of images in a split, in order: the first folder of each path.

    Args:
        names: paths of the images below the split.
        place: the split, for messages.

    Raises:
        UserError: images lie directly in the split, where they have no class.

    >>> classes_of(["dog/1.png", "cat/indoor/2.png"], "photos/train")
    ['cat', 'dog']
    """
    direct = [name for name in names if "/" not in name]
    if direct and len(direct) == len(names):
        raise UserError(
            f"{place} has no class folders: its {count(len(direct), 'image')} lie directly in it, such as {direct[0]}; "
            "expected a folder for each class, as in the other part: move every image into the folder of its class"
        )
    if direct:
        raise UserError(
            f"{count(len(direct), 'image')} in {place} lie{'s' * (len(direct) == 1)} beside the class folders, such as "
            f"{direct[0]}: move it into the folder of its class, or away"
        )
    return in_order({class_of(name) for name in names})
