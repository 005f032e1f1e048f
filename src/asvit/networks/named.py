"""Networks by the names that people give them, read once into a value: an architecture, a model of timm, a function.

Needs no torch: what makes a module of a value is :mod:`asvit.networks.building`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from asvit.errors import UserError
from asvit.networks.architecture import ARCHITECTURES, Architecture, Task
from asvit.runs.json_files import converted
from asvit.runs.records import Json, read_file

TIMM = "timm:"
FUNCTION = re.compile(r"(?P<module>[^\W\d][\w.]*):(?P<attribute>[^\W\d][\w.]*)")


@dataclass(frozen=True)
class TimmModel:
    """A classifier of timm.

    >>> str(TimmModel("resnet18"))
    'timm:resnet18'
    """

    model_name: str

    def __str__(self) -> str:
        return TIMM + self.model_name


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

    >>> parse_network("timm:resnet18"), parse_network("seed").width
    (TimmModel(model_name='resnet18'), 32)
    """
    if name.startswith(TIMM):
        return TimmModel(name.removeprefix(TIMM))
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
            f"{text} is none of asvit's networks: expected one of those; what it costs says "
            f"`asvit measure {text} --metrics params,macs`"
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
