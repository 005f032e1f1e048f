"""Where labelled images come from: folders, tar files, WebDataset shards, Hugging Face, torchvision, digits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asvit.contents import Contents, Glance, contents_of, spread
from asvit.errors import UserError, from_extra, reason
from asvit.images import as_mode, upright_size
from asvit.listing import SPLIT_NAMES, Split, first_folder, is_class, parts_among, split_among
from asvit.training.folders import FolderFiles, TarFiles, folder_split, tar_split
from asvit.training.hugging_face import hugging_face_split
from asvit.training.settings import DIGITS, ImageData
from asvit.training.shards import shard_split
from asvit.training.source import Source
from asvit.training.tars import index

KINDS = "a folder or tar file with train and val, wds:FOLDER, hf:NAME, torch:NAME, or digits"


class Items(Source):
    """Decoded images with labels: a data set of torchvision."""

    def __init__(self, name: str, dataset: Any, classes: Sequence[str], data: ImageData) -> None:
        seen = [dataset[i][0] for i in spread(range(len(dataset)))]
        glances = [Glance.of_picture(name, mode=image.mode, size=upright_size(image)) for image in seen]
        contents = contents_of(name, glances, in_chans=data.in_chans, value_range=data.value_range)
        super().__init__(name, classes, contents)
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: int) -> tuple[Any, int]:
        """An image of the data set."""
        image, label = self.dataset[index]
        return as_mode(image, "RGB" if self.channels == 3 else "L"), int(label)

    def file(self, index: int) -> str:
        """Number in the data set."""
        return f"{self.name}[{index}]"


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
    if not (name if kind in ("wds", "hf", "torch") else data.data).strip():
        raise UserError(f"cannot read the data set {data.data!r}, which names nothing: expected {KINDS}")
    match kind if colon else "":
        case "wds":
            source = shard_split(Path(name), split, data)
        case "hf":
            source = hugging_face_split(name, split, data)
        case "torch":
            source = _torchvision(name, split, data)
        case _:
            source = _digits(split, data) if data.data == DIGITS else _part(Path(data.data), split, data)
    if len(source) == 0:
        raise UserError(source.skipped.appended(f"{source.name} has no images: expected {KINDS}"))
    if len(source.classes) < 2:
        only = ", ".join(source.classes)
        if isinstance(source, FolderFiles | TarFiles):
            raise UserError(
                f"{source.name} has a single class folder, {only}: expected one for each class, two or more, named as "
                "in the other part: move every image into the folder of its class"
            )
        raise UserError(f"{source.name} has a single class, {only}: expected two or more")
    return source


def _digits(split: Split, data: ImageData) -> Digits:
    if data.in_chans not in (None, 1):
        raise UserError(f"the digits have 1 channel, not {data.in_chans}: give --in-chans 1, or leave it out")
    return Digits(split)


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
    try:
        if not root.exists():
            raise UserError(f"there is no {root}: expected {KINDS}")
        entries = [] if root.is_file() else sorted(entry.name for entry in root.iterdir())
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"cannot read {root}: {reason(error)}; expected {KINDS}") from error
    if root.is_file():
        held = index(root)
        if (above := split_among(held.names, split)) is not None:
            return tar_split(f"{root}/{above.removesuffix('/')}", held, above, data)
        entries = sorted({first_folder(name) for name in held.names})
    else:
        for name in parts_among((entry.removesuffix(".tar") for entry in entries), split):
            if (root / name).is_dir():
                return folder_split(root / name, data)
            if (tar := root / f"{name}.tar").is_file():
                held = index(tar)
                above = split_among(held.names, split)
                # Trains beside buses are a class.
                above = "" if above is None or is_class(above, held.names) else above
                return tar_split(str(tar), held, above, data)
    names, there = SPLIT_NAMES[split], ", ".join(entries[:10]) + ", ..." * (len(entries) > 10)
    raise UserError(
        f"there is no {names[0]} or {names[1]} folder or tar file in {root}, only {there or 'nothing'}: expected "
        f"{KINDS}"
    )


def _torchvision(name: str, split: Split, data: ImageData) -> Items:
    from timm.data.dataset_factory import create_dataset

    folder = data.data_folder or Path("data")
    try:
        dataset: Any = create_dataset(
            f"torch/{name}", root=str(folder), split="train" if split == "train" else "validation"
        )
    except (RuntimeError, AssertionError, OSError, TypeError, ValueError, LookupError) as error:
        raise UserError(
            f"cannot open torch:{name} in {folder}: {reason(error)}; expected a data set that torchvision has "
            "downloaded there (--data-folder)"
        ) from error
    classes = getattr(dataset, "classes", None)
    if classes is None:
        raise UserError(f"torch:{name} does not name its classes: export it to folders instead")
    return Items(f"torch:{name}, {split}", dataset, [str(c) for c in classes], data)
