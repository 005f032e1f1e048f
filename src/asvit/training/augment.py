"""What happens to an image before the network sees it: timm's transforms, or flips and crops of any channels."""

from collections.abc import Callable
from typing import Any

from timm.data.transforms_factory import create_transform
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as V

from asvit.photos import RGB_MEAN, RGB_STD, normalise
from asvit.training.recipe import TrainRecipe

Transform = Callable[[Any], Tensor]
"""From an image as a source reads it to a normalised tensor ``C x H x W``."""


def training_transform(recipe: TrainRecipe, channels: int) -> Transform:
    """Random crop and mirror image; for three channels RandAugment and random erasing as well."""
    scale = (recipe.smallest_crop, 1.0)
    if channels == 3:
        transform: Any = create_transform(
            (3, *recipe.image_size),
            is_training=True,
            scale=scale,
            hflip=recipe.flip,
            color_jitter=0.0,
            auto_augment=recipe.randaugment,
            interpolation="bicubic",
            re_prob=recipe.random_erasing,
            re_mode="pixel",
            mean=RGB_MEAN,
            std=RGB_STD,
        )
        return transform
    crop = v2.RandomResizedCrop(recipe.image_size, scale=scale, antialias=True)
    return v2.Compose([to_tensor, crop, v2.RandomHorizontalFlip(recipe.flip), normalise_one])


def evaluation_transform(image_size: tuple[int, int], test_crop: float, channels: int) -> Transform:
    """The central part of the image, resized."""
    if channels == 3:
        transform: Any = create_transform(
            (3, *image_size), crop_pct=test_crop, interpolation="bicubic", mean=RGB_MEAN, std=RGB_STD
        )
        return transform

    def crop(image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        fit = min(height / image_size[0], width / image_size[1]) * test_crop
        box = max(1, round(fit * image_size[0])), max(1, round(fit * image_size[1]))
        return V.resize(V.center_crop(image, list(box)), list(image_size), antialias=True)

    return v2.Compose([to_tensor, crop, normalise_one])


def to_tensor(image: Any) -> Tensor:
    """PIL image, or tensor from 0 to 1, as a tensor from 0 to 1."""
    return image if isinstance(image, Tensor) else V.pil_to_tensor(image).float() / 255


def normalise_one(image: Tensor) -> Tensor:
    """As every image that asvit's networks see is normalised."""
    return normalise(image[None])[0]
