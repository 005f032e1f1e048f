"""Commands in processes of their own that need not import torch again: forks of one that has.

The command itself, its arguments, output, exit code and answers to signals are those of the console script. As a
script, this file is the process that forks.
"""

import atexit
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from multiprocessing.util import _exit_function
from pathlib import Path
from typing import Any

LOADED = (
    "torch", "timm", "scipy.stats", "sklearn.datasets", "skimage.data", "altair", "vl_convert", "optuna",
    "asvit.commands.app", "asvit.design.job", "asvit.training.job", "asvit.detection.job", "asvit.study.job",
    "asvit.export.job", "asvit.report.page",
)  # fmt: skip
"""What most commands load, asvit's own rooms among it, and takes seconds."""


@cache
def _forker() -> subprocess.Popen:
    forker = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    atexit.register(forker.communicate)  # it ends with its input
    return forker


class Started:
    """A command at work in a process of its own."""

    def __init__(
        self, arguments: Sequence[str | Path], cwd: Path, *, largest_file: int | None = None, **environment: str
    ) -> None:
        """Start it in a folder; a disk is full for files beyond `largest_file` bytes."""
        self.words = list(map(str, arguments))
        self.said = tempfile.TemporaryDirectory()
        self.code: int | None = None
        asked = {"words": self.words, "cwd": str(cwd), "said": self.said.name}
        self.pid: int = _ask(start=asked | {"largest_file": largest_file, "environment": environment})

    def at_work(self) -> bool:
        """Whether it has not ended yet."""
        if self.code is None:
            self.code = _ask(look=self.pid)
        return self.code is None

    def send(self, signal_number: int) -> None:
        os.kill(self.pid, signal_number)

    def ended(self) -> subprocess.CompletedProcess:
        """Wait for its end."""
        if self.code is None:
            self.code = _ask(wait=self.pid)
        with self.said:
            out, err = [(Path(self.said.name) / name).read_text() for name in ("out", "err")]
        return subprocess.CompletedProcess(["asvit", *self.words], self.code, out, err)


def run(arguments: Sequence[str | Path], cwd: Path, **options: Any) -> subprocess.CompletedProcess:
    """Run `asvit` with arguments in a folder, to its end."""
    return Started(arguments, cwd, **options).ended()


def run_together(arguments: Sequence[str | Path], cwd: Path) -> list[subprocess.CompletedProcess]:
    """Run a command in two processes that know of each other, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        meeting = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1])}
    counts = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    pair = [Started(arguments, cwd, **meeting, **counts, RANK=rank, LOCAL_RANK=rank) for rank in ("0", "1")]
    return [started.ended() for started in pair]


def processes_in(folder: Path) -> list[int]:
    """Processes at work in a folder: what a command has started works where it does."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # one that has ended, or is another user's
            if (process / "cwd").resolve(strict=True) == folder.resolve():
                found.append(int(process.name))
    return found


def _ask(**request: Any) -> Any:
    forker = _forker()
    assert forker.stdin is not None
    assert forker.stdout is not None
    forker.stdin.write(json.dumps(request) + "\n")
    return json.loads(forker.stdout.readline())


def _serve() -> None:
    for module in LOADED:
        import_module(module)
    import_module("asvit.report.page").drawing_scripts()  # kept in memory, where every page takes them from

    for line in sys.stdin:
        ((kind, value),) = json.loads(line).items()
        print(json.dumps({"start": _start, "look": _look, "wait": _wait}[kind](value)), flush=True)


def _start(asked: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        _become(**asked)
    return child


def _look(child: int) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _become(words: list[str], cwd: str, said: str, largest_file: int | None, environment: dict[str, str]) -> None:
    """Be the command; never returns."""
    from asvit.__main__ import main

    os.chdir(cwd)
    os.environ.update(environment)
    sys.argv = ["asvit", *words]
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(f"{said}/{name}", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    try:
        main()
    except SystemExit:
        pass
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        # What a console script does at its end: what its loading processes shared is taken away, and last of all it
        # ends with its exit code. multiprocessing, loaded before the fork, would come after that.
        _exit_function()
        atexit._run_exitfuncs()


if __name__ == "__main__":
    _serve()
