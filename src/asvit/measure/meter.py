"""Latency and memory of architectures on the device at hand, remembered in a ledger."""

import time
from dataclasses import asdict

import torch

from asvit.complexity.speed import Usage, computing_threads, processor_name, usage
from asvit.measure.ledger import Entry, Ledger
from asvit.measure.settings import Use
from asvit.measure.subject import ArchitectureSubject, fitting, refusing
from asvit.networks.architecture import Architecture, Task

VERSION = 1
"""Raised whenever the same network would be measured otherwise; a ledger keeps its entries under it."""

_MEASURED = ("latency", "spread", "memory")


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
            device: where networks run; a CPU with the threads that torch computes with.
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
        network = ArchitectureSubject(architecture, self.task).in_use().to(self.device)
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(self.use.batch_size, self.task.in_chans, *self.task.image_size, generator=generator)
        name = str(architecture)
        with refusing(name, advice="choose --precision float32"), fitting(name, self.use, self.device):
            found = usage(network, images.to(self.device), precision=self.use.precision, runs=runs)
        seconds = time.perf_counter() - begin
        return {name: Entry(float(getattr(found, name)), None, seconds, "") for name in _MEASURED}
