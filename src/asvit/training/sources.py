"""Where labelled images come from: folders, tar files, WebDataset shards, Hugging Face, torchvision, digits.

Every source is a list that can be read in any order, by any process: so an epoch can be resumed at any image.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import torch
from torch import Tensor

from asvit.errors import UserError
from asvit.photos import ARRAYS, RASTER, UNREADABLE, load_array, open_array, open_raster
from asvit.training.shards import Shards

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
        channels: of every image.
    """

    def __init__(self, name: str, classes: Sequence[str], channels: int) -> None:
        self.name, self.channels = name, channels
        self.classes: tuple[str, ...] = tuple(classes)

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int) -> tuple[Any, int]:
        """A PIL image (one or three channels) or a tensor ``C x H x W`` from 0 to 1, and its label.

        Raises:
            One of :data:`asvit.photos.UNREADABLE`: the image is damaged.
        """

    @abstractmethod
    def file(self, index: int) -> str:
        """Name of an image, for messages."""


class Files(Source):
    """Image files behind one of timm's readers, all of them or some."""

    def __init__(self, name: str, reader: Any, classes: Sequence[str], channels: int, chosen: Sequence[int]) -> None:
        super().__init__(name, classes, channels)
        self.reader, self.chosen = reader, np.asarray(chosen)

    def __len__(self) -> int:
        return len(self.chosen)

    def read(self, index: int) -> tuple[Any, int]:
        """Open and decode a file."""
        file, label = self.reader[int(self.chosen[index])]
        with file:
            return decode(file, Path(self.file(index)).suffix, self.channels), int(label)

    def file(self, index: int) -> str:
        """Path of the file in its folder or tar file."""
        return str(self.reader.filename(int(self.chosen[index])))


class Items(Source):
    """Decoded images with labels: a data set of torchvision."""

    def __init__(self, name: str, dataset: Any, classes: Sequence[str], channels: int) -> None:
        super().__init__(name, classes, channels)
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


class ShardFiles(Source):
    """Image files in WebDataset shards."""

    def __init__(self, name: str, shards: Shards, classes: Sequence[str], channels: int) -> None:
        super().__init__(name, classes, channels)
        self.shards = shards

    def __len__(self) -> int:
        return len(self.shards)

    def read(self, index: int) -> tuple[Any, int]:
        """Read and decode a member of a shard."""
        content, suffix, label = self.shards.read(index)
        return decode(BytesIO(content), suffix, self.channels), label

    def file(self, index: int) -> str:
        """Shard and key."""
        return self.shards.name(index)


