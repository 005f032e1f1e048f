"""Data sets of Hugging Face: which of their columns are the images and the labels."""

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from asvit.contents import File, contents_of, look_into, spread
from asvit.errors import UserError, from_extra, one_line
from asvit.files import open_regular
from asvit.images import decode
from asvit.listing import SPLIT_NAMES, Split
from asvit.training.settings import ImageData
from asvit.training.source import MOST_CLASSES, Source
from asvit.units import ValueRange

IMAGE_NAMES, LABEL_NAMES = ("image", "img"), ("label", "labels")
"""Names of columns that come before others of their type."""


class HuggingFace(Source):
    """A data set of Hugging Face."""

    def __init__(
        self,
        name: str,
        dataset: Any,
        image: str,
        label: str,
        *,
        in_chans: int | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        """Take a data set.

        Args:
            name: what it is, for messages.
            dataset: one split of it.
            image: column of the images, which are not decoded.
            label: column of the labels.
            in_chans: channels that are asked for.
            value_range: values of arrays that become 0 and 1; None: as their type says.

        Raises:
            UserError: a label is missing, or has no name.
        """
        classes = dataset.features[label].names
        self.dataset, self.image = dataset, image
        self.labels: list[int] = list(dataset.select_columns([label])[:][label])
        self.called = name
        for row, found in enumerate(self.labels):
            if found is None or not 0 <= found < len(classes):
                raise UserError(
                    f"the {label} of row {row} of {name} is {found}: expected one from 0 to {len(classes) - 1}; a "
                    "split without labels cannot be used"
                )
        glances = look_into(name, map(self._file, spread(range(len(self.labels)))), in_chans)
        contents = contents_of(name, glances, in_chans=in_chans, value_range=value_range)
        super().__init__(name, classes, contents, value_range)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> tuple[Any, int]:
        """Open and decode an image."""
        _, suffix, opened = self._file(index)
        with opened() as file:
            return decode(file, suffix, self.channels, self.value_range), self.labels[index]

    def file(self, index: int) -> str:
        """Path of the image, or its number in the data set."""
        return self._file(index)[0]

    def _file(self, index: int) -> File:
        found: Mapping[str, Any] = self.dataset[index][self.image] or {}
        content, path = found.get("bytes"), found.get("path")
        name = path or f"{self.called}[{index}]"
        if content:
            return name, "", lambda: BytesIO(content)
        if path:
            return name, Path(path).suffix, lambda: open_regular(Path(path))
        return name, "", lambda: BytesIO()


def hugging_face_split(name: str, split: Split, data: ImageData) -> HuggingFace:
    """Images of a split of a data set.

    Raises:
        UserError: there is none of that name, or it lacks a column of images or of labels with names.
    """
    with from_extra("hf"):
        import datasets
    dataset, title = _loaded(datasets.load_dataset, name, split, data), f"hf:{name}"
    image = _column(dataset, title, datasets.Image, IMAGE_NAMES, "images")
    label = _column(dataset, title, datasets.ClassLabel, LABEL_NAMES, "labels of the type ClassLabel")
    if len(dataset.features[label].names) > MOST_CLASSES:
        raise UserError(f"{title} has more than {MOST_CLASSES:,} classes: expected fewer")
    dataset = dataset.cast_column(image, datasets.Image(decode=False))
    reads = {"in_chans": data.in_chans, "value_range": data.value_range}
    return HuggingFace(f"{title}, {split}", dataset, image, label, **reads)


def _loaded(load_dataset: Callable[..., Any], name: str, split: Split, data: ImageData) -> Any:
    folder = None if data.data_folder is None else str(data.data_folder)
    problem: Exception | None = None
    for part in SPLIT_NAMES[split]:
        try:
            return load_dataset(name, split=part, cache_dir=folder)
        except (ValueError, KeyError) as error:  # the split has another name
            problem = error
        except Exception as error:  # of the network, of files, or of its own kinds
            problem = error
            break
    assert problem is not None
    raise UserError(f"cannot open the {split} images of hf:{name}: {one_line(problem)[:300]}") from problem


def _column(dataset: Any, title: str, kind: type, names: tuple[str, ...], what: str) -> str:
    """The column of a kind: by its name, or because there is no other."""
    fitting = [column for column, feature in dataset.features.items() if isinstance(feature, kind)]
    named = [column for column in names if column in fitting]
    if named or len(fitting) == 1:
        return (named or fitting)[0]
    there = ", ".join(f"{column} ({_kind(feature)})" for column, feature in dataset.features.items())
    found = f"several columns of {what}" if fitting else f"no column of {what}"
    raise UserError(f"{title} has {found}: expected one named {names[0]}; its columns are {there}")


def _kind(feature: Any) -> str:
    kind = type(feature).__name__
    return str(feature.dtype) if kind == "Value" else kind
