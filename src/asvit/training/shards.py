"""WebDataset shards: tar files in which an image and its label share a name."""

from pathlib import Path

from asvit.errors import UserError, reason
from asvit.listing import SPLIT_NAMES, Skipped, Split, is_leftover
from asvit.training.folders import TarFiles
from asvit.training.settings import ImageData
from asvit.training.source import MOST_CLASSES
from asvit.training.tars import TarImage, TarIndex, index

NAMES = "classes.txt"
OTHER_PART = "belonging to another image with a label"


def shard_split(root: Path, split: Split, data: ImageData) -> TarFiles:
    """Images of a split in shards. Labels are numbers, named in ``classes.txt`` where there is one.

    Raises:
        UserError: there are no shards, an image has no label, or a label no name.
    """
    paths = shards(root, split)
    members: list[TarImage] = []
    labels: list[int] = []
    skipped = Skipped()
    for path in paths:
        held = index(path, labelled=True)
        skipped.update(held.skipped())
        for member in held.images:
            label = _label_of(member, held)
            if label is None:
                skipped.add(OTHER_PART, member.name)
            else:
                members.append(member)
                labels.append(label)
    number = max(labels, default=-1) + 1
    classes = class_names(root / NAMES) if (root / NAMES).is_file() else list(map(str, range(number)))
    if len(classes) < number:
        raise UserError(
            f"{root / NAMES} names {len(classes)} classes, but the labels in {root} go up to {number - 1}: add them"
        )
    name = f"{root}, {split}"
    return TarFiles(
        name, members, labels, classes, in_chans=data.in_chans, value_range=data.value_range, skipped=skipped
    )


def shards(root: Path, split: Split) -> list[Path]:
    """Shards of a split, in order.

    Raises:
        UserError: there are none.
    """
    for name in SPLIT_NAMES[split]:
        patterns = (f"{name}.tar", f"{name}[-_.0-9]*.tar", f"{name}/*.tar")
        try:
            found = {path for pattern in patterns for path in root.glob(pattern)}
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read the folder {root}: {reason(error)}; expected WebDataset shards") from error
        paths = sorted(path for path in found if path.is_file() and not is_leftover(path.name))
        if paths:
            return paths
    raise UserError(f"no shards named {SPLIT_NAMES[split][0]}*.tar in {root}: expected WebDataset shards")


def _label_of(member: TarImage, held: TarIndex) -> int | None:
    """Label of an image: that of the same name, whatever dots are in it.

    None for a.mask.png, which belongs to a.jpg, whose label is a.cls.

    Raises:
        UserError: it has none.
    """
    name = member.name.removesuffix(member.suffix)
    if name in held.labels:
        return held.labels[name]
    folder, slash, file = name.rpartition("/")
    while "." in file:
        file = file.rpartition(".")[0]
        if folder + slash + file in held.labels:
            return None
    raise UserError(f"{member.tar} has no label for {member.name}: expected a .cls file beside each image")


def class_names(path: Path) -> list[str]:
    """Names of classes, a line each; without a byte order mark and without empty lines at the end.

    Raises:
        UserError: it cannot be read, a name in the middle is missing, or two are the same.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {reason(error)}; expected a name a line, in UTF-8") from error
    names = [line.strip() for line in text.rstrip().split("\n")]
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name:
            raise UserError(f"line {number} of {path} is empty: expected the name of class {number - 1}")
        if name in first:
            raise UserError(f"lines {first[name]} and {number} of {path} are both {name}: expected different names")
        first[name] = number
    if len(names) > MOST_CLASSES:
        raise UserError(f"{path} names {len(names):,} classes: expected at most {MOST_CLASSES:,}")
    return names
