"""Pictures on their way from the loading processes to the device: a few tensors for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from asvit.detection.cascade import Target

Scene = tuple[Float[Tensor, "C H W"], Target]
"""An image ``C x H x W`` and its target: boxes, labels, masks, and the picture's index."""


@dataclass(frozen=True)
class SceneBatch:
    """Images of all sizes with their targets, laid end to end, and what could not be read on the way.

    A tensor takes a file descriptor when it passes between processes; so five are sent, not five an image.
    """

    pixels: Float[Tensor, " pixels"]
    boxes: Float[Tensor, "objects 4"]
    labels: Int[Tensor, " objects"]
    masks: UInt8[Tensor, " pixels_of_masks"]
    indices: Int[Tensor, " B"]
    sizes: tuple[tuple[int, int, int], ...]
    """Channels, height and width of each image."""
    counts: tuple[int, ...]
    """Objects of each image."""
    problems: tuple[str, ...]

    @classmethod
    def of(cls, contents: Sequence[Scene], problems: tuple[str, ...]) -> "SceneBatch":
        """Lay images and targets end to end.

        >>> target = {"boxes": torch.zeros(2, 4), "labels": torch.tensor([1, 1])}
        >>> target["masks"] = torch.zeros(2, 5, 6, dtype=torch.uint8)
        >>> batch = SceneBatch.of([(torch.rand(3, 5, 6), target | {"index": torch.tensor(7)})], ())
        >>> (image, target), = batch.scenes()
        >>> image.shape, target["masks"].shape, int(target["index"])
        (torch.Size([3, 5, 6]), torch.Size([2, 5, 6]), 7)
        """
        images, targets = [image for image, _ in contents], [target for _, target in contents]
        if not images:
            labels, masks = torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.uint8)
            return cls(torch.empty(0), torch.empty(0, 4), labels, masks, labels, (), (), problems)
        return cls(
            torch.cat([image.flatten() for image in images]),
            torch.cat([target["boxes"] for target in targets]),
            torch.cat([target["labels"] for target in targets]),
            torch.cat([target["masks"].flatten() for target in targets]),
            torch.stack([target["index"] for target in targets]),
            tuple((image.shape[0], image.shape[1], image.shape[2]) for image in images),
            tuple(len(target["labels"]) for target in targets),
            problems,
        )

    def __len__(self) -> int:
        return len(self.sizes)

    def scenes(self) -> list[Scene]:
        """The images and their targets again; they share the batch's memory."""
        areas = [height * width for _, height, width in self.sizes]
        counts = list(self.counts)
        images = self.pixels.split([size[0] * area for size, area in zip(self.sizes, areas, strict=True)])
        masks = self.masks.split([n * area for n, area in zip(counts, areas, strict=True)])
        parts = zip(images, self.boxes.split(counts), self.labels.split(counts), masks, self.indices, strict=True)
        return [
            (
                image.reshape(size),
                {"boxes": boxes, "labels": labels, "masks": mask.reshape(-1, *size[1:]), "index": index},
            )
            for size, (image, boxes, labels, mask, index) in zip(self.sizes, parts, strict=True)
        ]

    def pin_memory(self) -> "SceneBatch":
        """A copy from which a GPU can fetch; called by the loader."""
        return self._each(lambda x: x.pin_memory())

    def to(self, device: torch.device) -> "SceneBatch":
        """The batch on a device."""
        return self._each(lambda x: x.to(device, non_blocking=True))

    def parts(self, count: int) -> "list[SceneBatch]":
        """The batch in parts of at least one image."""
        if count == 1:
            return [self]
        scenes, size = self.scenes(), -(-len(self) // count)
        return [SceneBatch.of(scenes[i : i + size], self.problems) for i in range(0, len(self), size)]

    def _each(self, change: Callable[[Tensor], Tensor]) -> "SceneBatch":
        names = ("pixels", "boxes", "labels", "masks", "indices")
        return replace(self, **{name: change(getattr(self, name)) for name in names})
