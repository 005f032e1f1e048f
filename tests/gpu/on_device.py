"""What the tests on a device share: a training of seconds, and images made by code out of numpy and Pillow."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_sets import CLASSES, pixels
from PIL import Image

from asvit.contents import Contents
from asvit.networks.named import parse_network
from asvit.training.classifier import ClassifierTraining
from asvit.training.parallel import Processes
from asvit.training.recipe import TrainRecipe
from asvit.training.schedule import named_schedule
from asvit.training.settings import Running
from asvit.training.sources import Source

ON_DEVICE = [
    pytest.mark.gpu,
    # What torch and its compiler say on a card that nobody has seen yet is read afterwards, and fails no test.
    pytest.mark.filterwarnings("default"),
]
CPU = torch.device("cpu")
PRECISION = {"cpu": "float32", "cuda": "bfloat16"}
"""Of a training, by default."""
TINY = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8"
SIDE = 32
PLAIN = TrainRecipe(
    image_size=(SIDE, SIDE),
    epochs=1,
    batch_size=16,
    lr=1e-3,
    warmup_epochs=0,
    weight_decay=0.05,
    schedule="none",
    clip=1.0,
    smallest_crop=0.5,
    test_crop=1.0,
)
"""Nothing in it draws random numbers on the device."""
EVERYTHING = replace(PLAIN, drop_path=0.1, ema=0.9, mixup=0.8, cutmix=1.0, randaugment="rand-m5", random_erasing=0.25)


class Brightness(Source):
    """Labelled images of noise; the class is how bright they are."""

    def __init__(self, count: int, *, first: int = 0) -> None:
        super().__init__("brightness", CLASSES, Contents(channels=3))
        self.count, self.offset = count, first

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> tuple[Image.Image, int]:
        label = index % len(CLASSES)
        return Image.fromarray(pixels(CLASSES[label], self.offset + index, side=SIDE)), label

    def file(self, index: int) -> str:
        return str(index)


def classifier(
    device: torch.device,
    recipe: TrainRecipe = PLAIN,
    *,
    steps: int = 4,
    processes: Processes = Processes(),
    sources: tuple[Source, Source] | None = None,
    **running,
) -> ClassifierTraining:
    """A training of so many steps an epoch."""
    train, val = sources or (Brightness(steps * recipe.batch_size), Brightness(24, first=1000))
    schedule = named_schedule(recipe.schedule, recipe.epochs)
    how = Running(**running)
    return ClassifierTraining(
        parse_network(TINY), train, val, recipe, schedule, seed=0, device=device, running=how, processes=processes
    )


def losses_of(training: ClassifierTraining, steps: int = 4) -> list[float]:
    """Of the first steps."""
    training.stepping.train()
    loader = iter(training.train_loader)
    return [training.step(i, next(loader))[0].item() for i in range(steps)]


def weights_of(training: ClassifierTraining) -> torch.Tensor:
    """All weights in a row, on the CPU."""
    return torch.cat([x.detach().cpu().double().flatten() for x in training.model.parameters()])


def ignore(training: ClassifierTraining) -> None:
    """Watch nothing."""


def photograph_folder(root: Path, count: int = 8) -> Path:
    """Smooth pictures, which the kernel tells apart."""
    rng = np.random.default_rng(0)
    for i in range(count):
        few = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        few.resize((96, 72), Image.Resampling.BICUBIC).save(root / f"{i}.png")
    return root
