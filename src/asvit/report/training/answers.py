"""What a classifier answered on the validation images, counted: by class, by pairs of classes, with intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asvit.measure.estimates import wilson
from asvit.training.results import Confused


@dataclass(frozen=True)
class OfClass:
    """Answers on the images of one class."""

    name: str
    right: int
    images: int

    @property
    def share(self) -> float:
        """Share of the images that were answered rightly."""
        return self.right / self.images


@dataclass(frozen=True)
class Answered:
    """Answers on all images, of which there is at least one."""

    classes: Sequence[str]
    confusion: Sequence[Confused]

    @property
    def matrix(self) -> list[list[int]]:
        """Images by true class (rows) and said class (columns)."""
        rows = [[0] * len(self.classes) for _ in self.classes]
        for cell in self.confusion:
            rows[cell.true][cell.said] = cell.images
        return rows

    @property
    def images(self) -> int:
        """All images."""
        return sum(cell.images for cell in self.confusion)

    @property
    def by_class(self) -> list[OfClass]:
        """Every class that has images, the one with the smallest share of right answers first."""
        right, images = [0] * len(self.classes), [0] * len(self.classes)
        for cell in self.confusion:
            images[cell.true] += cell.images
            right[cell.true] += cell.images if cell.true == cell.said else 0
        found = [OfClass(*row) for row in zip(self.classes, right, images, strict=True) if row[2]]
        return sorted(found, key=lambda one: (one.share, -one.images))

    @property
    def largest(self) -> OfClass:
        """The class with most images: whoever always says it is right for as many."""
        return max(self.by_class, key=lambda one: one.images)

    def pairs(self) -> Iterator[tuple[str, str, int, int]]:
        """True class, wrongly said class, how many images, of how many; the most confused first."""
        images = {one.name: one.images for one in self.by_class}
        for cell in sorted(self.confusion, key=lambda cell: -cell.images):
            if cell.true != cell.said:
                name = self.classes[cell.true]
                yield name, self.classes[cell.said], cell.images, images[name]


def interval(right: int | float, images: int) -> str:
    """The interval in per cent.

    >>> interval(92, 100)
    '85.0 to 95.9 %'
    """
    low, high = wilson(right, images)
    return f"{100 * low:.1f} to {100 * high:.1f} %"
