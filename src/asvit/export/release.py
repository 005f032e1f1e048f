"""What is handed over: a network with its weights, and all that a user of it has to know."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

import asvit.networks.timm_model
from asvit.complexity.usage import Precision
from asvit.errors import UserError
from asvit.images import Normalisation
from asvit.networks.architecture import Architecture, Task
from asvit.networks.building import build_trainable
from asvit.networks.named import Network, TimmModel, parse_network
from asvit.networks.refusing import refusing
from asvit.runs.job import check_seed
from asvit.runs.json_files import converted
from asvit.runs.read import Config
from asvit.runs.records import RUN, Json, recorded
from asvit.training.checkpoint import fill, load_weights
from asvit.training.recipe import TrainRecipe
from asvit.training.results import Epoch
from asvit.training.schedule import Stage
from asvit.training.trained import ClassifierHeader, Looking

TEST_CROP = 0.875
"""Share of a side that a freshly drawn network is given, as is usual; a trained one keeps its recipe's."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """A network in evaluation mode with its weights, and what is known of it.

    >>> release = drawn(Architecture.parse("seed"), Task(image_size=(32, 32), in_chans=1), seed=0)
    >>> release.preprocessing["input_size"], release.preprocessing["mean"]
    ((1, 32, 32), (0.449,))
    """

    network: Network
    """Architecture, or model of timm."""
    model: nn.Module
    """The network, made by timm so that it knows its arguments."""
    task: Task
    classes: tuple[str, ...] = ()
    """Names, in the order of the outputs; empty where nobody has named them."""
    looking: Looking
    """How images are made ready for it."""
    seed: int | None = None
    """Random seed of freshly drawn weights; None: they were trained."""
    epoch: Epoch | None = None
    """Epoch after which the weights were saved, with their scores; None: they were not scored."""
    training: Json | None = None
    """What `asvit train` was asked, where its run directory is still around the checkpoint."""

    @property
    def name(self) -> str:
        """Text form of an architecture, or ``timm:NAME``."""
        return str(self.network)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What makes of an image what the network reads, in timm's words."""
        channels = self.task.in_chans
        return {
            "input_size": (channels, *self.task.image_size),
            "mean": self.looking.normalisation.mean,
            "std": self.looking.normalisation.std,
            "interpolation": "bicubic" if channels == 3 else "bilinear",
            "crop_pct": self.looking.test_crop,
            "crop_mode": "center",
        }

    @property
    def description(self) -> str:
        """What a file of weights alone does not say, as JSON."""
        what = {"network": self.name, "classes": self.classes, "preprocessing": self.preprocessing}
        return json.dumps(what | {"value_range": self.looking.value_range})

    @cached_property
    def program(self) -> torch.export.ExportedProgram:
        """The network as a graph for batches of any size."""
        images = torch.zeros(2, self.task.in_chans, *self.task.image_size)
        with refusing(self.name, "traced by torch.export", "export it with --to timm"):
            return torch.export.export(self.model, (images,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))


def drawn(architecture: Architecture, task: Task, *, seed: int) -> Release:
    """A freshly drawn network of an architecture."""
    check_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = in_timm(architecture, task)
    looking = Looking(TEST_CROP, Normalisation.usual(task.in_chans))
    return Release(network=architecture, model=model.eval(), task=task, looking=looking, seed=seed)


def trained(path: Path) -> Release:
    """The network of a checkpoint; where a moving average of the weights was kept and scored, with that.

    Args:
        path: checkpoint, or the run directory of `asvit train`: then its best one.

    Raises:
        UserError: it is no classifier's, or one that still has coarse tokens.
    """
    weights, header, file = load_weights(path, ClassifierHeader, averaged=True)
    if header.coarseness > 1:
        raise UserError(
            f"{file} was saved while tokens were still {header.coarseness} times coarser, which other tools do not "
            "know: expected a checkpoint of the last stage of its schedule, such as the run directory's best"
        )
    network = parse_network(header.network)
    model = in_timm(network, header.task)
    fill(model, weights, file)
    scored = header.state.epochs[-1] if header.state.epochs and not header.state.step else None
    return Release(
        network=network,
        model=model.eval(),
        task=header.task,
        classes=header.classes,
        looking=header.looking,
        epoch=scored,
        training=asked(file),
    )


def in_timm(network: Network, task: Task) -> nn.Module:
    """A network as timm's factory makes it."""
    if isinstance(network, TimmModel):
        return build_trainable(network, task)
    return timm.create_model(
        asvit.networks.timm_model.ANY,
        architecture=str(network),
        img_size=task.image_size,
        in_chans=task.in_chans,
        num_classes=task.num_classes,
    )


@dataclass(frozen=True)
class Images:
    """Numbers of images in both parts of the data."""

    train: int
    val: int


@dataclass(frozen=True)
class TrainedAs(Config):
    """Configuration of a training, as far as a card speaks of it."""

    data: str
    train: TrainRecipe
    images: Images
    schedule: tuple[Stage, ...]
    precision: Precision


def asked(checkpoint: Path) -> Json | None:
    """Configuration of the training whose run directory a checkpoint lies in; None where it was moved away."""
    run = checkpoint.parent.parent
    record = recorded(run)
    if record is None or record["job"] != ClassifierHeader.job:
        return None
    converted(record["config"], TrainedAs, str(run / RUN))
    return record["config"]
