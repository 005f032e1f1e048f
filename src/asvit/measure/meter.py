"""Latency and memory of architectures on the device at hand, remembered in a ledger."""

import time
from dataclasses import asdict

import torch

from asvit.complexity.speed import RUNS, computing_threads, processor_name, usage
from asvit.complexity.usage import Usage
from asvit.measure.ledger import Entry, Ledger
from asvit.measure.settings import Use
from asvit.measure.subject import ArchitectureSubject, Subject, fitting
from asvit.networks.architecture import Architecture, Task
from asvit.networks.refusing import refusing

VERSION = 1
"""Number that grows whenever the same network would be measured otherwise; a ledger keeps its entries under it."""

_MEASURED = ("latency", "spread", "memory")


def usage_of(subject: Subject, use: Use, device: torch.device, *, runs: int = RUNS) -> Usage:
    """Latency and memory of a whole network as it is used, on random images: what budgets and comparisons go by.

    Args:
        subject: network to use.
        use: images at a time, and precision.
        device: device to use it on.
        runs: number of passes that the latency is the median of.

    Raises:
        NotAdmitted: it cannot be used so, or does not fit the device's memory.

    >>> seed = ArchitectureSubject(Architecture.parse("seed"), Task(image_size=(32, 32)))
    >>> usage_of(seed, Use(batch_size=2), torch.device("cpu"), runs=2).batch_size
    2
    """
    task, generator = subject.task, torch.Generator().manual_seed(0)
    images = torch.randn(use.batch_size, task.in_chans, *task.image_size, generator=generator)
    advice = "choose --precision float32, other metrics, another image size or another network"
    with refusing(subject.name, advice=advice), fitting(subject.name, use, device):
        return usage(subject.in_use().to(device), images.to(device), precision=use.precision, runs=runs)


class UsageMeter:
    """Runs networks as they are used, whole and with their classifier; a :data:`~asvit.design.costs.Meter`.

    What was measured once is not measured again: a repeated job takes the same decisions.

    >>> meter = UsageMeter(Task(image_size=(32, 32), num_classes=10), use=Use(batch_size=2))
    >>> seed = Architecture.parse("seed")
    >>> meter(seed, 3) == meter(seed, 3), meter(seed, 3).batch_size
    (True, 2)
    """

    def __init__(
        self,
        task: Task,
        device: torch.device | str = "cpu",
        *,
        use: Use = Use(),
    ) -> None:
        """Prepare to measure.

        Args:
            task: image size, channels and classes.
            device: device that networks run on; a CPU with the threads that torch computes with.
            use: images at a time, and precision.
        """
        self.task, self.use = task, use
        self.device = torch.device(device)
        self.remember_in(Ledger.in_memory())

    def remember_in(self, ledger: Ledger) -> None:
        """Look for measurements in ``ledger`` and keep new ones there; until then nothing outlives this object."""
        self._ledger = ledger

    @property
    def begun(self) -> bool:
        """Whether the ledger holds anything: the run that it belongs to goes on."""
        return not self._ledger.is_empty()

    def __call__(self, architecture: Architecture, runs: int) -> Usage:
        """Usage of a network, its latency the median over ``runs`` passes."""
        context, subject = self._ledger.context(self._describe(runs)), str(architecture)
        if not self._ledger.read(context, subject, 0):
            self._ledger.write(context, subject, {0: self._measure(architecture, runs)})
        entries = self._ledger.read(context, subject, 0)
        known = {name: entry.value for name, entry in entries.items() if entry.value is not None}
        return Usage(
            latency=known["latency"],
            spread=known["spread"],
            memory=round(known["memory"]),
            **asdict(self.use),
            device=processor_name(self.device),
            threads=computing_threads(self.device),
        )

    def _describe(self, runs: int) -> dict[str, object]:
        """All that a latency depends on beside the architecture."""
        return {
            "usage": VERSION,
            "torch": torch.__version__,
            "device": processor_name(self.device),
            "threads": computing_threads(self.device),
            **asdict(self.use),
            "runs": runs,
            **asdict(self.task),
        }

    def _measure(self, architecture: Architecture, runs: int) -> dict[str, Entry]:
        """Latency, spread and memory, each as an entry of a ledger."""
        begin = time.perf_counter()
        measured = usage_of(ArchitectureSubject(architecture, self.task), self.use, self.device, runs=runs)
        seconds = time.perf_counter() - begin
        return {name: Entry(float(getattr(measured, name)), None, seconds, "") for name in _MEASURED}
