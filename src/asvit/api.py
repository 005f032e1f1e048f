"""What ``import asvit`` offers: a family for a budget, a network as a module, training, prediction, measures.

Each function is a few lines on those that the commands run; the packages below hold the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from asvit.design.budget import Budget
from asvit.design.family import Member
from asvit.design.grow import GrowthSettings
from asvit.design.job import metrics_of, run_design
from asvit.design.pipeline import design
from asvit.design.ranking import parse_score
from asvit.design.recipes import RECIPES
from asvit.design.results import DesignResult
from asvit.design.search import SearchSettings
from asvit.design.settings import DesignSettings
from asvit.errors import UserError, did_you_mean, from_extra
from asvit.measure.estimates import Measurement
from asvit.measure.job import prepare
from asvit.measure.meter import UsageMeter
from asvit.measure.settings import Measuring, Use
from asvit.measure.subject import subject_of
from asvit.networks.architecture import Architecture, Task
from asvit.networks.building import create_in_timm
from asvit.networks.callables import load_callable, make_network
from asvit.networks.model import AsViT
from asvit.networks.named import Network, NetworkFunction, TimmModel, read_network, read_task
from asvit.networks.space import SpaceName, space_for
from asvit.runs.job import Job
from asvit.training.fitting import AskedTraining
from asvit.training.recipe import TrainRecipe
from asvit.training.settings import ImageData
from asvit.units import ImageSize, Kind, ValueRange, height_and_width

if TYPE_CHECKING:
    from asvit.training.trained import Classifier

RecipeT = TypeVar("RecipeT")
Bounds = str | int | float | Sequence[str | int | float]
"""One budget or several: ``3_000_000``, ``"3M"``, ``"8ms"``; seconds and bytes as numbers."""


def design_family(
    *,
    image_size: ImageSize | None = None,
    in_chans: int = 3,
    num_classes: int = 1000,
    params: Bounds = (),
    macs: Bounds = (),
    latency: Bounds = (),
    memory: Bounds = (),
    images: str | Path | None = None,
    recipe: str = "quick",
    score: str = "length,ntk",
    base_stride: int = 4,
    space: SpaceName = "paper",
    seed: int = 0,
    device: str = "auto",
    out: str | Path | None = None,
) -> DesignResult:
    """Design a family of Vision Transformers without training: a network for every budget, as `asvit design` does.

    Args:
        image_size: side in pixels, or height and width; None: the recipe's, 224.
        in_chans: channels of the images.
        num_classes: classes to tell apart.
        params: budgets in parameters.
        macs: budgets in multiply-adds for one image.
        latency: budgets in time of a forward pass of one image on the device.
        memory: budgets in memory of such a pass.
        images: folder of images that the kernel sees; None: photographs that come with scikit-image.
        recipe: ``quick`` (minutes on a laptop), ``paper``, or ``smoke`` (seconds, for tests).
        score: measures that networks are chosen by.
        base_stride: pixels between tokens of the first stage; 1 or 2 for small images.
        space: paper, which is Table 1; or wide, with wider kernels and expansions as well.
        seed: random seed, the number that all randomness follows from.
        device: auto, cpu, cuda, cuda:i or mps.
        out: run directory, in which the same call goes on after an interruption; None: nothing is written.

    Returns:
        The search, the growth, and in ``family`` a member for every budget.

    Raises:
        UserError: a budget is below the smallest network, or something cannot be read.

    >>> result = design_family(image_size=32, num_classes=10, params="600k", recipe="smoke")
    >>> result.family[0].params <= 600_000
    True
    """
    chosen = _recipe_named(recipe, RECIPES)
    size = chosen.image_size if image_size is None else image_size
    task = Task(image_size=size, in_chans=in_chans, num_classes=num_classes)
    asked: dict[Kind, Bounds] = {"params": params, "macs": macs, "latency": latency, "memory": memory}
    budgets = [_budget(kind, bound) for kind, bounds in asked.items() for bound in _several(bounds)]
    objectives = parse_score(score)
    settings = DesignSettings.of(
        chosen,
        task,
        budgets,
        space=space_for(task.image_size, base_stride, space),
        search=SearchSettings(steps=chosen.steps, score=objectives),
        growth=GrowthSettings(score=objectives),
    )
    measuring = Measuring(settings=chosen.settings(), images=None if images is None else Path(images))
    if out is not None:
        job = Job(out=Path(out), seed=seed, device=device, command="asvit.design_family(...)")
        return run_design(settings, recipe=recipe, measuring=measuring, job=job).result
    measurer = prepare(measuring, task, Job(seed=seed, device=device), metrics=metrics_of(objectives))
    return design(settings, measurer, meter=UsageMeter(task, measurer.device))


def build(
    network: "str | Path | Member | Network",
    task: Task | None = None,
    *,
    image_size: ImageSize | None = None,
    in_chans: int | None = None,
    num_classes: int | None = None,
) -> nn.Module:
    """A network as a torch module with fresh weights: ``images B x channels x height x width -> logits``.

    Args:
        network: member of a family, published name (seed, small, base, large), text form, architecture file,
            ``timm:NAME``, or ``package.module:function``.
        task: images and classes, such as the ``task`` of a design; None: those of the file that names the network, or
            224x224 images of 3 channels in 1000 classes.
        image_size: side in pixels, or height and width, in place of the task's.
        in_chans: channels of the images in place of the task's.
        num_classes: number of classes in place of the task's.

    Returns:
        An :class:`~asvit.networks.model.AsViT`, or what timm or the function makes.

    >>> import torch
    >>> build("small", image_size=96, num_classes=12)(torch.zeros(2, 3, 96, 96)).shape
    torch.Size([2, 12])
    """
    given = _named(network)
    task = _task_of(network, task, image_size=image_size, in_chans=in_chans, num_classes=num_classes)
    match given:
        case TimmModel():
            return create_in_timm(given, task, num_classes=task.num_classes).train()
        case NetworkFunction():
            return make_network(load_callable(given), str(given), task).train()
    return AsViT(given, image_size=task.image_size, in_chans=task.in_chans, num_classes=task.num_classes)


def train(
    network: "str | Path | Member | Network",
    data: str | Path,
    *,
    task: Task | None = None,
    recipe: str = "auto",
    start: str | Path | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    data_folder: str | Path | None = None,
    in_chans: int | None = None,
    value_range: ValueRange | None = None,
    workers: int | None = None,
    **changes: Any,
) -> Path:
    """Train a classifier into a run directory, with coarse tokens first, as `asvit train` does.

    The same call goes on after an interruption.

    Args:
        network: one of the kinds that :func:`build` takes, but no function.
        data: folder or tar file with a part for train and one for val, each with a subfolder per class; or
            ``wds:FOLDER``, ``hf:NAME``, ``torch:NAME``, ``digits``.
        task: images and classes that the network was designed for, such as the ``task`` of a design, for a member of a
            family; None: those of the file that names the network.
        recipe: auto, for the number of images and their size; imagenet, imagenette, cifar10, digits or smoke.
        start: trained network that it starts from, of the same form: run directory of a training, checkpoint, folder
            that `asvit export` wrote, or ``timm`` for timm's pretrained weights; None: random weights.
        out: run directory; None: one below ``runs``, named after the configuration.
        seed: random seed, the number that all randomness follows from.
        device: auto, cpu, cuda, cuda:i or mps.
        data_folder: folder in which Hugging Face or torchvision keep their files.
        in_chans: read pictures in grey (1) or colour (3); of arrays, the channels that they have to have.
        value_range: values of arrays that become 0 and 1; None: 0 and, of whole numbers, the largest of their type, of
            others 1.
        workers: processes that load images; 0: this process alone, as in a script without
            ``if __name__ == "__main__":``. None: a core each but for one, at most 8.
        changes: fields of :class:`~asvit.training.recipe.TrainRecipe` in place of the recipe's, such as ``epochs=50``.

    Returns:
        The run directory, which :func:`load` takes.

    Raises:
        UserError: images or network cannot be read, or do not fit each other.

    >>> classifier = load(train("seed", "digits", recipe="smoke", out="runs/doctest"))  # doctest: +SKIP
    """
    with from_extra("train"):
        from asvit.training.job import run_train

    unknown = sorted(changes.keys() - {field.name for field in fields(TrainRecipe)})
    if unknown:
        known = ", ".join(field.name for field in fields(TrainRecipe))
        hint = did_you_mean(unknown[0], known.split(", "))
        raise UserError(f"a training recipe has no {unknown[0]}: {hint}expected some of {known}")
    if "image_size" in changes:
        changes["image_size"] = height_and_width(changes["image_size"])
    images = ImageData(
        data=str(data),
        data_folder=None if data_folder is None else Path(data_folder),
        in_chans=in_chans,
        value_range=value_range,
    )
    finished = run_train(
        _named(network),
        images,
        AskedTraining(recipe=recipe, changes=changes),
        designed=task or _designed(network, needed="image_size" not in changes),
        start=None if start is None else str(start),
        adjust=lambda usual: usual if workers is None else replace(usual, workers=workers),
        job=Job(out=None if out is None else Path(out), seed=seed, device=device, command="asvit.train(...)"),
    )
    assert finished is not None  # one process
    return finished.directory.path


def load(trained: str | Path, *, averaged: bool = True) -> "Classifier":
    """A trained classifier, with its own preprocessing and class names.

    Args:
        trained: run directory of a training (its best checkpoint), checkpoint, folder that `asvit export` wrote for
            timm, or ``timm:NAME`` for timm's pretrained weights.
        averaged: whether to take the moving average of the weights where there is one.

    Returns:
        ``.predict(image)`` takes a PIL image or an array; ``.model`` is the torch module.

    >>> load("runs/digits").predict(image)[0]  # doctest: +SKIP
    ('4', 0.97)
    """
    with from_extra("train"):
        from asvit.training.trained import read_classifier

    return read_classifier(trained, averaged=averaged)


def measure_network(
    network: "str | Path | Member | Network",
    metrics: Sequence[str] = ("length", "ntk", "params", "macs"),
    *,
    task: Task | None = None,
    image_size: ImageSize | None = None,
    in_chans: int | None = None,
    num_classes: int | None = None,
    images: str | Path | None = None,
    recipe: str = "paper",
    batch_size: int = 1,
    seed: int = 0,
    device: str = "auto",
) -> Measurement:
    """Measures of an untrained network with error bars, and what it costs in use, as `asvit measure` takes them.

    Args:
        network: one of the kinds that :func:`build` takes.
        metrics: names out of :data:`~asvit.measure.metrics.METRICS`; latency, throughput and memory
            describe the network in use.
        task: images and classes, as for :func:`build`.
        image_size: side in pixels, or height and width, in place of the task's.
        in_chans: channels of the images in place of the task's.
        num_classes: number of classes in place of the task's.
        images: folder of images that the kernel sees; None: photographs that come with scikit-image.
        recipe: name that says how carefully is measured: paper, quick or smoke.
        batch_size: images at a time in use.
        seed: random seed, the number that all randomness follows from.
        device: auto, cpu, cuda, cuda:i or mps.

    Raises:
        NotAdmitted: the network does not admit a measure.

    >>> measurement = measure_network("seed", ["length", "params"], image_size=32, recipe="smoke")
    >>> round(measurement.estimates["params"].mean)
    2321672
    """
    task = _task_of(network, task, image_size=image_size, in_chans=in_chans, num_classes=num_classes)
    measuring = Measuring(
        settings=_recipe_named(recipe, RECIPES).settings(), images=None if images is None else Path(images)
    )
    job = Job(seed=seed, device=device)
    measurer = prepare(measuring, task, job, metrics=metrics, use=Use(batch_size=batch_size))
    return measurer(subject_of(_named(network), task))


def _recipe_named(name: str, recipes: Mapping[str, RecipeT]) -> RecipeT:
    """A recipe by its name.

    >>> _recipe_named("quick", RECIPES).steps
    50
    """
    if name not in recipes:
        hint = did_you_mean(name, recipes)
        raise UserError(f"there is no recipe {name!r}: {hint}expected one of {', '.join(recipes)}")
    return recipes[name]


def _named(network: "str | Path | Member | Network") -> Network:
    """The network that an argument stands for."""
    match network:
        case Member():
            return Architecture.parse(network.architecture)
        case str() | Path():
            return read_network(str(network))
    return network


def _designed(network: object, *, needed: bool) -> Task | None:
    """What the file that names a network was written for; None where there is none.

    Raises:
        UserError: it is needed, and the network is a member of a family, which does not say it.
    """
    if isinstance(network, Member) and needed:
        raise UserError(
            "a member of a family does not say for which images it was designed: give the design's, task=result.task"
        )
    return read_task(str(network)) if isinstance(network, str | Path) else None


def _task_of(
    network: object, task: Task | None, *, image_size: ImageSize | None, in_chans: int | None, num_classes: int | None
) -> Task:
    """Images and classes as they were given; the rest from the network's file, or else the paper's."""
    task = task or _designed(network, needed=None in (image_size, in_chans, num_classes))
    given: dict[str, Any] = {"image_size": image_size, "in_chans": in_chans, "num_classes": num_classes}
    return replace(task or Task(), **{name: value for name, value in given.items() if value is not None})


def _several(bounds: Bounds) -> Sequence[str | int | float]:
    """Bounds as a sequence.

    >>> _several("3M"), _several(["3M", 10**7])
    (('3M',), ['3M', 10000000])
    """
    return (bounds,) if isinstance(bounds, str | int | float) else bounds


def _budget(kind: Kind, bound: str | int | float) -> Budget:
    """One budget.

    >>> str(_budget("params", 3_000_000)), str(_budget("latency", "8ms"))
    ('3M parameters', '8ms of latency')
    """
    return Budget.parse(kind, bound) if isinstance(bound, str) else Budget(kind, bound)
