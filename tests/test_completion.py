"""Completion in real shells: commands and options, choices, and names of files where nothing else is known."""

import os
import pty
import select
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from asvit.commands.app import app

PATIENCE = 30
"""Seconds without a character after which a shell is taken to answer no more."""
SHELLS = {
    "bash": ("bash --norc -i", "source scripts/_cyclopts_asvit"),
    "zsh": ("zsh -f -i", "fpath=($PWD/scripts $fpath); autoload -Uz compinit && compinit -u -D"),
}
COMPLETED = {
    "asvit eval": "asvit evaluate ",
    "asvit design --recipe qu": "asvit design --recipe quick ",
    "asvit evaluate my": "asvit evaluate my\\ runs/",
    "asvit train seed --start my\\ runs/fa": "asvit train seed --start my\\ runs/family.json ",
    "asvit predict my\\ runs/fa": "asvit predict my\\ runs/family.json ",
}


@contextmanager
def opened(command: str, folder: Path):
    """Terminal of a shell that works in a folder."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        program = command.split()
        os.execvpe(program[0], program, {"PATH": path, "TERM": "dumb", "PS1": "> ", "HOME": str(folder)})
    try:
        yield terminal
    finally:
        os.write(terminal, b"\x15exit\n")
        read_until("\0", terminal)
        os.close(terminal)
        os.waitpid(child, 0)


def read_until(awaited: str, terminal: int) -> str:
    """What a shell shows up to a text, or until it has been silent for long, or has ended."""
    shown = ""
    while awaited not in shown and select.select([terminal], [], [], PATIENCE)[0]:
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except OSError:
            break
    return shown


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_a_shell_completes_commands_choices_and_files(tmp_path, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    for file in ("my runs/family.json", "scripts/_cyclopts_asvit"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).touch()
    (tmp_path / "scripts" / "_cyclopts_asvit").write_text(app.generate_completion(shell=shell))
    command, load = SHELLS[shell]
    with opened(command, tmp_path) as terminal:
        os.write(terminal, f"{load}; echo re''ady\n".encode())
        assert "not found" not in read_until("ready", terminal)
        for typed, completed in COMPLETED.items():
            os.write(terminal, f"{typed}\t".encode())
            assert completed in read_until(completed, terminal)
            os.write(terminal, b"\x15")
