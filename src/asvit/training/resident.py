"""Small sets of images in the memory of the device, where they are cropped and mirrored: no loading, no waiting."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Num
from torch import Tensor
from torch.utils.data import Sampler
from torchvision.transforms.v2 import functional as V

from asvit.contents import spread
from asvit.errors import UserError
from asvit.images import Normalisation
from asvit.runs.devices import memory
from asvit.training.augment import resize_centre
from asvit.training.data import REPLACEMENTS, Batch, Draws, EpochAndIndex, Examples, Labelled, generator_of
from asvit.training.recipe import TrainRecipe
from asvit.training.sources import Source

ASPECT_RATIOS = (3 / 4, 4 / 3)
"""Smallest and largest aspect ratio of a random crop, over the image's own."""


class Resident(Source):
    """The images of a source, all of one size, on a device.

    Photographs stay whole numbers of 8 bits, arrays become float32. In training, what cannot be read gives way to the
    next image; in evaluation it is left out. It is named in the batch that it would have been in.
    """

    def __init__(
        self,
        source: Source,
        size: tuple[int, int],
        device: torch.device,
        *,
        images: int | None = None,
        evaluation: bool = False,
        share: float = 0.5,
    ) -> None:
        """Read images.

        Args:
            source: images to read.
            size: height and width in pixels; of an image, the largest central part of that aspect ratio is kept.
            device: device in whose memory they are kept.
            images: how many to keep, evenly spread over the source; None: all.
            evaluation: whether they are evaluated on.
            share: largest share of that memory that they may fill.

        Raises:
            UserError: they would fill more of that memory, or there are fewer.
        """
        super().__init__(source.name, source.classes, source.contents)
        self.source = source
        count = len(source) if images is None else images
        if not 0 < count <= len(source):
            raise UserError(f"{source.name} has {len(source)} images, not {count}: choose fewer")
        examples = Examples(source, Labelled(lambda image: as_stored(image, size)), seed=None if evaluation else 0)
        # One image says how much all will take, so that too many are refused before they are read.
        image, _ = first(examples)
        needed, there = count * image.nbytes, memory(device)
        if needed > share * there:
            raise UserError(
                f"{source.name} takes {needed / 1e9:.1f} GB of {there / 1e9:.1f} GB on {device} as "
                f"{size[0]}x{size[1]} images: leave out --resident, or choose a smaller --image-size"
            )
        # Filled image by image: a list that is stacked at the end would take the memory twice.
        images_there = torch.empty(count, *image.shape, dtype=image.dtype)
        labels: list[int] = []
        self.kept: list[int] = []
        problems: list[tuple[int, str]] = []
        for chosen in spread(range(len(source)), count):
            example = examples[0, chosen]
            if example.problem is not None:
                problems.append((len(labels), example.problem))
            if example.content is not None:
                images_there[len(labels)], label = example.content
                labels.append(label)
                self.kept.append(chosen)
        self.problems: dict[int, tuple[str, ...]] = {}
        # What was left out has no place of its own: it is told with the image that came after it, or with the last.
        for place, problem in problems:
            index = min(place, len(labels) - 1)
            self.problems[index] = (*self.problems.get(index, ()), problem)
        self.images, self.labels = images_there[: len(labels)].to(device), torch.tensor(labels, device=device)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> tuple[Float[Tensor, "C H W"], int]:
        """An image from 0 to 1, and its label."""
        return self.pixels([index])[0].cpu(), int(self.labels[index])

    def file(self, index: int) -> str:
        """Name of the image in its source."""
        return self.source.file(self.kept[index])

    @cached_property
    def normalisation(self) -> Normalisation:
        """That of the source."""
        return self.source.normalisation

    def pixels(self, indices: Sequence[int]) -> Float[Tensor, "B C H W"]:
        """Images from 0 to 1, on the device."""
        chosen = self.images[torch.tensor(indices, device=self.images.device)]
        return chosen if chosen.is_floating_point() else chosen.float() / 255

    def batch(self, indices: Sequence[int], images: Float[Tensor, "B C H W"]) -> Batch:
        """Images that were made ready, with their labels and what could not be read."""
        labels = self.labels[torch.tensor(indices, device=self.labels.device)]
        return Batch(images, labels, tuple(p for i in indices for p in self.problems.get(i, ())))


