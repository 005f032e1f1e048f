"""A trained classifier: from a checkpoint of ours, or timm's pretrained weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal
from unicodedata import normalize

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from asvit.errors import UserError, one_line
from asvit.images import Normalisation, as_mode, from_array
from asvit.networks.architecture import Architecture, Task
from asvit.networks.building import build_trainable, check_in_timm
from asvit.networks.named import TIMM, Network, TimmModel, parse_network
from asvit.runs.json_files import complaint, read_json
from asvit.training.augment import Transform, evaluation_transform
from asvit.training.checked import (
    check_epochs,
    check_finite,
    check_fit,
    check_looking,
    check_named_network,
    check_names,
    check_taken,
)
from asvit.training.checkpoint import Header, fill, load_weights
from asvit.training.results import Epoch
from asvit.training.retokenize import enter
from asvit.training.state import State
from asvit.units import ValueRange


@dataclass(frozen=True, kw_only=True)
class ClassifierHeader(Header):
    """What a classifier's checkpoint says beside its weights."""

    schema: ClassVar[str] = "asvit-checkpoint-1"
    job: ClassVar[str] = "train"

    network: str
    """Text form of an architecture, or ``timm:NAME``."""
    task: Task
    classes: tuple[str, ...]
    test_crop: float
    normalisation: Normalisation | None = None
    """Mean and deviation of the images; None, in files of earlier versions: those of photographs."""
    value_range: ValueRange | None = None
    """Values of arrays that became 0 and 1; None: as their type says."""
    coarseness: int
    """Coarseness of the tokens that the weights were last trained with."""
    state: State[Epoch] = field(default_factory=State)

    def check(self, weights: Mapping[str, Tensor]) -> None:
        """Refuse what does not fit these weights, or what no training says."""
        network = check_named_network(self.network, self.task, weights)
        stride = network.topology.base_stride if isinstance(network, Architecture) else 1
        # Powers of two, up to the coarseness at which an image is one token.
        if self.coarseness.bit_count() != 1 or not 1 <= self.coarseness * stride <= max(self.task.image_size):
            raise UserError(f"its tokens are {self.coarseness} times coarser")
        check_names(self.classes, self.task.num_classes)
        check_looking(self.task, self.normalisation, self.value_range, self.test_crop)
        check_epochs(self.state.epochs, self.state.epoch)

    def build(self) -> nn.Module:
        """The network that it speaks of, freshly drawn."""
        return build_trainable(parse_network(self.network), self.task)

    @property
    def looking(self) -> "Looking":
        """How images are made ready for the network."""
        usual = Normalisation.usual(self.task.in_chans)
        return Looking(self.test_crop, self.normalisation or usual, value_range=self.value_range)


@dataclass(frozen=True)
class Looking:
    """How a trained network looks at images."""

    test_crop: float
    """Share of an image's side that it is given, around the centre."""
    normalisation: Normalisation
    interpolation: str = "bicubic"
    """How photographs are resampled."""
    value_range: ValueRange | None = None
    """Values of arrays that become 0 and 1; None: as their type says."""

    def transform(self, image_size: tuple[int, int]) -> Transform:
        """Makes of an image as a source reads it what a network of this image size reads."""
        return evaluation_transform(image_size, self.test_crop, self.normalisation, interpolation=self.interpolation)


