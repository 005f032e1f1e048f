"""Docstrings of the source as Markdown: references of Sphinx become links, examples become blocks of code."""

import re
from typing import Any

import griffe

REFERENCE = re.compile(r":(?:class|func|data|meth|mod|attr):`(~?)([\w.]+)`")
EXAMPLE = re.compile(r"(?:^>>>.*\n?(?:^(?!\s*$).*\n?)*)", re.MULTILINE)


class Docstrings(griffe.Extension):
    """What mkdocstrings hands the package to, before it parses docstrings."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite the docstrings of a whole package, in which every name can be resolved."""
        rewrite(pkg)


def rewrite(obj: griffe.Object) -> None:
    """Rewrite an object's docstring and those of its members."""
    if obj.docstring is not None:
        obj.docstring.value = as_markdown(obj.docstring.value, obj)
    for member in obj.members.values():
        if isinstance(member, griffe.Object):
            rewrite(member)


def as_markdown(text: str, scope: griffe.Object) -> str:
    """Links and blocks of code in place of references and examples; names as they are in some scope."""

    def link(found: re.Match[str]) -> str:
        tilde, name = found.groups()
        first, *rest = name.split(".")
        path = name if first == "asvit" else ".".join([scope.resolve(first), *rest])
        return f"[`{name.rsplit('.', 1)[-1] if tilde else name}`][{path}]"

    return EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", REFERENCE.sub(link, text))
