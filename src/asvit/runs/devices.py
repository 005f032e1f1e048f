"""Processors and GPUs: names, cores, memory, and the choice of one."""

import ctypes
import os
import re
import sys
from pathlib import Path

import torch

from asvit.errors import UserError


def device_name(device: torch.device) -> str:
    """Name of a device in results: the model of a CUDA device, or ``cpu`` or ``mps``.

    >>> device_name(torch.device("cpu"))
    'cpu'
    """
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def usable_cores() -> int:
    """Number of processor cores that this process may use.

    >>> 1 <= usable_cores() <= os.cpu_count()
    True
    """
    if hasattr(os, "sched_getaffinity"):  # macOS binds no process to cores
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory(device: torch.device) -> int:
    """Bytes of memory that a device has; an Apple GPU shares the machine's."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


DEVICES = "auto, cpu, cuda, cuda:i or mps"


def choose_device(name: str) -> torch.device:
    """Device of a name; ``auto`` is the first CUDA GPU where there is one, else the CPU: mps has to be asked for."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if re.fullmatch(r"cpu|mps|cuda(:\d{1,3})?", name, re.ASCII) is None:
        raise UserError(f"unknown device {name!r}: expected {DEVICES}")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"there is no device {name}: this machine has {torch.cuda.device_count()} CUDA devices, try cpu"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("there is no device mps: expected a Mac with Apple's GPU and a torch built for it; try cpu")
    return device


def use_threads(threads: int | None) -> None:
    """Compute with some threads on the CPU; None: with as many as torch chooses."""
    if threads is not None:
        torch.set_num_threads(threads)


def give_back_memory(beyond: int = 0) -> None:
    """Give memory that was freed back to the system, where its C library keeps it: glibc's does.

    Measurements of many sizes leave gaps between what is in use: half a gigabyte after eight.

    Args:
        beyond: bytes of this process up to which it keeps them.
    """
    if sys.platform == "linux" and _resident() > beyond and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
