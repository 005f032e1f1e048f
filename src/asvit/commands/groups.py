"""Option groups made of settings: a field of a settings class is an option, and its docstring the option's help.

What is left out on the command line is what the recipe says, or the file that names the network, or the run that is
continued: :meth:`Options.over` puts what was said in the place of the rest.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

from cyclopts import Group, Parameter

SettingsT = TypeVar("SettingsT")
OWN = "the settings' own default"
"""Of an option that is left out; for others a few words say whose default it is."""


class Options(Generic[SettingsT]):
    """Fields of a settings class as options; a subclass says which ones, and where they stand in the help.

    >>> from asvit.measure.settings import Use
    >>> class Some(Options[Use], of=Use, take={"batch_size": OWN}, group=Group("Use")): ...
    >>> Some(batch_size=8).over(Use(precision="bfloat16"))
    Use(batch_size=8, precision='bfloat16')
    """

    _read: Mapping[str, Callable[[Any], Any]] = {}

    def __init_subclass__(
        cls,
        *,
        of: type | None = None,
        take: Mapping[str, str] | None = None,
        read: Mapping[str, Callable[[str], Any]] | None = None,
        explain: Mapping[str, str] | None = None,
        group: Group | None = None,
        **parameter: Any,
    ) -> None:
        """Make options of fields, in front of those that the class has itself.

        Args:
            of: settings class.
            take: its fields by name; for each, whose default it is.
            read: fields that are written as text, and what reads them.
            explain: help of fields whose docstring does not say how they are written.
            group: heading in the help.
            parameter: of cyclopts, for all options of the class.
        """
        super().__init_subclass__()
        take, read, explain = take or {}, read or {}, explain or {}
        taken: dict[str, Any] = {}
        for name, whose in take.items():
            assert of is not None
            kind = str if name in read else get_type_hints(of)[name]
            words = explain.get(name) or described(of, name, whose)
            taken[name] = Annotated[kind | None, Parameter(help=words, negative=(), consume_multiple=True)]
            setattr(cls, name, None)
        cls.__annotations__ = taken | inspect.get_annotations(cls)
        cls._read = {**cls._read, **{name: read.get(name, lambda value: value) for name in take}}
        dataclass(frozen=True, kw_only=True)(cls)
        headed = {} if group is None else {"group": group}
        Parameter(name="*", **headed, **parameter)(cls)

    @property
    def given(self) -> dict[str, Any]:
        """Fields of the settings class that were said on the command line."""
        said = {name: getattr(self, name) for name in self._read}
        return {name: self._read[name](value) for name, value in said.items() if value is not None}

    def over(self, settings: SettingsT) -> SettingsT:
        """Settings with what was said in their place."""
        return replace(settings, **self.given)  # pyright: ignore[reportArgumentType], a dataclass


def described(settings: type, name: str, whose: str) -> str:
    """Help of an option: the field's docstring, and what it is where it is left out.

    >>> from asvit.measure.settings import Use
    >>> described(Use, "batch_size", OWN), described(Use, "batch_size", "the run's")
    ('Images at a time (default: 1).', "Images at a time (default: the run's).")
    """
    words = " ".join(docstrings(settings)[name].split())
    default = next(field.default for field in fields(settings) if field.name == name)
    if whose == OWN:
        if default in (MISSING, None, False):
            return words
        whose = str(default)
    return f"{words.removesuffix('.')} (default: {whose})."


@cache
def docstrings(settings: type) -> dict[str, str]:
    """Docstrings of the fields of a settings class, its own and those that it inherits.

    >>> from asvit.measure.settings import Use
    >>> docstrings(Use)["batch_size"]
    'Images at a time.'
    """
    found: dict[str, str] = {}
    for owner in reversed(settings.__mro__[:-1]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(tree, ast.ClassDef)
        for field, said in pairwise(tree.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(said, ast.Expr):
                found[field.target.id] = ast.literal_eval(said.value)
    return found
