"""Networks by the names that people give them, read once into a value: an architecture, a model of timm, a function.

Needs no torch: what makes a module of a value is :mod:`asvit.networks.building`.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asvit.errors import UserError
from asvit.networks.architecture import ARCHITECTURES, Architecture, Task
from asvit.runs.json_files import converted
from asvit.runs.records import Json, read_file

TIMM = "timm:"
FUNCTION = re.compile(r"(?P<module>[^\W\d][\w.]*):(?P<attribute>[^\W\d][\w.]*)")

NOT_OWN = {
    *("num_classes", "in_chans", "img_size", "drop_path_rate"),  # which the task and the recipe give
    *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_model_args"),
    *("checkpoint_path", "cache_dir", "device", "dtype"),
    *("features_only", "out_indices", "scriptable", "exportable", "no_jit"),
}
"""Arguments of timm's factory that are no model's own: images and classes, where weights are, what else to make."""

Scalar = bool | int | float | str
Argument = Scalar | tuple[Scalar, ...]
"""Value of an argument of a model of timm."""


@dataclass(frozen=True)
class TimmModel:
    """A classifier of timm, with arguments where some differ from those of its name.

    >>> str(TimmModel("resnet18"))
    'timm:resnet18'
    """

    model_name: str
    arguments: tuple[tuple[str, Argument], ...] = ()
    """Names and values, in the order of names."""

    @classmethod
    def parse(cls, text: str) -> "TimmModel":
        """A model from its name, and arguments after colons: ``timm:name:argument=value:argument=value,value``.

        >>> TimmModel.parse("timm:swin_tiny_patch4_window7_224:patch_size=2:depths=2,2,6,2").arguments
        (('depths', (2, 2, 6, 2)), ('patch_size', 2))

        Raises:
            UserError: an argument has no name or value, is there twice, or is not the model's own.
        """
        name, *given = text.removeprefix(TIMM).split(":")
        arguments = [_parse_argument(text, word) for word in given]
        names = [argument for argument, _ in arguments]
        twice = next((argument for argument in names if names.count(argument) > 1), None)
        if twice is not None:
            raise UserError(f"{text} says {twice} more than once: expected each argument once")
        return cls(name, tuple(sorted(arguments)))

    def __str__(self) -> str:
        return ":".join([TIMM + self.model_name, *(f"{name}={_written(value)}" for name, value in self.arguments)])


def _parse_argument(text: str, word: str) -> tuple[str, Argument]:
    name, _, value = word.partition("=")
    if not name.isidentifier() or not value:
        raise UserError(
            f"cannot read {word!r} in {text}: expected arguments after colons, such as :patch_size=8 or :depths=2,2,6,2"
        )
    if name in NOT_OWN:
        raise UserError(
            f"{name} is no argument for {':'.join(text.split(':')[:2])}: images, classes and weights are given by "
            "options; expected one of the model's own, such as patch_size=8"
        )
    if "," not in value:
        return name, _parse_scalar(value)
    return name, tuple(map(_parse_scalar, value.removesuffix(",").split(",")))


def _parse_scalar(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _written(value: Argument) -> str:
    """An argument's value as :func:`_parse_argument` reads it.

    >>> _written((2,)), _written((1, 0.5)), _written(True)
    ('2,', '1,0.5', 'true')
    """
    if isinstance(value, tuple):
        return ",".join(map(_written, value)) + "," * (len(value) == 1)
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class NetworkFunction:
    """A function of the user's own that makes a network, by the convention of :mod:`asvit.networks.callables`.

    >>> function = NetworkFunction("my.nets:tiny")
    >>> function.module, function.attribute
    ('my.nets', 'tiny')
    """

    text: str
    """The function's name, ``package.module:callable``."""

    @property
    def module(self) -> str:
        """Name of the module to import."""
        return self.text.partition(":")[0]

    @property
    def attribute(self) -> str:
        """Name of the callable in it; dots go into classes."""
        return self.text.partition(":")[2]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _ArchitectureFile:
    """What a file of a single architecture holds, as far as all of them hold the same."""

    architecture: str
    """Text form."""


@dataclass(frozen=True)
class _WrittenTask:
    """A task in a file, of which no part is missing."""

    image_size: tuple[int, int]
    in_chans: int
    num_classes: int


LONGEST_TEXT = 200
"""Characters of a text form in a file; the longest of sensible numbers has some sixty."""

Network = Architecture | TimmModel | NetworkFunction
"""What a user's name for a network stands for; ``str`` of it is the name that records keep."""


def parse_network(name: str) -> Network:
    """A network from its name: text form, published name, ``timm:NAME`` or ``package.module:callable``.

    A model of timm may have arguments: ``timm:vit_tiny_patch16_224:patch_size=8``.

    >>> parse_network("timm:resnet18"), parse_network("seed").width
    (TimmModel(model_name='resnet18', arguments=()), 32)
    """
    if name.startswith(TIMM):
        return TimmModel.parse(name)
    if FUNCTION.fullmatch(name):
        return NetworkFunction(name)
    return Architecture.parse(name)


def read_network(text: str) -> Network:
    """A network from what a user wrote: one of the names that :func:`parse_network` reads, or the path of a file.

    >>> str(read_network("timm:resnet18"))
    'timm:resnet18'
    """
    return parse_network(text) if is_foreign(text) else read_architecture(text)


def is_foreign(text: str) -> bool:
    """Whether a name stands for a network that is not asvit's: a model of timm, or a function.

    >>> is_foreign("timm:resnet18"), is_foreign("my.nets:tiny"), is_foreign("seed")
    (True, True, False)
    """
    return text.startswith(TIMM) or FUNCTION.fullmatch(text) is not None


def read_architecture(text: str) -> Architecture:
    """Architecture from a published name, a text form, or the path of a file that a job wrote.

    >>> read_architecture("small").width
    88
    """
    if is_foreign(text):
        raise UserError(
            f"{text} is none of asvit's networks: expected one of those; `asvit measure {text} --metrics params,macs` "
            "says what it costs"
        )
    content = _architecture_file(text)
    if content is None:
        return Architecture.parse(text)
    if "architecture" not in content:
        raise UserError(f"{text} names no single architecture: expected a file below its folder's family/")
    written = converted(content, _ArchitectureFile, text).architecture
    if len(written) > LONGEST_TEXT:
        raise UserError(f"{text} is damaged: its architecture is a text of {len(written)} characters; repeat its job")
    try:
        return Architecture.parse(written)
    except UserError as error:
        raise UserError(f"{text} is damaged: {error}") from error


def read_task(text: str) -> Task | None:
    """Images and classes that a file of an architecture was written for; None where ``text`` names no file.

    >>> read_task("small") is None
    True
    """
    content = _architecture_file(text)
    if content is None or "task" not in content:
        return None
    converted(content["task"], _WrittenTask, text)
    return converted(content["task"], Task, text)


def _architecture_file(text: str) -> Json | None:
    path = Path(text)
    if text in ARCHITECTURES or "|" in text or not (path.suffix == ".json" or path.exists()):
        return None
    if path.is_dir():
        raise UserError(
            f"{path} is a folder: expected one of the architecture files in it, such as {path}/family/*.json"
        )
    return read_file(path)
