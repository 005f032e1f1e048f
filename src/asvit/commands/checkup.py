"""What this machine has, what asvit finds of it, and what could be better: `asvit doctor`."""

import importlib.util
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

import torch
from packaging.requirements import Requirement
from rich.text import Text

from asvit.commands.tables import new_table, print_table, say
from asvit.errors import one_line
from asvit.runs.devices import memory, usable_cores


@dataclass(frozen=True)
class Device:
    """What a job may run on."""

    name: str
    """Name of the device, as ``--device`` takes it."""
    what: str
    memory: int
    """Memory in bytes."""


@dataclass(frozen=True)
class Checkup:
    """The state of an installation."""

    asvit: str
    python: str
    system: str
    torch: str
    cuda: str | None
    """Version of CUDA that torch is built for."""
    torchvision: str | None
    """Version of torchvision; None where it is not installed."""
    misfit: str | None
    """Why torchvision cannot be used with this torch."""
    devices: tuple[Device, ...]
    bytecode: bool
    """Whether torch's modules are kept compiled, without which every start compiles them anew."""
    lacking: Mapping[str, tuple[str, ...]]
    """Requirements that are not met, by extra."""

    def advice(self) -> Iterator[str]:
        """What could be better, and how."""
        if self.misfit is not None:
            yield (
                f"torchvision {self.torchvision} does not work with torch {self.torch} ({self.misfit}): "
                "install both anew from one index, as `uv pip install --reinstall torch torchvision` does"
            )
        if not any(device.name.startswith("cuda") for device in self.devices) and shutil.which("nvidia-smi"):
            built = f"is built for CUDA {self.cuda}: update the driver" if self.cuda else "is built without CUDA"
            yield f"there is an NVIDIA driver, but torch sees no GPU; it {built}, or install another build of torch"
        if not self.bytecode:
            yield (
                "torch is not kept compiled, so that every start takes seconds longer: "
                f"`python -m compileall -q {Path(torch.__file__).parent}`, or install with UV_COMPILE_BYTECODE=1"
            )


def check() -> Checkup:
    """Look at this machine and installation."""
    torchvision = installed("torchvision")
    return Checkup(
        asvit=version("asvit"),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        torch=str(torch.__version__),
        cuda=torch.version.cuda,
        torchvision=torchvision,
        misfit=None if torchvision is None else why_torchvision_fails(),
        devices=tuple(devices()),
        bytecode=Path(importlib.util.cache_from_source(torch.__file__)).exists(),
        lacking={extra: tuple(unmet(extra)) for extra in metadata("asvit").get_all("Provides-Extra") or ()},
    )


def devices() -> Iterator[Device]:
    """What torch can compute on here."""
    yield Device("cpu", f"{usable_cores()} cores", memory(torch.device("cpu")))
    for i in range(torch.cuda.device_count()):
        device = torch.device("cuda", i)
        yield Device(str(device), torch.cuda.get_device_name(device), memory(device))
    if torch.backends.mps.is_available():
        yield Device("mps", "Apple's GPU, taken only when asked for", torch.mps.recommended_max_memory())


def why_torchvision_fails() -> str | None:
    """Why torchvision's compiled operators do not work with this torch; None where they do."""
    try:
        import_module("torchvision.ops").nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        return one_line(error)
    return None


def unmet(extra: str) -> Iterator[str]:
    """Requirements of an extra of asvit that are not met here."""
    for text in requires("asvit") or ():
        requirement = Requirement(text)
        if requirement.marker is None or not requirement.marker.evaluate({"extra": extra}):
            continue
        if requirement.name == "asvit":
            for inner in sorted(requirement.extras):
                yield from unmet(inner)
        elif (present := installed(requirement.name)) is None or not requirement.specifier.contains(present, True):
            yield f"{requirement.name}{requirement.specifier}"


def installed(distribution: str) -> str | None:
    """Version of an installed distribution."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def show_checkup(checkup: Checkup) -> None:
    """Print what was checkup."""
    say(f"asvit {checkup.asvit}, Python {checkup.python}, {checkup.system}")
    say(f"torch {checkup.torch}, built {f'for CUDA {checkup.cuda}' if checkup.cuda else 'without CUDA'}")
    say(f"torchvision: {vision(checkup)}")
    table = new_table()
    for column in ("--device", "", "memory"):
        table.add_column(column)
    for device in checkup.devices:
        table.add_row(device.name, device.what, f"{device.memory / 1e9:.1f} GB")
    print_table(table)
    table = new_table()
    for column in ("extra", "lacks", "install with"):
        table.add_column(column, overflow="fold")
    for extra, lacking in checkup.lacking.items():
        table.add_row(extra, ", ".join(lacking) or "nothing", Text(f'pip install "asvit[{extra}]"' if lacking else ""))
    print_table(table)
    for line in checkup.advice():
        say(line)


def vision(checkup: Checkup) -> str:
    """What there is to say of torchvision."""
    if checkup.torchvision is None:
        return "not installed, which training and detection need"
    return f"{checkup.torchvision}, which {'does not work with this torch' if checkup.misfit else 'fits this torch'}"