class Digits(Source):
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels (UCI): every fifth is kept for validation."""

    def __init__(self, split: Split) -> None:
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise UserError("the digits come with scikit-learn: install it with `pip install scikit-learn`") from error
        digits: Any = load_digits()
        super().__init__(f"digits, {split}", [str(digit) for digit in digits.target_names], 1)
        held_out = np.arange(len(digits.target)) % 5 == 4
        chosen = held_out if split == "val" else ~held_out
        self.images: Tensor = torch.from_numpy(digits.images[chosen].astype(np.float32) / 16)[:, None]
        self.labels = digits.target[chosen]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> tuple[Tensor, int]:
        """One digit."""
        return self.images[index], int(self.labels[index])

    def file(self, index: int) -> str:
        """Number in the data set."""
        return f"digit {index}"


def decode(file: BinaryIO, suffix: str, channels: int) -> Any:
    """An image file: a PIL image of one or three channels, or of an array file a tensor from 0 to 1."""
    if suffix.lower() in ARRAYS:
        return open_array(file, suffix, channels)
    if channels not in (1, 3):
        raise ValueError(f"it holds at most three channels, but the network reads {channels}")
    return open_raster(file, "RGB" if channels == 3 else "L")


def open_source(where: str, split: Split, *, folder: Path | None = None, in_chans: int | None = None) -> Source:
    """Training or validation images.

    Args:
        where: a folder or tar file with a part for each split, ``wds:FOLDER``, ``hf:NAME``, ``torch:NAME``, ``digits``.
        split: which part.
        folder: where torchvision and Hugging Face keep their files.
        in_chans: 1 for grey, 3 for colour (default: 3, or as many as the arrays have).

    Raises:
        UserError: there is nothing of that kind, a class is empty, or there are fewer than two.
    """
    kind, colon, name = where.partition(":")
    match kind if colon else "":
        case "wds":
            source = _shards(Path(name), split, in_chans)
        case "hf":
            source = _hugging_face(name, split, folder, in_chans)
        case "torch":
            source = _torchvision(name, split, folder, in_chans)
        case _:
            source = Digits(split) if where == "digits" else _files(Path(where), split, in_chans)
    if len(source) == 0:
        raise UserError(f"{source.name} has no images: expected {KINDS}")
    if len(source.classes) < 2:
        raise UserError(
            f"{source.name} has a single class, {', '.join(source.classes)}: expected two or more to tell apart"
        )
    return source


def check_classes(train: Source, val: Source) -> None:
    """Refuse a validation set of other classes or channels."""
    if train.channels != val.channels:
        raise UserError(
            f"{train.name} has {train.channels} channels, {val.name} has {val.channels}: expected the same in both"
        )
    missing, more = set(train.classes) - set(val.classes), set(val.classes) - set(train.classes)
    if missing or more:
        raise UserError(
            f"the classes of {train.name} and {val.name} differ (only in the first: {_few(missing)}; only in the "
            f"second: {_few(more)}): expected the same folders in both"
        )


def _few(names: set[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (", ..." if len(names) > 5 else "") if names else "none"


def _files(root: Path, split: Split, in_chans: int | None) -> Files:
    from timm.data.readers.reader_image_folder import ReaderImageFolder
    from timm.data.readers.reader_image_in_tar import ReaderImageInTar

    path, prefix = _part(root, split)
    try:
        if path.is_dir():
            reader: Any = ReaderImageFolder(str(path), input_key=";".join(sorted(RASTER | ARRAYS)))
            labels, index_of = [label for _, label in reader.samples], reader.class_to_idx
        else:
            reader = ReaderImageInTar(str(path), cache_tarfiles=False, cache_tarinfo=False)
            labels, index_of = reader.targets, reader.class_name_to_idx
    except (RuntimeError, ValueError, OSError) as error:  # tarfile.ReadError is an OSError
        raise UserError(f"cannot read images in {path}: {error}; expected one folder of images a class") from error
    chosen = [i for i in range(len(labels)) if reader.filename(i).startswith(prefix)]
    classes = sorted(index_of, key=index_of.__getitem__)
    found = {int(labels[i]) for i in chosen}
    empty = [name for i, name in enumerate(classes) if i not in found]
    if path.is_dir():
        with_images = {Path(reader.filename(i)).parts[0] for i in chosen}
        empty += sorted(p.name for p in path.iterdir() if p.is_dir() and p.name not in with_images)
    if empty:
        raise UserError(f"{path} has no images of the class {empty[0]}: add some or remove the folder")
    channels = in_chans or 3
    first = reader.filename(chosen[0])
    if Path(first).suffix.lower() in ARRAYS:
        try:
            channels = load_array(path / first, Path(first).suffix).shape[-1]
        except UNREADABLE as error:
            raise UserError(f"cannot read {path / first}: {error}; remove or replace the file") from error
    return Files(f"{path}{f' ({prefix})' if prefix else ''}", reader, classes, channels, chosen)


def _part(root: Path, split: Split) -> tuple[Path, str]:
    """Folder or tar file of a split, and what the names of its images begin with."""
    if root.is_file():
        return root, _prefix(root, split)
    for name in SPLIT_NAMES[split]:
        for path in (root / name, root / f"{name}.tar"):
            if path.exists():
                return path, ""
    raise UserError(f"there is no {' or '.join(SPLIT_NAMES[split][:2])} folder or tar file in {root}: expected {KINDS}")


def _prefix(path: Path, split: Split) -> str:
    import tarfile

    try:
        with tarfile.open(path) as tar:
            tops = {Path(member.name).parts[0] for member in tar}
    except (OSError, EOFError, tarfile.TarError) as error:
        raise UserError(f"cannot read the tar file {path}: {error}; expected a whole tar file") from error
    for name in SPLIT_NAMES[split]:
        if name in tops:
            return f"{name}/"
    raise UserError(f"{path} has no folder {' or '.join(SPLIT_NAMES[split][:2])}: expected one for each split")


def _shards(root: Path, split: Split, in_chans: int | None) -> ShardFiles:
    patterns = [pattern for name in SPLIT_NAMES[split] for pattern in (f"{name}*.tar", f"{name}/*.tar")]
    paths = sorted({path for pattern in patterns for path in root.glob(pattern)})
    if not paths:
        raise UserError(f"no shards named {SPLIT_NAMES[split][0]}*.tar in {root}: expected WebDataset shards")
    shards = Shards(paths)
    names = root / "classes.txt"
    if names.exists():
        classes = names.read_text().split("\n")[:-1]
    else:
        classes = [str(label) for label in range(int(shards.labels.max(initial=-1)) + 1)]
    if len(shards) and int(shards.labels.max()) >= len(classes):
        raise UserError(f"{names} names {len(classes)} classes, but {paths[0].parent} has labels up to more: add them")
    return ShardFiles(f"{root}, {split}", shards, classes, in_chans or 3)


def _hugging_face(name: str, split: Split, folder: Path | None, in_chans: int | None) -> Files:
    try:
        from timm.data.readers.reader_hfds import ReaderHfds
    except (ImportError, SystemExit) as error:
        raise UserError("hf: needs the package datasets: install it with `pip install datasets`") from error
    reader: Any = None
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
    classes = sorted(reader.class_to_idx, key=reader.class_to_idx.__getitem__)
    return Files(f"hf:{name}, {split}", reader, [str(c) for c in classes], in_chans or 3, range(len(reader)))


def _torchvision(name: str, split: Split, folder: Path | None, in_chans: int | None) -> Items:
    from timm.data.dataset_factory import create_dataset

    try:
        dataset: Any = create_dataset(
            f"torch/{name}", root=str(folder or "data"), split="train" if split == "train" else "validation"
        )
    except (RuntimeError, AssertionError, OSError, TypeError) as error:
        raise UserError(
            f"cannot open torch:{name} in {folder or 'data'}: {error}; expected a data set that torchvision has "
            "downloaded there (--data-folder)"
        ) from error
    classes = getattr(dataset, "classes", None)
    if classes is None:
        raise UserError(f"torch:{name} does not name its classes: export it to folders instead")
    return Items(f"torch:{name}, {split}", dataset, [str(c) for c in classes], in_chans or 3)
