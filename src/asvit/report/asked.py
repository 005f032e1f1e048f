"""What jobs that train were asked, as their reports read it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageCounts:
    """Numbers of images in both parts of the data."""

    train: int
    val: int
