"""Commands in processes of their own that need not import torch again: forks of one that has.

The command itself, its arguments, output and exit code are those of the console script, which the tests that kill
processes start. As a script, this file is the process that forks.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path

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


def run(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess:
    """Run `asvit` with arguments in a folder."""
    forker = _forker()
    assert forker.stdin is not None
    assert forker.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        forker.stdin.write(json.dumps([arguments, str(cwd), folder]) + "\n")
        code = int(forker.stdout.readline())
        said = [(Path(folder) / name).read_text() for name in ("out", "err")]
    return subprocess.CompletedProcess(["asvit", *arguments], code, *said)


def _serve() -> None:
    for module in LOADED:
        import_module(module)
    import_module("asvit.report.page").drawing_scripts()  # kept in memory, where every page takes them from

    for line in sys.stdin:
        arguments, cwd, folder = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(arguments, cwd, folder)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, flush=True)


def _become(arguments: list[str], cwd: str, folder: str) -> None:
    """Be the command; never returns."""
    from asvit.commands.app import main

    os.chdir(cwd)
    sys.argv = ["asvit", *arguments]
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
    code = 1
    try:
        main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        atexit._run_exitfuncs()  # as a console script ends, with what its loading processes shared taken away
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
