"""The command line is what it was: all commands with their options, groups, defaults and values.

A change that is meant is written down by `uv run python tests/test_golden_commands.py`.
"""

import dataclasses
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclopts import App

GOLDEN = Path(__file__).parent / "golden" / "commands.json"


def commands(app: App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every command below an app, in the order of its help, with what it takes."""
    for name in app:
        if not name.startswith("-"):
            yield from commands(app[name], (*words, name))
    if app.default_command is not None:
        arguments = [a for a in app.assemble_argument_collection() if a.parse and not dataclasses.is_dataclass(a.hint)]
        yield " ".join(words), [described(argument) for argument in arguments]


def described(argument: Any) -> dict[str, Any]:
    """Names, group, default and type of an argument."""
    default = argument.field_info.default
    return {
        "names": list(argument.names),
        "group": [group.name for group in argument.parameter.group or ()],
        "default": None if default is inspect.Parameter.empty else str(default),
        "required": argument.required,
        "type": argument.hint.__name__ if isinstance(argument.hint, type) else str(argument.hint),
    }


def now() -> dict[str, list[dict[str, Any]]]:
    from asvit.commands.app import app

    return dict(commands(app))


def test_commands_and_their_options_are_what_they_were():
    golden = json.loads(GOLDEN.read_text())
    found = now()
    assert list(found) == list(golden)
    for command, arguments in golden.items():
        by_name = {argument["names"][-1]: argument for argument in found[command]}
        assert by_name == {argument["names"][-1]: argument for argument in arguments}, command


if __name__ == "__main__":
    rows = (f'"{command}": [\n' + ",\n".join(map(json.dumps, found)) + "\n]" for command, found in now().items())
    GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n")
