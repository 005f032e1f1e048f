"""Commands at work, each in a session of its own, and their processes as Linux's /proc shows them."""

import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from machine import asvit
from storm_jobs import RUN, Job

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
HELPER = "SIGKILL of a helper"
"""What happens to a process that loads or trains for a job."""
MARK = "ASVIT_STORM"
"""Variable in the environment of every process of a launch."""


class Launch:
    """A command at work, in a session of its own."""

    numbers = itertools.count()

    def __init__(self, job: Job, folder: Path) -> None:
        """Start it, and wait until asvit answers signals."""
        self.folder, self.mark = folder, f"{os.getpid()}-{next(self.numbers)}"
        self.errors = folder / f"errors-{self.mark}"
        (folder / "tmp").mkdir(exist_ok=True)
        around = {**os.environ, MARK: self.mark, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}
        self.found = temporary(folder)
        """Temporary files that an earlier launch has left."""
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                asvit(*job.arguments),
                cwd=folder,
                env=around,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        while self.process.poll() is None and not listens(self.process.pid):
            time.sleep(0.002)
        self.began = time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        try:
            self.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def strike(self, how: str, rng: np.random.Generator) -> bool:
        """Send a signal; returns whether there was somebody to send it to."""
        if how == HELPER:
            helpers: list[int] = []
            while not helpers and self.process.poll() is None:
                helpers = helpers_of(self.process.pid, self.mark)
                time.sleep(0.002)
            return bool(helpers) and sent(int(rng.choice(helpers)), signal.SIGKILL)
        if self.process.poll() is not None:
            return False
        if how == "SIGINT":
            os.killpg(self.process.pid, signal.SIGINT)
            return True
        return sent(self.process.pid, SIGNALS[how])

    def said(self) -> str:
        """All that it has written on stderr."""
        return self.errors.read_text(errors="replace")

    def end(self) -> None:
        """End whatever is left of it."""
        for pid in marked(self.mark):
            sent(pid, signal.SIGKILL)
        self.process.wait()


def sent(pid: int, number: int) -> bool:
    """Whether a signal has reached a process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def listens(pid: int) -> bool:
    """Whether asvit's answer to signals has been set: Python itself never catches SIGTERM."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def marked(mark: str) -> list[int]:
    """Living processes of a launch."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def helpers_of(main: int, mark: str) -> list[int]:
    """Processes that load, measure or train: those that Python spawned, and those that its fork server made."""
    lines = command_lines(marked(mark))
    made = [pid for pid in lines if pid != main and "forkserver" in lines.get(parent_of(pid), "")]
    return made + [pid for pid, line in lines.items() if pid != main and "spawn_main" in line]


def command_lines(pids: Sequence[int]) -> dict[int, str]:
    """Command lines of processes, as far as they are still there."""
    lines = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            lines[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:300]
    return lines


def parent_of(pid: int) -> int:
    """Parent of a process; 0 where it has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def shared_memory() -> set[str]:
    """What lies in shared memory and is nobody's."""
    names = set(os.listdir("/dev/shm")) if os.path.exists("/dev/shm") else set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            text = maps.read_text()
            names = {name for name in names if name not in text}
    return names


def temporary(folder: Path) -> list[str]:
    """Files of a job that are there only while it is at work."""
    run = [path for path in (folder / RUN).rglob("*") if path.name == ".pid" or path.suffix == ".tmp"]
    return [str(path.relative_to(folder)) for path in [*run, *(folder / "tmp").iterdir()]]
