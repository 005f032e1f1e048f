"""Where a data set in COCO's format keeps annotations and pictures: COCO's own layout, and those of annotation tools.

Names of folders and files may be written in any case. COCO, CVAT: ``annotations/instances_train2017.json`` with
``train2017`` or ``images/train2017``. Roboflow: ``train/_annotations.coco.json`` among the pictures. FiftyOne:
``train/labels.json`` with ``train/data``. Others: ``train.json`` with ``images``.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from asvit.contents import spread
from asvit.detection.annotations import Picture
from asvit.detection.pictures import path_of
from asvit.errors import UserError, reason
from asvit.files import no_folder
from asvit.listing import SPLIT_NAMES, Split

ANNOTATIONS = ("annotations", "annotation")
IMAGES = ("images", "data", "JPEGImages")
INSTANCES = "instances_"
"""What COCO's names of files with objects begin with; others hold key points and captions."""
SHOWN = 8
"""Names of files that a message lists."""


def find_annotations(root: Path, split: Split) -> Path:
    """The JSON file of a part of a data set.

    Args:
        root: folder of the data set.
        split: train or val; the latter may be called validation, valid or, where there is no other, test.

    Raises:
        UserError: there is none, or there are several.
    """
    expected = f"expected one JSON file for {split} in {root / 'annotations'}, such as instances_{split}2017.json"
    if not root.is_dir():
        raise UserError(f"{expected}, but {no_folder(root)}: choose a folder laid out like COCO")
    for files in candidates(root, split):
        if len(files) == 1:
            return files[0]
        if files:
            raise UserError(f"{expected}, found {listed(path.name for path in files)}: leave one of them there")
    folder = subfolder(root, *ANNOTATIONS) or root
    held = listed(path.name + "/" * path.is_dir() for path in entries(folder))
    raise UserError(
        f"{expected}, or in {root / split}, found none: {folder} holds {held}; choose a folder laid out like COCO"
    )


def candidates(root: Path, split: Split) -> Iterator[list[Path]]:
    """JSON files that may be those of a part, the likeliest group first."""
    (other,) = set(SPLIT_NAMES) - {split}
    folder = subfolder(root, *ANNOTATIONS)
    for names in ([name for name in SPLIT_NAMES[split] if name != "test"], ["test"] if split == "val" else []):
        named = [
            [path for path in json_files(place) if is_of(path.stem, names, SPLIT_NAMES[other])]
            for place in (folder, root)
            if place is not None
        ]
        for files in named[: len(named) - 1]:
            yield [path for path in files if path.stem.lower().startswith(INSTANCES)]
            yield files
        for place in filter(None, (subfolder(root, name) for name in names)):
            files = json_files(place)
            yield [path for path in files if path.name.lower() == "_annotations.coco.json"]
            yield files
        yield named[-1]


def is_of(stem: str, names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether a file's name says that it is of one part and not of the other.

    >>> is_of("instances_Train2017", ["train"], ["val"]), is_of("trainval", ["train"], ["val"])
    (True, False)
    >>> is_of("latest_train", ["train"], ["val", "test"])
    True
    """

    def says(name: str) -> bool:
        return re.search(r"(?<![a-z])test" if name == "test" else name, stem.lower()) is not None

    return any(map(says, names)) and not any(map(says, others))


def find_pictures(root: Path, file: Path, split: Split, pictures: Sequence[Picture]) -> Path:
    """The folder that names of pictures are relative to: that in which most of some of them are.

    Args:
        root: folder of the data set.
        file: its annotations.
        split: which part they are of.
        pictures: what they name.

    Raises:
        UserError: none of them is in any.
    """
    stem = file.stem[len(INSTANCES) :] if file.stem.lower().startswith(INSTANCES) else file.stem
    folders = list(dict.fromkeys(picture_folders(root, file, stem, split)))
    names = [picture.file_name for picture in spread(pictures)]
    there = {folder: sum(os.path.isfile(path_of(folder, name)) for name in names) for folder in folders}
    best = max(folders, key=lambda folder: there[folder])  # of equal ones the first
    if there[best]:
        return best
    held = listed(path.name + "/" * path.is_dir() for path in entries(root))
    raise UserError(
        f"there is no folder of images for {file}, the first of which it calls {names[0][:200]!r}: expected it in "
        f"{root / stem} or {root / 'images'}; {root} holds {held}"
    )


def picture_folders(root: Path, file: Path, stem: str, split: Split) -> Iterator[Path]:
    """Folders in which pictures may be, the likeliest first.

    Args:
        root: folder of the data set.
        file: its annotations.
        stem: what they are called.
        split: which part they are of.
    """
    (other,) = set(SPLIT_NAMES) - {split}
    bases = [root, *filter(None, (subfolder(root, name) for name in IMAGES))]
    for name in (stem, *SPLIT_NAMES[split]):
        yield from filter(None, (subfolder(base, name) for base in bases))
    yield from bases[1:]
    for base in bases:
        parts = [path for path in entries(base) if path.is_dir()]
        for part in (path for path in parts if is_of(path.name, SPLIT_NAMES[split], SPLIT_NAMES[other])):
            yield part
            yield from filter(None, (subfolder(part, name) for name in IMAGES))
    yield from (root, file.parent)
    yield from filter(None, (subfolder(file.parent, name) for name in IMAGES))


def subfolder(folder: Path, *names: str) -> Path | None:
    """The folder in a folder that has one of some names, in any case; None where there is none."""
    there = {path.name: path for path in entries(folder) if path.is_dir()}
    lower = {name.lower(): path for name, path in reversed(there.items())}
    return next((path for name in names if (path := there.get(name) or lower.get(name.lower())) is not None), None)


def json_files(folder: Path) -> list[Path]:
    """JSON files in a folder, in order."""
    return [path for path in entries(folder) if path.suffix.lower() == ".json" and path.is_file()]


def entries(folder: Path) -> list[Path]:
    """What is in a folder, in order, without what systems and tools hide."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {reason(error)}; choose another folder") from error


def listed(names: Iterator[str]) -> str:
    """Some names in one line.

    >>> listed(iter(["a", "b"])), listed(iter([])), listed(map(str, range(10)))
    ('a, b', 'nothing', '0, 1, 2, 3, 4, 5, 6, 7 and 2 more')
    """
    some = list(names)
    more = f" and {len(some) - SHOWN} more" if len(some) > SHOWN else ""
    return (", ".join(some[:SHOWN]) or "nothing") + more
