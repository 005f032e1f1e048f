"""The images that the kernel sees: photographs that come with scikit-image, or a folder of the user's own.

Every draw takes different images and of each a random crop of the network's aspect ratio, resized and normalised.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from asvit.contents import Contents, contents_of, look_into_paths
from asvit.errors import UserError, missing
from asvit.images import Normalisation, read_image, to_tensor
from asvit.listing import images_in, list_images, part_of
from asvit.networks.architecture import Task
from asvit.units import ValueRange

BUILT_IN = (
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png",
    "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png",
    "page.png", "retina.jpg", "rocket.jpg", "text.png",
)  # fmt: skip
"""The different photographs of scikit-image's wheel; the rest are drawings, test patterns and duplicates."""

SMALLEST_CROP = 0.5
"""Least side of a crop, as a share of the largest crop that fits."""


class Photographs(ABC):
    """A pool of images to draw from."""

    path: Path | None = None
    """Folder that a user named; None: the images come with a package."""
    value_range: ValueRange | None = None
    """Values of arrays that become 0 and 1; None: as their type says."""

    def __init__(self, files: Sequence[Path], digest: str) -> None:
        """Name the images, in a fixed order, and the pool: equal digests, equal images."""
        self.files = files
        self.digest = digest

    @abstractmethod
    def read(self, path: Path, channels: int) -> Float[Tensor, "channels H W"]:
        """One image with values from 0 to 1."""

    def draw(self, n: int, task: Task, seed: int) -> Float[Tensor, "n channels H W"]:
        """``n`` different images, each a random crop, of the task's size and channels, normalised.

        Raises:
            UserError: the pool has fewer than ``n`` images, or one of them cannot be read.

        >>> BuiltIn().draw(16, Task(image_size=(64, 96)), seed=0).shape
        torch.Size([16, 3, 64, 96])
        """
        rng = np.random.default_rng(seed)
        chosen = self._choose(n, rng)
        images = [random_crop(self.read(file, task.in_chans), task.image_size, rng) for file in chosen]
        return Normalisation.usual(task.in_chans)(torch.stack(images))

    def files_of(self, n: int, seed: int) -> list[Path]:
        """The files that :meth:`draw` shows, in its order."""
        return self._choose(n, np.random.default_rng(seed))

    def _choose(self, n: int, rng: np.random.Generator) -> list[Path]:
        if len(self.files) < n:
            raise UserError(f"found {len(self.files)} images, but a kernel takes {n} different ones: add more images")
        return [self.files[i] for i in rng.choice(len(self.files), n, replace=False)]


class BuiltIn(Photographs):
    """The photographs that come with scikit-image; for other than three channels, grey values repeated."""

    def __init__(self) -> None:
        """Find the photographs; a UserError where scikit-image is missing."""
        try:
            import skimage
        except ImportError as error:
            if missing(error) != "skimage":
                raise
            raise UserError(
                "the package scikit-image is missing, whose photographs the kernel sees: give --images with a folder "
                "of others, or install it with `pip install scikit-image`"
            ) from error
        folder = Path(skimage.__file__).parent / "data"
        super().__init__([folder / name for name in BUILT_IN], f"scikit-image:{len(BUILT_IN)}")

    def read(self, path: Path, channels: int) -> Float[Tensor, "channels H W"]:
        """One photograph."""
        if channels == 3:
            return to_tensor(_decoded(path, 3))
        return to_tensor(_decoded(path, 1)).expand(channels, -1, -1)


@cache
def _decoded(path: Path, channels: int) -> Any:
    """A photograph that every draw may show; all of them are 20 MB."""
    return read_image(path, channels)


class Folder(Photographs):
    """All images below a folder: raster files for one or three channels, ``.npy`` (H x W x C) and TIFF for any."""

    def __init__(self, path: Path, value_range: ValueRange | None = None) -> None:
        """List every file whose name ends like an image's; its digest is of their paths and sizes.

        Args:
            path: folder.
            value_range: values of arrays that become 0 and 1; None: as their type says.
        """
        found = images_in(path)
        files = found.paths
        listing = [f"{file.relative_to(path)} {file.stat().st_size}" for file in files]
        if value_range is not None:
            listing.append(f"{value_range}")
        self.path, self.value_range, self.summary = path, value_range, found.summary
        super().__init__(files, "folder:" + hashlib.sha256("\n".join(listing).encode()).hexdigest()[:16])

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process lists the files itself: there may be a million."""
        return _listed_again, (self.path, self.value_range, self.digest)

    def contents(self, in_chans: int | None = None) -> Contents:
        """What the images are, by some of them.

        Args:
            in_chans: channels that are asked for; None: their own.

        Raises:
            UserError: they do not have these channels.
        """
        glances = look_into_paths(str(self.path), self.files, in_chans)
        return contents_of(str(self.path), glances, in_chans=in_chans, value_range=self.value_range)

    def read(self, path: Path, channels: int) -> Float[Tensor, "channels H W"]:
        """One image of the folder, with as many channels as the network reads."""
        return to_tensor(read_image(path, channels, self.value_range))


def _listed_again(path: Path, value_range: ValueRange | None, digest: str) -> Folder:
    found = Folder(path, value_range)
    if found.digest != digest:
        raise UserError(f"the images in {path} have changed while they were in use: repeat the command")
    return found


def classes_in(path: Path) -> int | None:
    """Classes of a training set: folders of images in its part for training; None where it has no such part.

    >>> classes_in(Path("no such folder")) is None
    True
    """
    part = part_of(path, "train")
    if part is None:
        return None
    classes = len(list_images(part).folders)
    return classes if classes > 1 else None


def random_crop(
    image: Float[Tensor, "channels h w"], size: tuple[int, int], rng: np.random.Generator
) -> Float[Tensor, "channels H W"]:
    """Random crop of the aspect ratio of ``size``, mirrored in half of the draws, resized with antialiasing."""
    height, width = image.shape[1:]
    fit = min(height / size[0], width / size[1]) * rng.uniform(SMALLEST_CROP, 1)
    crop_h, crop_w = max(1, round(size[0] * fit)), max(1, round(size[1] * fit))
    top, left = int(rng.integers(height - crop_h + 1)), int(rng.integers(width - crop_w + 1))
    crop = image[:, top : top + crop_h, left : left + crop_w]
    if rng.random() < 0.5:
        crop = crop.flip(-1)
    return F.interpolate(crop[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
