"""Where labelled images come from: folders, tar files, WebDataset shards, Hugging Face, torchvision, digits.

Every source is a list that can be read in any order, by any process: so an epoch can be resumed at any image.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asvit.contents import Contents, File, Glance, contents_of, look_into, spread
from asvit.errors import UserError, from_extra, reason
from asvit.images import ARRAYS, RASTER, Normalisation, decode
from asvit.training.settings import DIGITS, ImageData
from asvit.training.statistics import normalisation_for
from asvit.training.tars import TarImage, index, key_of
from asvit.units import ValueRange, count

Split = Literal["train", "val"]
SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "validation", "valid", "test"),
}
KINDS = "a folder or tar file with train and val, wds:FOLDER, hf:NAME, torch:NAME, or digits"


class Source(ABC):
    """A list of labelled images.

    Args:
        name: what it is, for messages.
        classes: names, in the order of the labels.
        contents: channels of every image, and what else is known of them.
        value_range: values of arrays that become 0 and 1; None: as their type says.
    """

    def __init__(
        self, name: str, classes: Sequence[str], contents: Contents, value_range: ValueRange | None = None
    ) -> None:
        self.name, self.contents, self.value_range = name, contents, value_range
        self.classes: tuple[str, ...] = tuple(classes)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return self.contents.channels

    @cached_property
    def normalisation(self) -> Normalisation:
        """What makes values ready for a network: ImageNet's mean and deviation, or those of arrays themselves."""
        return normalisation_for(self.contents, self.name, len(self), lambda index: self.read(index)[0])

    def with_channels(self, channels: int) -> "Source":
        """The same pictures, read in grey or in colour.

        Raises:
            UserError: they are arrays, which keep their channels.
        """
        if self.contents.arrays or channels not in (1, 3):
            raise UserError(
                f"{self.name} has {count(self.channels, 'channel')}, where {channels} are read: expected images of "
                f"{count(channels, 'channel')}"
            )
        source = copy(self)
        source.contents = replace(self.contents, channels=channels)
        return source

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int) -> tuple[Any, int]:
        """A PIL image (one or three channels) or a tensor ``C x H x W`` from 0 to 1, and its label.

        Raises:
            One of :data:`asvit.images.UNREADABLE`: the image is damaged.
        """

    @abstractmethod
    def file(self, index: int) -> str:
        """Name of an image, for messages."""


class Files(Source):
    """Image files behind one of timm's readers."""

    def __init__(
        self,
        name: str,
        reader: Any,
        classes: Sequence[str],
        *,
        in_chans: int | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        glances = look_into(_opened(reader, i) for i in spread(range(len(reader))))
        contents = contents_of(name, glances, in_chans=in_chans, value_range=value_range)
        super().__init__(name, classes, contents, value_range)
        self.reader = reader

    def __len__(self) -> int:
        return len(self.reader)

    def read(self, index: int) -> tuple[Any, int]:
        """Open and decode a file."""
        file, label = self.reader[index]
        with file:
            suffix = Path(getattr(file, "name", "")).suffix  # what is in memory is no array
            return decode(file, suffix, self.channels, self.value_range), int(label)

    def file(self, index: int) -> str:
        """Path of the file in its folder."""
        return str(self.reader.filename(index))


def _opened(reader: Any, i: int) -> File:
    """Name and suffix of a file of timm's reader, and what opens it."""
    name = str(reader.filename(i))
    return name, Path(name).suffix, lambda: reader[i][0]


class Items(Source):
    """Decoded images with labels: a data set of torchvision."""

    def __init__(self, name: str, dataset: Any, classes: Sequence[str], *, in_chans: int | None = None) -> None:
        seen = [dataset[i][0] for i in spread(range(len(dataset)))]
        glances = [Glance.of_picture(name, mode=image.mode, size=image.size) for image in seen]
        super().__init__(name, classes, contents_of(name, glances, in_chans=in_chans))
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: int) -> tuple[Any, int]:
        """An image of the data set."""
        image, label = self.dataset[index]
        return image.convert("RGB" if self.channels == 3 else "L"), int(label)

    def file(self, index: int) -> str:
        """Number in the data set."""
        return f"{self.name}[{index}]"


