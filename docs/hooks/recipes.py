"""Tables of recipes, made of the recipes themselves: ``<!-- recipes: MODULE -->`` on a page becomes one.

A row is a field of the recipe's class, with the words that stand below the field in the source.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

PLACE = re.compile(r"^<!-- recipes: ([\w.]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables in."""
    return PLACE.sub(lambda found: recipes_table(importlib.import_module(found[1]).RECIPES), markdown)


def recipes_table(recipes: Mapping[str, Any]) -> str:
    """Markdown table: a row for every field, a column for every recipe."""
    rows = {name: dict(flat(recipe)) for name, recipe in recipes.items()}
    words = dict(flat_words(type(next(iter(recipes.values())))))
    names = list(dict.fromkeys(field for row in rows.values() for field in row))
    head = ["", "", *(f"`{name}`" for name in rows)]
    lines = [head, ["---"] * len(head)]
    lines += [[f"`{field}`", words.get(field, ""), *(shown(row[field]) for row in rows.values())] for field in names]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def flat(recipe: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Fields and values, those of a dataclass within a recipe under ``outer.inner``."""
    found = []
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        found += flat(value, f"{prefix}{field.name}.") if is_dataclass(value) else [(prefix + field.name, value)]
    return found


def flat_words(cls: type, prefix: str = "") -> list[tuple[str, str]]:
    """Fields and the string that documents each, as :func:`flat` names them."""
    found = []
    for base in reversed(cls.__mro__[:-1]):
        (node,) = ast.parse(inspect.getsource(base)).body
        assert isinstance(node, ast.ClassDef)
        for field, below in zip(node.body, node.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                    found.append((prefix + name, " ".join(text.replace("|", "\\|").split())))
    for field in fields(cls):
        inner = inspect.get_annotations(cls, eval_str=True).get(field.name)
        if inspect.isclass(inner) and is_dataclass(inner):
            found += flat_words(inner, f"{prefix}{field.name}.")
    return found


def shown(value: Any) -> str:
    """A value as people write it."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case (int() as height, int() as width):
            return f"{height}x{width}"
        case tuple():
            return ", ".join(map(shown, value))
        case float():
            return f"{value:g}"
        case _:
            return str(value)