@dataclass(frozen=True)
class Classifier:
    """A trained network, and what one needs to know to use it.

    >>> classifier = read_classifier("runs/digits")  # doctest: +SKIP
    >>> classifier.predict(PIL.Image.open("four.png"))[0]  # doctest: +SKIP
    ('4', 0.97)
    """

    network: Network
    """Architecture, or model of timm."""
    model: nn.Module
    """Network in evaluation mode: logits of normalised images ``B x channels x height x width``."""
    task: Task
    classes: tuple[str, ...]
    """Names, in the order of the logits."""
    looking: Looking

    @property
    def transform(self) -> Transform:
        """Makes of an image what the model reads, as in evaluation."""
        return self.looking.transform(self.task.image_size)

    def predict(
        self, image: Any, top: int = 5, *, device: torch.device = torch.device("cpu")
    ) -> list[tuple[str, float]]:
        """Classes of an image with their probabilities, the likeliest first.

        Args:
            image: PIL image, which is turned as its EXIF data say; array ``height x width x channels`` of uint8,
                uint16, floats from 0 to 1, or of the training's range of values; or tensor ``channels x height x
                width`` from 0 to 1.
            top: classes, at most as many as there are.
            device: where the model is.

        Raises:
            UserError: an array has another number of channels, values are not finite, or probabilities are none.
        """
        with torch.inference_mode():
            logits = self.model(self.transform(self._readable(image))[None].to(device))[0].cpu()
        if not logits.isfinite().all():
            raise UserError(
                f"the outputs of {self.network} are not finite: its weights or the image hold infinite values or NaN; "
                "take another checkpoint, or train again"
            )
        shares = logits.softmax(0)
        best = shares.topk(min(top, len(self.classes)))
        return [(self.classes[i], share) for i, share in zip(best.indices.tolist(), best.values.tolist(), strict=True)]

    def _readable(self, image: Any) -> Any:
        """An image as a source would read it."""
        if isinstance(image, np.ndarray):
            try:
                image = from_array(image, self.task.in_chans, self.looking.value_range)
            except ValueError as error:
                raise UserError(f"cannot read the image: {error}") from error
        if isinstance(image, Tensor):
            if not image.isfinite().all():
                raise UserError("cannot read the image: it has values that are not finite")
            return image
        if self.task.in_chans not in (1, 3):
            raise UserError(
                f"cannot read the image: a picture has at most three channels, but the network reads "
                f"{self.task.in_chans}: expected an array of height x width x {self.task.in_chans}"
            )
        return as_mode(image, "RGB" if self.task.in_chans == 3 else "L")


def read_classifier(text: str | Path, *, averaged: bool = True) -> Classifier:
    """A trained network from what a user wrote.

    Args:
        text: checkpoint, run directory of `asvit train` (its best checkpoint), folder that `asvit export` wrote for
            timm, or ``timm:NAME`` for timm's pretrained weights.
        averaged: whether to take the moving average of a checkpoint's weights where there is one.

    Raises:
        UserError: there is no such thing, it is damaged, or a weight is infinite or NaN.
    """
    path = Path(text)
    if str(text).startswith(TIMM):
        return load_pretrained(TimmModel.parse(str(text)))
    if (path / "config.json").exists():
        return load_exported(path)
    return load_checkpoint(path, averaged=averaged)


def load_checkpoint(path: Path, *, averaged: bool = True) -> Classifier:
    """The network of a checkpoint with its weights, in evaluation mode.

    Args:
        path: checkpoint, or the run directory of a training: then its best one.
        averaged: whether to take the moving average of the weights where there is one.
    """
    weights, header, file = load_weights(path, ClassifierHeader, averaged=averaged)
    model = header.build()
    fill(model, weights, file)
    if header.coarseness > 1:
        enter(model, header.coarseness)
    return Classifier(parse_network(header.network), model.eval(), header.task, header.classes, header.looking)


def load_pretrained(network: TimmModel) -> Classifier:
    """A pretrained timm model in evaluation mode.

    Raises:
        UserError: timm has no such model or weights, cannot fetch them, or one is infinite or NaN.
    """
    import timm

    check_in_timm(network)
    arguments: dict[str, Any] = dict(network.arguments)
    try:
        model = timm.create_model(network.model_name, pretrained=True, **arguments)
        check_finite(model.state_dict())
        return made_by_timm(network, model)
    except (RuntimeError, OSError, TypeError, ValueError) as error:
        raise UserError(f"timm has no weights of {network} here: {one_line(error)}") from error


@dataclass(frozen=True)
class ExportedArguments:
    """How timm is to make a network, where that is not all in its name."""

    architecture: str | None = None
    """Text form of a network of ours."""


@dataclass(frozen=True)
class ExportedInput:
    """What an exported network reads."""

    input_size: tuple[int, int, int]
    """Channels, height, width."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_pct: float
    interpolation: Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]
    """timm's names."""


