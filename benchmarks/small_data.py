"""A part of a data set as files of its own, fewer or smaller ones: what short trainings learn from."""

from pathlib import Path

from PIL import Image

from asvit.training.settings import ImageData
from asvit.training.sources import Split, open_data

SPLITS: tuple[Split, ...] = ("train", "val")


def small_copy(data: str, folder: Path, *, side: int | None = None, images: tuple[int | None, int | None]) -> Path:
    """Copy images as JPEG files into a folder, once.

    Args:
        data: as `asvit train --data` takes it.
        folder: new, or of an earlier copy.
        side: pixels of the shorter side to which images are resized; None: as they are.
        images: at most so many for training and validation, evenly spread over the set; None: all.

    Returns:
        The folder.
    """
    if (folder / "whole").exists():
        return folder
    for split, most in zip(SPLITS, images, strict=True):
        source = open_data(ImageData(data=data), split)
        count = len(source) if most is None else min(most, len(source))
        for i in (k * len(source) // count for k in range(count)):
            image, label = source.read(i)
            path = folder / split / source.classes[label] / f"{i:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            (image if side is None else resized(image, side)).save(path, quality=92)
    (folder / "whole").touch()
    return folder


def resized(image: Image.Image, side: int) -> Image.Image:
    """An image whose shorter side has so many pixels."""
    scale = side / min(image.size)
    size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)
