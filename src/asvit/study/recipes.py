"""Recipes of a study: how many topologies, trained on what and how, measured how carefully."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from asvit.measure.settings import Carefulness
from asvit.training.recipe import RECIPES as TRAIN_RECIPES
from asvit.training.recipe import TrainRecipe


@dataclass(frozen=True, kw_only=True)
class StudyRecipe(Carefulness):
    """Defaults of a study; every one of them can be set on the command line."""

    topologies: int
    """Topologies, sampled from Table 1."""
    seeds: int
    """Trainings of each topology that is trained repeatedly: of a third of them."""
    train: TrainRecipe
    resident: bool
    """Whether all images live in the device's memory, where they are cropped and mirrored, and nothing else."""
    images: int | None
    """Training images that are used at most, evenly spread over the set; None: all."""


_CIFAR10 = TrainRecipe(
    image_size=(64, 64),
    epochs=30,
    batch_size=128,
    lr=1e-3,
    warmup_epochs=2,
    weight_decay=0.05,
    schedule="none",
    clip=5.0,
    smallest_crop=0.36,
    test_crop=1.0,
)

RECIPES: Mapping[str, StudyRecipe] = MappingProxyType(
    {
        "paper": StudyRecipe(
            topologies=87,
            seeds=2,
            train=replace(TRAIN_RECIPES["imagenet"], schedule="none"),
            resident=False,
            images=None,
            repeats=5,
            angles=10,
            kernel_images=16,
        ),
        "cifar10": StudyRecipe(
            topologies=87,
            seeds=2,
            train=_CIFAR10,
            resident=True,
            images=None,
            repeats=5,
            angles=10,
            kernel_images=16,
        ),
        "cifar10-laptop": StudyRecipe(
            topologies=30,
            seeds=2,
            train=replace(_CIFAR10, epochs=2, batch_size=64, warmup_epochs=0, smallest_crop=0.64),
            resident=True,
            images=25_600,
            repeats=5,
            angles=10,
            kernel_images=16,
        ),
        "smoke": StudyRecipe(
            topologies=4,
            seeds=2,
            train=replace(TRAIN_RECIPES["digits"], epochs=1, warmup_epochs=0, schedule="none", ema=None),
            resident=True,
            images=128,
            repeats=2,
            angles=2,
            kernel_images=4,
        ),
    }
)
"""``paper``: 87 topologies trained for 300 epochs of ImageNet, with the recipe of ``asvit train``; the paper used
DeiT's. ``cifar10``: small photographs at 64x64 on one GPU. ``cifar10-laptop``: the same on a CPU, two epochs of half
the images. ``smoke``: seconds, for tests; its accuracies mean nothing."""
