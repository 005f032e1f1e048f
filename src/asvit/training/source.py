"""What a source of labelled images is: a list that can be read in any order, by any process.

So an epoch can be resumed at any image.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

from asvit.contents import Contents
from asvit.errors import UserError
from asvit.images import Normalisation
from asvit.listing import Skipped
from asvit.training.statistics import normalisation_for
from asvit.units import ValueRange, count

MOST_CLASSES = 1_000_000
"""Classes of a data set at most; a larger label is a mistake, not a class."""


class Source(ABC):
    """A list of labelled images.

    Args:
        name: what it is, for messages.
        classes: names, in the order of the labels.
        contents: channels of every image, and what else is known of them.
        value_range: values of arrays that become 0 and 1; None: as their type says.
        skipped: what was left out.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        contents: Contents,
        value_range: ValueRange | None = None,
        *,
        skipped: Skipped | None = None,
    ) -> None:
        self.name, self.contents, self.value_range = name, contents, value_range
        self.classes: tuple[str, ...] = tuple(classes)
        self.skipped = Skipped() if skipped is None else skipped

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return self.contents.channels

    @property
    def summary(self) -> str:
        """How many images of how many classes, and what was left out."""
        counted = f"{self.name}: {count(len(self), 'image')} of {count(len(self.classes), 'class')}"
        return self.skipped.appended(counted)

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

    def normalised_by(self, normalisation: Normalisation) -> "Source":
        """The same images, made ready for a network that was trained on others."""
        source = copy(self)
        source.normalisation = normalisation
        return source

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int) -> tuple[Any, int]:
        """A PIL image (one or three channels) or a tensor ``C x H x W`` from 0 to 1, and its label.

        Raises:
            One of :data:`asvit.images.bounds.UNREADABLE`: the image is damaged.
        """

    @abstractmethod
    def file(self, index: int) -> str:
        """Name of an image, for messages."""
