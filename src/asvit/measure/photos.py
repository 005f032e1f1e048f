"""The images that the kernel sees: photographs that come with scikit-image, or a folder of the user's own.

Every draw takes different images and of each a random crop of the network's aspect ratio, resized and normalised.
"""

import hashlib
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from asvit.errors import UserError
from asvit.extras import missing
from asvit.networks.architecture import Task

if TYPE_CHECKING:
    from PIL.Image import Image

BUILT_IN = (
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png",
    "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png",
    "page.png", "retina.jpg", "rocket.jpg", "text.png",
)  # fmt: skip
"""The different photographs of scikit-image's wheel; the rest are drawings, test patterns and duplicates."""

RASTER = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".gif"}
ARRAYS = {".npy", ".tif", ".tiff"}
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError)
"""What decoding a damaged file may raise."""
SMALLEST_CROP = 0.5
"""Least side of a crop, as a share of the largest crop that fits."""

# Mean and standard deviation of ImageNet's channels, and of its grey values for other than three channels.
RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY_MEAN, GREY_STD = 0.449, 0.226


class Photographs(ABC):
    """A pool of images to draw from."""

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
        if len(self.files) < n:
            raise UserError(f"found {len(self.files)} images, but a kernel takes {n} different ones: add more images")
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(self.files), n, replace=False)
        images = [random_crop(self.read(self.files[i], task.in_chans), task.image_size, rng) for i in chosen]
        return normalise(torch.stack(images))


class BuiltIn(Photographs):
    """The photographs that come with scikit-image; for other than three channels, grey values repeated."""

    def __init__(self) -> None:
        """Find them; a UserError where scikit-image is missing."""
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
            return read_raster(path, "RGB")
        return read_raster(path, "L").expand(channels, -1, -1)


class Folder(Photographs):
    """All images below a folder: raster files for one or three channels, ``.npy`` (H x W x C) and TIFF for any."""

    def __init__(self, path: Path) -> None:
        """List every file whose name ends like an image's; its digest is of their paths and sizes."""
        try:
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() in RASTER | ARRAYS and p.is_file())
            listing = "\n".join(f"{p.relative_to(path)} {p.stat().st_size}" for p in files)
        except OSError as error:
            raise UserError(f"cannot read the image folder {path}: {error.strerror}; choose another folder") from error
        if not files:
            kinds = ", ".join(sorted(RASTER | ARRAYS))
            raise UserError(f"no images in {path}: expected a folder with files that end in {kinds}")
        super().__init__(files, "folder:" + hashlib.sha256(listing.encode()).hexdigest()[:16])

    def read(self, path: Path, channels: int) -> Float[Tensor, "channels H W"]:
        """One image of the folder, with as many channels as the network reads."""
        if path.suffix.lower() in ARRAYS:
            return read_array(path, channels)
        if channels not in (1, 3):
            raise UserError(
                f"{path} holds at most three channels, but the network reads {channels}: "
                "give .npy (height x width x channels) or TIFF files"
            )
        return read_raster(path, "RGB" if channels == 3 else "L")


def read_raster(path: Path, mode: str) -> Float[Tensor, "channels H W"]:
    """Image file converted to ``mode``, as values from 0 to 1."""
    try:
        pixels = np.asarray(open_raster(path, mode), dtype=np.float32) / 255
    except UNREADABLE as error:
        raise UserError(f"cannot read the image {path}: {error}; remove or replace the file") from error
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)


def open_raster(source: Path | BufferedIOBase, mode: str) -> "Image":
    """Decode an image file to 8 bits a channel; grey values of 16 bits are scaled, not cut off.

    Raises:
        One of :data:`UNREADABLE`: the file is damaged, too large, or no image.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(source) as image:  # pyright: ignore[reportArgumentType], its stubs want IO[bytes]
            if image.mode.startswith("I"):
                grey = np.asarray(image).astype(np.float32) / 257  # 65535 becomes 255
                return Image.fromarray(grey.round().clip(0, 255).astype(np.uint8)).convert(mode)
            return image.convert(mode)
    except UnidentifiedImageError as error:  # names an object in memory, another one every time
        raise ValueError("cannot identify image file") from error
    except Image.DecompressionBombError as error:
        raise ValueError(error) from error


def read_array(path: Path, channels: int) -> Float[Tensor, "channels H W"]:
    """Array of height x width x channels; whole numbers are divided by the largest of their type."""
    try:
        return open_array(path, path.suffix, channels)
    except UNREADABLE as error:
        raise UserError(f"cannot read the image {path}: {error}; remove or replace the file") from error


def open_array(source: Path | BufferedIOBase, suffix: str, channels: int) -> Float[Tensor, "channels H W"]:
    """Decode a ``.npy`` or TIFF file of height x width x channels, with values from 0 to 1.

    Raises:
        One of :data:`UNREADABLE`: the file is damaged, of another shape or not finite.
    """
    array = load_array(source, suffix)
    if array.ndim != 3 or array.shape[2] != channels or array.dtype.kind not in "uif":
        raise ValueError(
            f"it is an array of {array.shape} {array.dtype}, but the network reads {channels} channels: "
            f"expected numbers of height x width x {channels}"
        )
    scale = 1 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    values = array.astype(np.float32) / scale
    if not np.isfinite(values).all():
        raise ValueError("it has values that are not finite")
    return torch.from_numpy(values).permute(2, 0, 1)


def load_array(source: Path | BufferedIOBase, suffix: str) -> np.ndarray:
    """Numbers of a ``.npy`` or TIFF file; one of two dimensions gets a channel."""
    import tifffile

    try:
        array = np.load(source, allow_pickle=False) if suffix.lower() == ".npy" else tifffile.imread(source)  # pyright: ignore
    except (tifffile.TiffFileError, zlib.error, struct.error, LookupError, TypeError, RuntimeError) as error:
        raise ValueError(f"damaged: {error}") from error  # what tifffile raises on one
    return array[:, :, None] if array.ndim == 2 else array


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


def normalise(images: Float[Tensor, "n channels H W"]) -> Float[Tensor, "n channels H W"]:
    """Subtract ImageNet's mean and divide by its standard deviation, of grey values for other than three channels."""
    rgb = images.shape[1] == 3
    mean = images.new_tensor(RGB_MEAN if rgb else (GREY_MEAN,)).reshape(-1, 1, 1)
    std = images.new_tensor(RGB_STD if rgb else (GREY_STD,)).reshape(-1, 1, 1)
    return (images - mean) / std
