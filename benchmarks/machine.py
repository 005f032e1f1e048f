"""What every result file says about where it came from."""

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def provenance() -> dict[str, str]:
    """Command, hardware, versions, commit and date."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    packages = ", ".join(f"{name} {version(name)}" for name in ("asvit", "torch", "timm", "numpy"))
    words = sys.argv.copy()
    for option in ("--json", "--keep", "--out"):  # where results go says nothing about them
        if option in words:
            del words[words.index(option) : words.index(option) + 2]
    for option in ("--data", "--images"):  # nor does where images lie
        if option in words:
            words[words.index(option) + 1] = Path(words[words.index(option) + 1]).name
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return {
        "command": "uv run python " + shlex.join(words),
        "hardware": f"{os.cpu_count()} cores of {cpu}{gpu}",
        "versions": f"Python {platform.python_version()}, {packages}",
        "commit": commit.stdout.strip(),
        "date": date.today().isoformat(),
    }


def timed(run: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Seconds of one call until the device has done all it was asked to, and what the call returned."""
    synchronize(device)
    begin = time.perf_counter()
    found = run()
    synchronize(device)
    return time.perf_counter() - begin, found


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