@dataclass(frozen=True)
class Exported:
    """The ``config.json`` of an export for timm, as far as it is read here."""

    architecture: str
    """timm's name of the model: ``asvit``, with a text form among the arguments, or another."""
    num_classes: int
    pretrained_cfg: ExportedInput
    model_args: ExportedArguments = ExportedArguments()
    network_name: str | None = None
    """The name of a model of timm with arguments, as it was given: timm records others too."""
    label_names: tuple[str, ...] | None = None
    value_range: ValueRange | None = None

    @property
    def name(self) -> str:
        """Text form, or ``timm:NAME``."""
        names = self.model_args.architecture, self.network_name, TIMM + self.architecture
        return next(name for name in names if name is not None)

    @property
    def network(self) -> Network:
        """Architecture, or model of timm."""
        return parse_network(self.name)

    @property
    def task(self) -> Task:
        """Images and classes."""
        in_chans, height, width = self.pretrained_cfg.input_size
        return Task(image_size=(height, width), in_chans=in_chans, num_classes=self.num_classes)

    def check(self, weights: Mapping[str, Tensor]) -> None:
        """Refuse what does not fit these weights, before anything is built."""
        network = check_named_network(self.name, self.task, weights)
        if isinstance(network, Architecture):
            check_fit(weights, lambda: build_trainable(network, self.task))
        read = self.pretrained_cfg
        check_looking(self.task, Normalisation(read.mean, read.std), self.value_range, read.crop_pct)
        check_finite(weights)


EXPORTED = "a folder that `asvit export` wrote"


def load_exported(folder: Path) -> Classifier:
    """The network of a folder that `asvit export` wrote for timm, in evaluation mode.

    Raises:
        UserError: it is damaged, or holds no weights.
    """
    import timm

    import asvit.networks.timm_model  # noqa: F401, registers our networks

    exported = read_json(folder / "config.json", Exported, EXPORTED)
    try:
        weights = read_tensors(folder / "model.safetensors")
        exported.check(weights)
        check_in_timm(TimmModel(exported.architecture))
        model: Any = timm.create_model(f"local-dir:{folder.resolve()}", pretrained=True)
        check_taken(weights, model)
        if exported.label_names is not None:
            check_names(exported.label_names, model.num_classes)
    except Exception as error:  # whatever timm's models make of arguments that are not theirs
        raise UserError(f"cannot load {folder}: {complaint(error)}; expected {EXPORTED}") from error
    return made_by_timm(exported.network, model, exported.value_range)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file.

    Raises:
        UserError: it is missing, damaged or no file.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{path.name} is damaged: {complaint(error)}") from error


def made_by_timm(network: Network, model: Any, value_range: ValueRange | None = None) -> Classifier:
    """A model of timm's factory with its weights, by what timm knows of it, and the range of values that it reads."""
    from timm.data.imagenet_info import ImageNetInfo

    config, count = model.pretrained_cfg, model.num_classes
    in_chans, *size = config["input_size"]
    known = ImageNetInfo().label_names() if count == 1000 else map(str, range(count))
    task = Task(image_size=(size[0], size[1]), in_chans=in_chans, num_classes=count)
    # JSON may hold whole numbers beyond 64 bits.
    mean, deviation = (tuple(map(float, config[name])) for name in ("mean", "std"))
    normalisation = Normalisation(mean, deviation)
    looking = Looking(float(config["crop_pct"]), normalisation, config["interpolation"], value_range)
    return Classifier(network, model.eval(), task, tuple(config.get("label_names") or known), looking)


def labels_of(classes: Sequence[str], outputs: Sequence[str], network: str) -> tuple[int, ...]:
    """Output of a network for every class of some images; accents count alike, composed or not.

    >>> labels_of(["cat", "owl"], ["ant", "cat", "owl"], "a network")
    (1, 2)
    """
    place = {normalize("NFC", name): i for i, name in enumerate(outputs)}
    names = [normalize("NFC", name) for name in classes]
    unknown = [name for name in names if name not in place]
    if unknown:
        known = ", ".join(outputs[:5]) + (", ..." if len(outputs) > 5 else "")
        raise UserError(
            f"{network} does not know the class {unknown[0]}: expected images of its {len(outputs)} classes ({known})"
        )
    return tuple(place[name] for name in names)
