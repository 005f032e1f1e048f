"""Images and targets for a detector, from pictures with objects; resizing is the detector's own."""

from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as V

from asvit.contents import contents_of, look_into_paths
from asvit.detection.cascade import Target
from asvit.detection.coco import Coco
from asvit.detection.recipe import Augmentation
from asvit.detection.settings import Resize
from asvit.errors import UserError
from asvit.images import Normalisation, open_image, to_tensor
from asvit.training.statistics import normalisation_for
from asvit.units import ValueRange

SMALLEST_SIDE = 1.0
"""Pixels of a side below which a box is no longer learned after jitter has cut it."""


class Scenes:
    """Pictures with their objects, as images and targets."""

    def __init__(self, coco: Coco, *, in_chans: int | None = None, value_range: ValueRange | None = None) -> None:
        """Read pictures.

        Args:
            coco: what to read.
            in_chans: 1 for grey, 3 for colour; None: the pictures' own.
            value_range: values of arrays that become 0 and 1; None: as their type says.
        """
        self.coco, self.value_range = coco, value_range
        glances = look_into_paths(str(coco.folder), [coco.file(index) for index in range(len(coco.pictures))])
        self.contents = contents_of(str(coco.folder), glances, in_chans=in_chans, value_range=value_range)

    @property
    def channels(self) -> int:
        """Channels of every picture."""
        return self.contents.channels

    @cached_property
    def normalisation(self) -> Normalisation:
        """What makes values ready for a network: ImageNet's mean and deviation, or those of arrays themselves."""
        return normalisation_for(self.contents, str(self.coco.folder), len(self), self.image)

    def image(self, index: int) -> Float[Tensor, "C H W"]:
        """An image from 0 to 1, without its objects."""
        picture = self.coco.pictures[index]
        image = to_tensor(open_image(self.coco.file(index), self.channels, self.value_range))
        if image.shape[-2:] != (picture.height, picture.width):
            height, width = image.shape[-2:]
            raise ValueError(
                f"it has {width} by {height} pixels, not the {picture.width} by {picture.height} annotated"
            )
        return image

    def __len__(self) -> int:
        return len(self.coco.pictures)

    def file(self, index: int) -> str:
        """Path of a picture."""
        return str(self.coco.file(index))

    def read(self, index: int) -> tuple[Float[Tensor, "C H W"], Target]:
        """An image ``C x H x W`` from 0 to 1, and its objects but for crowds; ``index`` says which picture it is.

        Raises:
            One of :data:`asvit.images.bounds.UNREADABLE`: the picture is damaged.
        """
        image = tv_tensors.Image(self.image(index))
        objects = self.coco.learned(index)
        boxes = torch.tensor([annotation.bbox for annotation in objects], dtype=torch.float32).reshape(-1, 4)
        size: Any = image.shape[-2:]
        in_frame = tv_tensors.BoundingBoxes(boxes, format="XYWH", canvas_size=size)  # pyright: ignore[reportCallIssue]
        corners = tv_tensors.BoundingBoxFormat.XYXY
        target = {
            "boxes": V.clamp_bounding_boxes(V.convert_bounding_box_format(in_frame, new_format=corners)),
            "labels": torch.tensor([self.coco.labels[x.category_id] for x in objects], dtype=torch.long),
            "masks": tv_tensors.Mask(torch.from_numpy(self.coco.masks(index))),
            "index": torch.tensor(index),
        }
        return image, target


class Prepare:
    """Makes an image and its target ready for a detector: augmented in training."""

    def __init__(self, augmentation: Augmentation, resize: Resize, normalisation: Normalisation) -> None:
        """Mirror and, where it is asked for, scale and crop at random (large-scale jitter, Ghiasi et al., 2021)."""
        steps: list[Any] = [v2.RandomHorizontalFlip(augmentation.flip)]
        if augmentation.jitter is not None:
            if not resize.square:
                raise UserError("large-scale jitter cuts squares: choose a square size, or no --jitter")
            side = [resize.long_side] * 2
            fill: Any = {tv_tensors.Image: list(normalisation.mean), "others": 0}
            steps += [
                v2.ScaleJitter((side[0], side[1]), augmentation.jitter, antialias=True),
                v2.RandomCrop(side, pad_if_needed=True, fill=fill),
                v2.SanitizeBoundingBoxes(min_size=SMALLEST_SIDE, labels_getter=_labels),
            ]
        self.transform = v2.Compose(steps)

    def __call__(self, image: Float[Tensor, "C H W"], target: Target) -> tuple[Float[Tensor, "C h w"], Target]:
        """The image and its target, changed at random, as plain tensors."""
        image, target = self.transform(image, target)
        return plain(image, target)


def plain(image: Float[Tensor, "C H W"], target: Target) -> tuple[Float[Tensor, "C H W"], Target]:
    """An image and its target as plain tensors, which is all that evaluation makes of them."""
    return image.as_subclass(Tensor), {name: x.as_subclass(Tensor) for name, x in target.items()}


def _labels(inputs: Any) -> Int[Tensor, " n"]:
    """Labels, which torchvision drops together with their boxes."""
    return inputs[1]["labels"]
