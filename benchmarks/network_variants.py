"""What would make a network of asvit more accurate in a short training? Variants of it against the network itself.

    uv run python benchmarks/network_variants.py "3,4,3,1|2,2,2,1|4,2,5,1|4,1,2,1|16,36|2" --data path/to/imagenette \
      --image-size 64 --epochs 3 --seeds 3 --out runs/variants --json benchmarks/results/network-variants.json

Variants: a depth-wise convolution in every FFN; a stem of two convolutions; linear weights drawn with σ = 1/√fan_in in
the place of 0.02; twice the learning rate. Each is trained by recipe `auto` with the same seeds and images. Repeated,
the command goes on where it was.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from machine import provenance
from timm.models import is_model, register_model
from torch import Tensor, nn

from asvit.complexity.cost import count_macs, count_params
from asvit.measure.estimates import Estimate
from asvit.networks.architecture import Architecture
from asvit.networks.block import FFN
from asvit.networks.model import PatchEmbedding
from asvit.networks.named import TimmModel
from asvit.runs.devices import use_threads
from asvit.study.contest_verdict import welch
from asvit.study.correlation import LEVEL
from asvit.training.classifier import ClassifierTraining
from asvit.training.fitting import AskedTraining
from asvit.training.loading import leave_with_parent
from asvit.training.recipe import TrainRecipe
from asvit.training.resident import Resident, stored_size
from asvit.training.settings import ImageData, Running
from asvit.training.settled import settle
from asvit.units import parse_image_size
from asvit.zoo import AsViTForTimm

PLAIN = "plain"


class Convolved(nn.Module):
    """A 3x3 convolution of a map whose channels are last."""

    def __init__(self, dim: int, *, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, 3, padding=1, groups=groups)

    def forward(self, x_BHWC: Tensor) -> Tensor:
        return self.conv(x_BHWC.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def with_convolution_in_ffn(model: AsViTForTimm) -> None:
    """Put a depth-wise one before the GELU of every FFN, as in PVTv2 (Wang et al., 2022)."""
    for ffn in [module for module in model.modules() if isinstance(module, FFN)]:
        hidden = ffn.fc1.out_features
        ffn.register_module("act", nn.Sequential(Convolved(hidden, groups=hidden), nn.GELU()))


class Stem(PatchEmbedding):
    """Image to tokens by two 3x3 convolutions, the first of the base stride (after Xiao et al., 2021)."""

    def __init__(self, patches: PatchEmbedding) -> None:
        dim = patches.proj.out_channels
        super().__init__(patches.proj.in_channels, dim, kernel=3, stride=patches.base_stride)
        self.act, self.second = nn.GELU(), Convolved(dim, groups=1)
        self.last = nn.LayerNorm(dim)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.second(self.act(super().forward(images))))


def with_convolutional_stem(model: AsViTForTimm) -> None:
    """Put it in the place of the patch embedding."""
    model.embeddings[0] = Stem(model.patch_embedding)


def with_weights_by_fan_in(model: AsViTForTimm) -> None:
    """Draw linear weights so that a layer keeps the deviation of what it sees, at any width."""
    model.initialise(initialisation="fan-in")


@dataclass(frozen=True)
class Variant:
    """What is changed."""

    network: Callable[[AsViTForTimm], None] = lambda _: None
    recipe: Callable[[TrainRecipe], TrainRecipe] = lambda recipe: recipe


VARIANTS = {
    PLAIN: Variant(),
    "conv_ffn": Variant(with_convolution_in_ffn),
    "conv_stem": Variant(with_convolutional_stem),
    "fan_in": Variant(with_weights_by_fan_in),
    "twice_the_rate": Variant(recipe=lambda recipe: replace(recipe, lr=2 * recipe.lr)),
}


def register(variant: str, architecture: str, image_size: tuple[int, int]) -> TimmModel:
    """Tell timm of a variant of a network, in this process; its name there."""
    name = f"variant_{variant}"
    if not is_model(name):
        create = partial(create_variant, VARIANTS[variant].network, architecture, image_size)
        create.__name__, create.__module__ = name, __name__  # type: ignore[attr-defined]
        register_model(create)
    return TimmModel(name)


def create_variant(
    change: Callable[[AsViTForTimm], None],
    architecture: str,
    image_size: tuple[int, int],
    pretrained: bool = False,
    *,
    num_classes: int,
    in_chans: int,
    drop_path_rate: float = 0.0,
    **_: Any,
) -> nn.Module:
    """A network with a change, under timm's conventions."""
    model = AsViTForTimm(
        Architecture.parse(architecture),
        img_size=image_size,
        num_classes=num_classes,
        in_chans=in_chans,
        drop_path_rate=drop_path_rate,
    )
    change(model)
    return model


@dataclass(frozen=True)
class Pilot:
    """What all trainings are told."""

    architecture: str
    data: str
    image_size: tuple[int, int]
    epochs: int
    out: Path


def train(pilot: Pilot, variant: str, seed: int) -> dict[str, Any]:
    """Train a variant, in a process of its own: accuracy after each epoch, seconds, and how large it is."""
    leave_with_parent()
    use_threads(1)
    network, device = register(variant, pilot.architecture, pilot.image_size), torch.device("cpu")
    asked = AskedTraining(changes={"epochs": pilot.epochs, "image_size": pilot.image_size, "schedule": "none"})
    settled = settle(network, ImageData(data=pilot.data), asked, None)
    # As a race with --resident.
    recipe = VARIANTS[variant].recipe(replace(settled.recipe, randaugment=None, random_erasing=0.0))
    size = stored_size(recipe)
    training = ClassifierTraining(
        network,
        Resident(settled.train, size, device),
        Resident(settled.val, size, device, evaluation=True),
        recipe,
        settled.schedule,
        seed=seed,
        device=device,
        running=Running(),
    )
    training.advance(pilot.out / f"{variant}-{seed}", lambda _: None)
    epochs = training.state.epochs
    said = {"top1": [epoch.top1 for epoch in epochs], "seconds": sum(epoch.seconds for epoch in epochs)}
    print(variant, seed, said, flush=True)
    images = torch.zeros(1, settled.task.in_chans, *pilot.image_size)
    costs = {"params": count_params(training.model), "macs": count_macs(training.model, images)}
    return {"variant": variant, "seed": seed} | costs | said


def compared(trainings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Each variant's accuracies in the end, and its mean less that of the plain network with its 95 % interval."""
    found: dict[str, list[float]] = {}
    for one in trainings:
        found.setdefault(one["variant"], []).append(one["top1"][-1])
    plain = Estimate.of(found[PLAIN])
    others = {variant: Estimate.of(values) for variant, values in found.items() if variant != PLAIN}
    gains = {variant: asdict(welch(values, plain, LEVEL)) for variant, values in others.items()}
    return {"top1": found, "gain": gains}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture")
    parser.add_argument("--data", required=True)
    parser.add_argument("--image-size", type=parse_image_size, default=(64, 64))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pilot = Pilot(options.architecture, options.data, options.image_size, options.epochs, options.out)
    plan = [(variant, seed) for seed in range(options.seeds) for variant in options.only]
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        trainings = list(pool.map(train, repeat(pilot), *zip(*plan, strict=True)))
    text = json.dumps(provenance() | compared(trainings) | {"trainings": trainings}, indent=2) + "\n"
    print(text)
    if options.json is not None:
        options.json.write_text(text)


if __name__ == "__main__":
    main()
