"""Keeps torch's words about its own deprecated parts out of the build, as the command line does."""

from typing import Any

from asvit.errors import hush


def on_startup(**_: Any) -> None:
    """Before any page's code runs."""
    hush()
