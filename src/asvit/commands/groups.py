"""Option groups made of settings: a field of a settings class is an option, and its docstring the option's help.

What is left out on the command line is what the recipe says, or the file that names the network, or the run that is
continued: :meth:`Options.over` puts what was said in the place of the rest.
"""

import ast
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

from cyclopts import Group, Parameter

from asvit.commands.help import shown_default

SettingsT = TypeVar("SettingsT")
OWN = "the settings' own default"
"""Says that an option which is left out has the default of its field; for others a few words say whose it has."""
REQUIRED = "none"
"""Says that an option cannot be left out."""


class Options(Generic[SettingsT]):
    """Fields of a settings class as options; a subclass says which ones, and where they stand in the help.

    >>> from asvit.measure.settings import Use
    >>> class Some(Options[Use], of=Use, take={"batch_size": OWN}, group=Group("Use")): ...
    >>> Some(batch_size=8).over(Use(precision="bfloat16"))
    Use(batch_size=8, precision='bfloat16')
    """

    _of: type | None = None
    _read: Mapping[str, Callable[[Any], Any]] = {}

    def __init_subclass__(
        cls,
        *,
        of: type | None = None,
        take: Mapping[str, str] | None = None,
        read: Mapping[str, Callable[[str], Any]] | None = None,
        explain: Mapping[str, str] | None = None,
        group: Group | None = None,
    ) -> None:
        """Make options of fields, in front of those that the class has itself.

        Args:
            of: the settings class.
            take: its fields by name; for each, whose default it is.
            read: fields that are written as text, and what reads them.
            explain: help of fields whose docstring does not say how they are written.
            group: heading in the help.
        """
        super().__init_subclass__()
        take, read, explain = take or {}, read or {}, explain or {}
        taken: dict[str, Any] = {}
        hints = {} if of is None else get_type_hints(of)
        for name, whose in take.items():
            assert of is not None
            kind = str if name in read else hints[name]
            words = explain.get(name) or described(of, name, whose)
            optional = kind if whose == REQUIRED else kind | None
            taken[name] = Annotated[optional, Parameter(help=words, negative=(), consume_multiple=True)]
            if whose != REQUIRED:
                setattr(cls, name, None)
        cls._of = of or cls._of
        cls.__annotations__ = taken | inspect.get_annotations(cls)
        cls._read = {**cls._read, **{name: read.get(name, lambda value: value) for name in take}}
        dataclass(frozen=True, kw_only=True)(cls)
        (Parameter(name="*") if group is None else Parameter(name="*", group=group))(cls)

    def __post_init__(self) -> None:
        """Refuse what the settings refuse, before a command has begun with anything."""
        if self._of is not None and not needed_by(self._of) - self.given.keys():
            self._of(**self.given)

    @property
    def given(self) -> dict[str, Any]:
        """Fields of the settings class that were said on the command line."""
        values = {name: getattr(self, name) for name in self._read}
        return {name: self._read[name](value) for name, value in values.items() if value is not None}

    @property
    def settings(self) -> SettingsT:
        """Settings as they were said, with the class's own defaults for the rest."""
        assert self._of is not None
        return self._of(**self.given)

    def over(self, settings: SettingsT) -> SettingsT:
        """Settings with what was said in their place."""
        return replace(settings, **self.given)  # pyright: ignore[reportArgumentType], a dataclass


def needed_by(settings: type) -> set[str]:
    """Fields of a settings class that have no default.

    >>> from asvit.measure.settings import Carefulness, Use
    >>> sorted(needed_by(Carefulness)), needed_by(Use)
    (['angles', 'kernel_images', 'repeats'], set())
    """
    return {field.name for field in fields(settings) if field.default is MISSING and field.default_factory is MISSING}


def described(settings: type, name: str, whose: str) -> str:
    """Help of an option: the field's docstring, and what it is where it is left out.

    >>> from asvit.measure.settings import Use
    >>> described(Use, "batch_size", OWN), described(Use, "batch_size", "the run's")
    ('Images at a time (default: 1).', "Images at a time (default: the run's).")
    """
    words = " ".join(docstrings(settings)[name].split())
    if whose == REQUIRED:
        return words
    default = next(field.default for field in fields(settings) if field.name == name)
    if whose == OWN:
        shown = None if default is MISSING else shown_default(default)
        if shown is None:
            return words
        whose = shown
    return f"{words.removesuffix('.')} (default: {whose})."


@cache
def classes_in(module: str) -> dict[str, ast.ClassDef]:
    """Classes of a module as they stand in its source, by name."""
    source = inspect.getsource(sys.modules[module])
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


@cache
def docstrings(settings: type) -> dict[str, str]:
    """Docstrings of the fields of a settings class, its own and those that it inherits.

    >>> from asvit.measure.settings import Use
    >>> docstrings(Use)["batch_size"]
    'Images at a time.'
    """
    texts: dict[str, str] = {}
    for owner in reversed(settings.__mro__[:-1]):
        for field, text in pairwise(classes_in(owner.__module__)[owner.__name__].body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                texts[field.target.id] = ast.literal_eval(text.value)
    return texts