class ResidentBatches:
    """Batches of resident images in an order."""

    def __init__(
        self,
        resident: Resident,
        order: Sampler[list[EpochAndIndex]],
        view: Callable[[Float[Tensor, "B C H W"], list[EpochAndIndex]], Float[Tensor, "B C h w"]],
        normalisation: Normalisation,
    ) -> None:
        """Batches of what ``view`` makes of the images at some places, normalised."""
        self.resident, self.order, self.view, self.normalisation = resident, order, view, normalisation

    def __iter__(self) -> Iterator[Batch]:
        for places in self.order:
            indices = [index for _, index in places]
            images = self.view(self.resident.pixels(indices), places)
            yield self.resident.batch(indices, self.normalisation(images))


class RandomCrops:
    """A random part of every image, in every second one mirrored, resized: a function of (seed, epoch, index)."""

    def __init__(self, recipe: TrainRecipe, images: int, *, seed: int) -> None:
        """Crop as a recipe says.

        Args:
            recipe: training recipe; RandAugment and random erasing are not done here and so refused.
            images: number of images in the set.
            seed: random seed of the training.
        """
        if recipe.randaugment is not None or recipe.random_erasing:
            raise UserError(
                "resident images are cropped and mirrored only, but the recipe has RandAugment or random erasing: "
                "leave out --resident, or choose another recipe"
            )
        self.recipe, self.images, self.seed = recipe, images, seed
        self.of_epoch = lru_cache(1)(self.draw)

    def __call__(self, images: Float[Tensor, "B C H W"], places: list[EpochAndIndex]) -> Float[Tensor, "B C h w"]:
        """Crops of the recipe's image size, by one interpolation."""
        (epoch,) = {epoch for epoch, _ in places}
        parameters = self.of_epoch(epoch)[[index for _, index in places]]
        grid = F.affine_grid(parameters.to(images.device), [*images.shape[:2], *self.recipe.image_size], False)
        # Crops lie within their images, but an enlarged one is sampled beyond the centres of the outermost pixels,
        # which are repeated there rather than faded to black.
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)

    def draw(self, epoch: int) -> Float[Tensor, "n 2 3"]:
        """Affine maps from a crop's coordinates to its image's, both from -1 to 1, for all images of an epoch."""
        # For all images at once, on the CPU: what an image gets depends neither on its batch nor on the device.
        u = torch.rand(5, self.images, generator=generator_of(Draws.SAMPLE, self.seed, epoch))
        area = self.recipe.smallest_crop + (1 - self.recipe.smallest_crop) * u[0]
        low, high = map(math.log, ASPECT_RATIOS)
        ratio = torch.exp(low + (high - low) * u[1])
        width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
        # A negative width reads the image from right to left, so that mirroring costs no second pass.
        mirror = 1 - 2 * (u[2] < self.recipe.flip).float()
        zero = torch.zeros_like(width)
        across = torch.stack((mirror * width, zero, (1 - width) * (2 * u[3] - 1)), 1)
        down = torch.stack((zero, height, (1 - height) * (2 * u[4] - 1)), 1)
        return torch.stack((across, down), 1)


def centre(
    size: tuple[int, int],
) -> Callable[[Float[Tensor, "B C H W"], list[EpochAndIndex]], Float[Tensor, "B C h w"]]:
    """The central part of every image, as evaluation sees it."""
    return lambda images, places: V.center_crop(images, list(size))


def stored_size(recipe: TrainRecipe) -> tuple[int, int]:
    """Size at which images are kept: evaluation cuts the recipe's image size out of its centre.

    >>> from asvit.training.recipe import RECIPES
    >>> stored_size(RECIPES["cifar10"])
    (32, 32)
    """
    height, width = recipe.image_size
    return round(height / recipe.test_crop), round(width / recipe.test_crop)


def as_stored(image: object, size: tuple[int, int]) -> Num[Tensor, "C H W"]:
    """The largest central part of the size's aspect ratio: whole numbers of a photograph, float32 of an array."""
    pixels = image if isinstance(image, Tensor) else V.pil_to_tensor(image)  # pyright: ignore[reportArgumentType]
    return resize_centre(pixels, size=size, share=1.0)


def first(examples: Examples) -> tuple[Num[Tensor, "C H W"], int]:
    """The first image that can be read, and its label."""
    tried = []
    for index in range(min(len(examples.source), REPLACEMENTS)):
        tried.append(examples[0, index])
        if tried[-1].content is not None:
            return tried[-1].content
    raise UserError(f"many images in a row cannot be read, the first: {tried[0].problem}")
