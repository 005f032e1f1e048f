"""What happens to an image before the network sees it: timm's transforms, or flips and crops of any channels."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from jaxtyping import Float, Num
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as V

from asvit.images import Normalisation, to_tensor
from asvit.training.recipe import TrainRecipe

Transform = Callable[[Any], Float[Tensor, "channels H W"]]
"""Makes a normalised tensor ``C x H x W`` of an image as a source reads it."""


@dataclass(frozen=True)
class ByKind:
    """One way for photographs (PIL images of three channels), another for arrays and for images in grey."""

    photographs: Transform
    arrays: Transform

    def __call__(self, image: Any) -> Float[Tensor, "channels H W"]:
        """Transform an image in its own way."""
        return self.photographs(image) if getattr(image, "mode", None) == "RGB" else self.arrays(image)


def training_transform(recipe: TrainRecipe, normalisation: Normalisation) -> Transform:
    """Random crop and mirror image; for photographs RandAugment and random erasing as well."""
    scale = (recipe.smallest_crop, 1.0)
    photographs: Any = create_transform(
        (3, *recipe.image_size),
        is_training=True,
        scale=scale,
        hflip=recipe.flip,
        color_jitter=0.0,
        auto_augment=recipe.randaugment,
        interpolation="bicubic",
        re_prob=recipe.random_erasing,
        re_mode="pixel",
        mean=normalisation.mean,
        std=normalisation.std,
    )
    crop = v2.RandomResizedCrop(recipe.image_size, scale=scale, antialias=True)
    arrays = v2.Compose([to_tensor, crop, v2.RandomHorizontalFlip(recipe.flip), normalisation])
    return ByKind(photographs, arrays)


def evaluation_transform(
    image_size: tuple[int, int], test_crop: float, normalisation: Normalisation, *, interpolation: str = "bicubic"
) -> Transform:
    """The central part of the image, resized.

    Args:
        image_size: height and width in pixels.
        test_crop: share of a side that is kept.
        normalisation: mean and standard deviation by channel.
        interpolation: how photographs are resampled.
    """
    photographs: Any = create_transform(
        (3, *image_size),
        crop_pct=test_crop,
        interpolation=interpolation,
        mean=normalisation.mean,
        std=normalisation.std,
    )
    arrays = v2.Compose([to_tensor, partial(resize_centre, size=image_size, share=test_crop), normalisation])
    return ByKind(photographs, arrays)


def resize_centre(
    image: Num[Tensor, "channels H W"], *, size: tuple[int, int], share: float
) -> Num[Tensor, "channels height width"]:
    """The largest central part of the aspect ratio of ``size``, a share of each side of it, resized."""
    height, width = image.shape[-2:]
    fit = min(height / size[0], width / size[1]) * share
    box = max(1, round(fit * size[0])), max(1, round(fit * size[1]))
    return V.resize(V.center_crop(image, list(box)), list(size), antialias=True)