class TarFiles(Source):
    """Image files in tar files, with their labels."""

    def __init__(
        self,
        name: str,
        members: Sequence[TarImage],
        labels: Sequence[int],
        classes: Sequence[str],
        *,
        in_chans: int | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        glances = look_into(
            (f"{member.tar}/{member.name}", member.suffix, lambda member=member: BytesIO(member.read()))
            for member in spread(members)
        )
        contents = contents_of(name, glances, in_chans=in_chans, value_range=value_range)
        super().__init__(name, classes, contents, value_range)
        self.members, self.labels = members, labels

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> tuple[Any, int]:
        """Read and decode a member."""
        member = self.members[index]
        image = decode(BytesIO(member.read()), member.suffix, self.channels, self.value_range)
        return image, self.labels[index]

    def file(self, index: int) -> str:
        """Tar file and member."""
        member = self.members[index]
        return f"{member.tar.name}/{member.name}"


class Digits(Source):
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels (UCI): every fifth is kept for validation."""

    def __init__(self, split: Split) -> None:
        with from_extra("train"):
            from sklearn.datasets import load_digits
        digits: Any = load_digits()
        contents = Contents(channels=1, size=(8, 8))
        super().__init__(f"digits, {split}", [str(digit) for digit in digits.target_names], contents)
        held_out = np.arange(len(digits.target)) % 5 == 4
        chosen = held_out if split == "val" else ~held_out
        self.images: Float[Tensor, "n 1 8 8"] = torch.from_numpy(digits.images[chosen].astype(np.float32) / 16)[:, None]
        self.labels = digits.target[chosen]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> tuple[Float[Tensor, "channels H W"], int]:
        """One digit."""
        return self.images[index], int(self.labels[index])

    def file(self, index: int) -> str:
        """Number in the data set."""
        return f"digit {index}"


def open_data(data: ImageData, split: Split) -> Source:
    """Images of one split of a data set.

    Raises:
        UserError: there is nothing of that kind, a class is empty, or there are fewer than two.
    """
    kind, colon, name = data.data.partition(":")
    match kind if colon else "":
        case "wds":
            source = _shards(Path(name), split, data)
        case "hf":
            source = _hugging_face(name, split, data)
        case "torch":
            source = _torchvision(name, split, data)
        case _:
            source = Digits(split) if data.data == DIGITS else _part(Path(data.data), split, data)
    if len(source) == 0:
        raise UserError(f"{source.name} has no images: expected {KINDS}")
    if len(source.classes) < 2:
        raise UserError(f"{source.name} has a single class, {', '.join(source.classes)}: expected two or more")
    return source


def open_both(data: ImageData) -> tuple[Source, Source]:
    """Training and validation images of a data set, of the same classes and channels."""
    train, val = open_data(data, "train"), open_data(data, "val")
    check_classes(train, val)
    return train, val


def check_classes(train: Source, val: Source) -> None:
    """Refuse a validation set of other classes or channels."""
    if train.channels != val.channels:
        raise UserError(
            f"{train.name} has {train.channels} channels, {val.name} has {val.channels}: expected the same in both"
        )
    missing, more = set(train.classes) - set(val.classes), set(val.classes) - set(train.classes)
    if train.classes != val.classes:
        raise UserError(
            f"the classes of {train.name} and {val.name} differ (only in the first: {_few(missing)}; only in the "
            f"second: {_few(more)}): expected the same folders in both, or for shards a classes.txt that names all"
        )


def _few(names: set[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (", ..." if len(names) > 5 else "") if names else "none"


def _part(root: Path, split: Split, data: ImageData) -> Source:
    """Images of a split in a folder or tar file, whose part for it is known by its name."""
    names = SPLIT_NAMES[split]
    if not root.exists():
        raise UserError(f"there is no {root}: expected {KINDS}")
    if root.is_file():
        members = index(root)
        for name in names:
            if any(member.name.startswith(f"{name}/") for member in members):
                return _tar(f"{root}/{name}", [m for m in members if m.name.startswith(f"{name}/")], data)
    for name in names:
        if (root / name).is_dir():
            return _folder(root / name, data)
        if (root / f"{name}.tar").is_file():
            return _tar(str(root / f"{name}.tar"), index(root / f"{name}.tar"), data)
    raise UserError(f"there is no {names[0]} or {names[1]} folder or tar file in {root}: expected {KINDS}")


def _folder(path: Path, data: ImageData) -> Files:
    from timm.data.readers.reader_image_folder import ReaderImageFolder

    try:
        reader: Any = ReaderImageFolder(str(path), input_key=";".join(sorted(RASTER | ARRAYS)))
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"cannot read images in {path}: {reason(error)}; expected one folder of images a class"
        ) from error
    with_images = {Path(reader.filename(i)).parts[0] for i in range(len(reader))}
    empty = sorted(folder.name for folder in path.iterdir() if folder.is_dir() and folder.name not in with_images)
    if empty:
        raise UserError(f"{path} has no images of the class {empty[0]}: add some or remove the folder")
    classes = sorted(reader.class_to_idx, key=reader.class_to_idx.__getitem__)
    return Files(str(path), reader, classes, in_chans=data.in_chans, value_range=data.value_range)


def _tar(name: str, members: Sequence[TarImage], data: ImageData) -> TarFiles:
    """Images whose classes are the folders they are in."""
    from timm.utils.misc import natural_key

    classes = sorted(sorted({member.folder for member in members}), key=natural_key)
    label_of = {folder: label for label, folder in enumerate(classes)}
    labels = [label_of[member.folder] for member in members]
    return TarFiles(name, members, labels, classes, in_chans=data.in_chans, value_range=data.value_range)


def _shards(root: Path, split: Split, data: ImageData) -> TarFiles:
    """WebDataset shards: labels are numbers, named in ``classes.txt`` where there is one."""
    paths: list[Path] = []
    for name in SPLIT_NAMES[split]:
        patterns = (f"{name}.tar", f"{name}[-_.0-9]*.tar", f"{name}/*.tar")
        paths = paths or sorted({path for pattern in patterns for path in root.glob(pattern)})
    if not paths:
        raise UserError(f"no shards named {SPLIT_NAMES[split][0]}*.tar in {root}: expected WebDataset shards")
    members = [
        member for path in paths for member in index(path) if member.name == key_of(member.name) + member.suffix
    ]  # not KEY.mask.png, which belongs to KEY.jpg
    labels = [member.label for member in members if member.label is not None]
    unlabelled = next((member for member in members if member.label is None), None)
    if unlabelled is not None:
        raise UserError(f"{unlabelled.tar} has no label for {unlabelled.name}: expected a .cls file beside each image")
    names = root / "classes.txt"
    count = max(labels, default=-1) + 1
    classes = names.read_text().splitlines() if names.exists() else list(map(str, range(count)))
    if len(classes) < count:
        raise UserError(
            f"{names} names {len(classes)} classes, but the labels in {root} go up to {count - 1}: add them"
        )
    name = f"{root}, {split}"
    return TarFiles(name, members, labels, classes, in_chans=data.in_chans, value_range=data.value_range)


def _hugging_face(name: str, split: Split, data: ImageData) -> Files:
    with from_extra("hf"):
        import datasets  # noqa: F401, for timm's reader, which ends the process where it is missing
        from timm.data.readers.reader_hfds import ReaderHfds
    reader: Any = None
    folder = data.data_folder
    problem: Exception | None = None
    for part in SPLIT_NAMES[split]:
        try:
            reader = ReaderHfds(name=name, root=None if folder is None else str(folder), split=part)
            break
        except (ValueError, KeyError) as error:  # the split has another name
            problem = error
        except (OSError, RuntimeError) as error:
            problem = error
            break
    if reader is None:
        raise UserError(f"cannot open the {split} images of hf:{name}: {problem}") from problem
    if not reader.class_to_idx:
        raise UserError(f"hf:{name} does not name its classes: expected a column label of the type ClassLabel")
    classes = sorted(reader.class_to_idx, key=reader.class_to_idx.__getitem__)
    return Files(f"hf:{name}, {split}", reader, [str(c) for c in classes], in_chans=data.in_chans)


def _torchvision(name: str, split: Split, data: ImageData) -> Items:
    from timm.data.dataset_factory import create_dataset

    folder = data.data_folder or Path("data")
    try:
        dataset: Any = create_dataset(
            f"torch/{name}", root=str(folder), split="train" if split == "train" else "validation"
        )
    except (RuntimeError, AssertionError, OSError, TypeError) as error:
        raise UserError(
            f"cannot open torch:{name} in {folder}: {reason(error)}; expected a data set that torchvision has "
            "downloaded there (--data-folder)"
        ) from error
    classes = getattr(dataset, "classes", None)
    if classes is None:
        raise UserError(f"torch:{name} does not name its classes: export it to folders instead")
    return Items(f"torch:{name}, {split}", dataset, [str(c) for c in classes], in_chans=data.in_chans)
