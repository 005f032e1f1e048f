"""What every result file says about where it came from, and what all programs here do alike."""

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
GOES_ON = 75
"""Exit code where time ran out with progress kept: the system's own for a failure that passes (EX_TEMPFAIL)."""
SAY_NOTHING = ("--json", "--csv", "--keep", "--out", "--work", "--carried")
"""Options of where files go, which say nothing about what is in them."""
BY_NAME = ("--data", "--images")
"""Options of where images lie, of which the name says what they are."""


def provenance() -> dict[str, str]:
    """Command, hardware, versions, commit and date."""
    hardware = [f"{os.cpu_count()} cores of {processor()}"]
    versions = [f"Python {platform.python_version()}", *map(named_version, ("asvit", "torch", "timm", "numpy"))]
    if torch.cuda.is_available():
        hardware.append(torch.cuda.get_device_name())
        versions.append(f"CUDA {torch.version.cuda}")
    return {
        "command": command(sys.argv),
        "hardware": ", ".join(hardware),
        "versions": ", ".join(versions),
        "commit": commit(ROOT),
        "date": date.today().isoformat(),
    }


def command(arguments: Sequence[str]) -> str:
    """The command of a program here, as anyone may repeat it."""
    script = Path(arguments[0])
    script = script.relative_to(ROOT) if script.is_relative_to(ROOT) else script
    return repeatable(["python", str(script)], arguments[1:])


def repeatable(program: Sequence[str], arguments: Sequence[str]) -> str:
    """A command without where files go, and with paths of this machine by name."""
    words = [*program]
    for word in arguments:
        words += word.split("=", 1) if word.startswith("--") else [word]
    for option in SAY_NOTHING:
        while option in words:
            del words[words.index(option) : words.index(option) + 2]
    named = [before in BY_NAME or word.startswith("/") for before, word in zip(["", *words], words, strict=False)]
    return shlex.join(Path(word).name if by_name else word for word, by_name in zip(words, named, strict=True))


def processor() -> str:
    """Model of the CPU."""
    said = Path("/proc/cpuinfo")
    lines = said.read_text().splitlines() if said.exists() else []
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())


def named_version(package: str) -> str:
    """A package with its version; one that is there without saying which is of an unknown one."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} of unknown version"


def commit(root: Path) -> str:
    """Of a checkout; of a copy without its history what was written down for it."""
    if (root / ".git").exists():
        try:
            describe = ["git", "-C", str(root), "describe", "--always", "--dirty"]
            return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):  # no git here, or another user's checkout
            pass
    carried = root / "carried" / "commit"
    return carried.read_text().strip() if carried.exists() else "unknown"


def asvit(*words: str) -> list[str]:
    """The command line of asvit as this Python runs it, with or without a console script."""
    return [sys.executable, "-m", "asvit", *words]


def timed(
    run: Callable[[], Any], device: torch.device, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, Any]:
    """Seconds of one call until the device has done all it was asked to, and what the call returned."""
    synchronize(device)
    begin = clock()
    found = run()
    synchronize(device)
    return clock() - begin, found


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def watching_card(device: str) -> Iterator[Callable[[], float | None]]:
    """Around work on a card: then the share of the time that it was busy; None for a CPU, or where nobody can tell."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200"]
    watcher = None
    if device.startswith("cuda"):
        index = torch.device(device).index or 0
        try:
            watcher = subprocess.Popen([*query, f"--id={index}"], stdout=subprocess.PIPE, text=True)
        except OSError:
            print("nvidia-smi is not there: how busy the card was is not known", file=sys.stderr)
    shares: list[float | None] = []

    def share() -> float | None:
        return shares[0] if shares else None

    try:
        yield share
    finally:
        said = ""
        if watcher is not None:
            watcher.terminate()
            said, _ = watcher.communicate()
        busy = [int(line) for line in said.split() if line.isdecimal()]
        shares.append(round(sum(busy) / len(busy) / 100, 3) if busy else None)
