"""Measure networks at initialisation: repeats with their own weights, circle and images, error bars, validity."""

import math
import pickle
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property, lru_cache, partial
from typing import Any

import torch

from asvit.complexity.speed import computing_threads, processor_name
from asvit.errors import NotAdmitted
from asvit.measure.estimates import Ahead, Estimate, Measure, Measurement
from asvit.measure.evaluate import admitted, in_parts
from asvit.measure.ledger import Cost, Entry, Ledger
from asvit.measure.metrics import METRICS, Metric, parse_metrics
from asvit.measure.photos import BuiltIn, Photographs
from asvit.measure.probe import Draw, Probe
from asvit.measure.settings import Settings, Use
from asvit.measure.subject import ArchitectureSubject, Subject
from asvit.measure.together import Together
from asvit.measure.work import share_of_memory
from asvit.networks.architecture import Task
from asvit.runs.devices import device_name, give_back_memory
from asvit.runs.pool import Begun, Pool

VERSION = 3
"""Number that grows whenever the same settings would give other values; a ledger keeps its entries under it."""
HELD = 1_300_000_000
"""Bytes of a process that measures, beyond which it gives back what is free of them: a third of this is torch. To give
back after every repeat would take a seventh of the time where repeats take a second."""
TOGETHER = {"cuda"}
"""Kinds of devices that measure all repeats of an architecture at once (:mod:`asvit.measure.together`); a CPU is faster
one by one, with what it computes in its cache."""


class Measurer:
    """Measures subjects under fixed settings and remembers them in a ledger.

    On a CPU a measurement takes one thread, so that its value does not depend on how many there are; with a pool
    (:meth:`work_with`) several repeats are measured side by side.

    >>> from asvit.measure.subject import subject_of
    >>> from asvit.networks.named import parse_network
    >>> measure = Measurer(Settings(repeats=2, angles=4), Task(image_size=(32, 32)), metrics=["length"], seed=7)
    >>> measurement = measure(subject_of(parse_network("seed"), measure.task))
    >>> measurement.valid, len(measurement.estimates["length"].values)
    (True, 2)
    """

    settings: Settings
    task: Task
    seed: int
    metrics: tuple[Metric, ...]
    photographs: Photographs
    device: torch.device
    work_memory: int
    """Bytes of activations of one process."""
    asked_memory: int | None
    """Bytes of activations of all processes together; None: no bound was asked for."""

    def __init__(
        self,
        settings: Settings = Settings(),
        task: Task = Task(),
        *,
        metrics: Sequence[str] = ("length", "ntk"),
        seed: int = 0,
        photographs: Photographs | None = None,
        device: torch.device | str = "cpu",
        work_memory: int | None = None,
        use: Use = Use(),
    ) -> None:
        """Prepare to measure.

        Args:
            settings: settings of the measures.
            task: image size and channels of the circle and of the images.
            metrics: names out of :data:`~asvit.measure.metrics.METRICS`.
            seed: random seed of all repeats.
            photographs: images that the kernel sees; by default those that come with scikit-image.
            device: device that networks are evaluated on; they are drawn on the CPU everywhere.
            work_memory: bytes of activations at a time, of all processes together; by default 0.8 GB for each on a CPU,
                half of a GPU's memory.
            use: batch size and precision while latency and memory are taken.
        """
        self.settings, self.task, self.seed, self.use = settings, task, seed, use
        self.metrics = parse_metrics(metrics)
        self.photographs = photographs or BuiltIn()
        self.device = torch.device(device)
        self.asked_memory = work_memory
        self.work_memory = share_of_memory(self.device, work_memory)
        self._pool: Pool | None = None
        self._expected: list[Subject] = []
        self._begun: dict[tuple[str, int], tuple[Subject, list[Begun[Found]]]] = {}
        self._reasons: dict[tuple[str, int], dict[str, str]] = {}
        self.remember_in(Ledger.in_memory())

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process has neither ledger nor pool."""
        rest = {"seed": self.seed, "photographs": self.photographs, "device": str(self.device)}
        rest |= {"work_memory": self.work_memory, "use": self.use, "metrics": [metric.name for metric in self.metrics]}
        return partial(Measurer, self.settings, self.task, **rest), ()

    def work_with(self, pool: Pool | None) -> None:
        """Measure in the processes of a pool from now on; None: here alone. A GPU measures here whatever is said."""
        self._pool = pool if self.device.type == "cpu" else None
        for of_the_pool in (self._expected, self._begun, self._reasons):
            of_the_pool.clear()

    def remember_in(self, ledger: Ledger) -> None:
        """Look for measurements in ``ledger`` and keep new ones there; until then nothing outlives this object."""
        self._ledger = ledger
        self._contexts = {
            in_use: ledger.context(self._describe_use() if in_use else self._describe())
            for in_use in {metric.in_use for metric in self.metrics}
        }

    def side_by_side(self, networks: int = 1) -> int:
        """Number of processes that are at work at a time while some networks are measured."""
        return 1 if self._pool is None else min(self._pool.processes, networks * self.settings.repeats)

    def _describe(self) -> dict[str, object]:
        """All that a value depends on beside subject, repeat and metric."""
        settings = asdict(self.settings)
        settings.pop("repeats")
        return {
            **self._describe_place(),
            "threads": 1 if self.device.type == "cpu" else None,
            "dtype": "float32",
            "photographs": self.photographs.digest,
            "seed": self.seed,
            "work_memory": self.work_memory,
            **settings,
        }

    def _describe_use(self) -> dict[str, object]:
        """All that a value of the network in use depends on beside subject, repeat and metric."""
        return {
            **self._describe_place(),
            "threads": computing_threads(self.device),
            "use": asdict(self.use),
            "processor": processor_name(self.device),
        }

    def _describe_place(self) -> dict[str, object]:
        return {
            "version": VERSION,
            "torch": torch.__version__,
            "device": device_name(self.device),
            "image_size": self.task.image_size,
            "in_chans": self.task.in_chans,
            "num_classes": self.task.num_classes,
        }

    @cached_property
    def draws(self) -> list[Draw]:
        """Weights' seed, circle and images of every repeat; reads the images, and refuses bad ones, at once."""
        return [
            Draw.of(
                self.seed,
                repeat,
                task=self.task,
                photographs=self.photographs,
                images=self.settings.kernel_images,
            )
            for repeat in range(self.settings.repeats)
        ]

    def __call__(self, subject: Subject) -> Measurement:
        """Measure a subject, up to the first repeat that shows it invalid."""
        self.begin([subject])
        self._measure_together(subject)
        values: dict[str, list[float]] = {metric.name: [] for metric in self.metrics}
        for repeat in range(self.settings.repeats):
            entries = self.repeat(subject, repeat)
            for name in values:
                entry = entries[name]
                if entry.value is None:
                    self._settle()  # its other repeats, which nobody asks for now
                    return Measurement(subject.name, {}, f"{name}, repeat {repeat}: {entry.invalid}")
                values[name].append(entry.value)
        return Measurement(subject.name, {name: Estimate.of(repeats) for name, repeats in values.items()})

    def by_metric(self, subject: Subject) -> dict[str, Estimate]:
        """Measure every metric by itself, and leave out those that are invalid in some repeat."""
        self.begin([subject])
        self._measure_together(subject)
        repeats = [self.repeat(subject, repeat) for repeat in range(self.settings.repeats)]
        estimates = {}
        for name in (metric.name for metric in self.metrics):
            values = [value for entries in repeats if (value := entries[name].value) is not None]
            if len(values) == len(repeats):
                estimates[name] = Estimate.of(values)
        return estimates

    def costs(self, subject: Subject) -> dict[str, Cost]:
        """Time and work of a subject's repeats by metric; metrics that share a derivative charge it to the first."""
        costs: dict[str, Cost] = {}
        for context in self._contexts.values():
            costs |= self._ledger.costs(context, subject.key)
        return costs

    def architectures(self, *, width_divisor: int = 1) -> Measure:
        """This measure as a function of an architecture, or of its proxy of a fraction of the width."""
        return lambda architecture: self(ArchitectureSubject(architecture, self.task, width_divisor))

    def ahead(self, *, width_divisor: int = 1) -> Ahead:
        """:meth:`begin` as a function of architectures, or of their proxies of a fraction of the width."""
        return lambda architectures: self.begin(
            ArchitectureSubject(architecture, self.task, width_divisor) for architecture in architectures
        )

    def begin(self, subjects: Iterable[Subject]) -> None:
        """Begin with all repeats of subjects that are measured next, where there is a pool for that.

        While the pool is not open they are remembered. A function of the user's own is measured here: it runs in one
        process, in order.
        """
        if self._pool is not None:
            self._expected += [subject for subject in subjects if subject.can_be_sent]
            if not self._pool.is_open:
                self._pool.expect(self._repeats_to_come)
            self._begin_expected(self._pool)

    @property
    def _repeats_to_come(self) -> int:
        """Repeats that are known to come, and not measured."""
        subjects = {subject.key: subject for subject in self._expected}.values()
        return sum(bool(self._missing(one, repeat)) for one in subjects for repeat in range(self.settings.repeats))

    def _begin_expected(self, pool: Pool) -> None:
        if not pool.is_open:
            return
        expected, self._expected = self._expected, []
        asked = {
            (subject.key, repeat): (subject, missing)
            for subject in expected
            for repeat in range(self.settings.repeats)
            if (missing := [metric.name for metric in self._missing(subject, repeat) if not metric.in_use])
        }
        new = {key: asked[key] for key in asked if key not in self._begun}
        measurer, apart = pickle.dumps(self), pool.processes > len(new)
        for (name, repeat), (subject, missing) in new.items():
            parts = in_parts(missing) if apart else [missing]
            begun = [pool.begin(_measured, measurer, subject, repeat, metrics) for metrics in parts]
            self._begun[name, repeat] = (subject, begun)

    def _keep(self, key: str, repeat: int) -> None:
        """Wait for a repeat that was begun, and keep it whole, with what its network does not admit."""
        subject, parts = self._begun.pop((key, repeat))
        found = [part.result() for part in parts]
        self._write(subject, {repeat: {name: entry for entries, _ in found for name, entry in entries.items()}})
        self._reasons[key, repeat] = {name: reason for _, reasons in found for name, reason in reasons.items()}

    def _settle(self) -> None:
        """Wait for all that was begun: what is timed next wants the machine for itself."""
        for key, repeat in [*self._begun]:
            self._keep(key, repeat)

    def repeat(
        self, subject: Subject, repeat: int, *, refused: MutableMapping[str, str] | None = None
    ) -> dict[str, Entry]:
        """All metrics of one repeat: out of the ledger, or measured now and written there.

        Args:
            subject: subject to measure.
            repeat: number of the draw, from 0.
            refused: takes metrics that the network does not admit, with the reason; those in it are left out.

        Raises:
            NotAdmitted: a metric is not admitted, and there is no ``refused``.
        """
        left_out = {} if refused is None else refused
        if (subject.key, repeat) in self._begun:
            self._keep(subject.key, repeat)
        reasons = self._reasons.pop((subject.key, repeat), {})
        if reasons and refused is None:
            raise NotAdmitted(next(iter(reasons.values())))
        left_out.update(reasons)
        missing = [metric for metric in self._missing(subject, repeat) if metric.name not in left_out]
        if any(metric.in_use for metric in missing):
            self._settle()
        if missing:
            entries = self.evaluate(missing, subject, repeat, refused)
            self._write(subject, {repeat: entries})
            if self._pool is not None:
                seconds = math.fsum(entry.seconds for entry in entries.values())
                self._pool.worked(seconds, to_come=seconds * self._repeats_to_come)
                self._begin_expected(self._pool)
        return self._read(subject, repeat)

    def _measure_together(self, subject: Subject) -> None:
        """Measure all repeats that are missing at once, where device and subject allow it; else leave them missing.

        Where the device runs out of memory they stay missing too, to be measured one by one.
        """
        if self.device.type not in TOGETHER or not isinstance(subject, ArchitectureSubject):
            return
        missing = {repeat: self._missing(subject, repeat) for repeat in range(self.settings.repeats)}
        missing = {repeat: metrics for repeat, metrics in missing.items() if metrics}
        if len(missing) < 2:
            return
        draws = [self.draws[repeat] for repeat in missing]
        probes = Together(subject, draws, self.settings, self.device, self.work_memory).probes(self.use)
        with suppress(torch.OutOfMemoryError):
            measured = {
                repeat: dict(admitted(metrics, probe, None))
                for (repeat, metrics), probe in zip(missing.items(), probes, strict=True)
            }
            self._write(subject, measured)

    def _missing(self, subject: Subject, repeat: int) -> list[Metric]:
        """Metrics of a repeat that the ledger does not have."""
        known = self._read(subject, repeat)
        return [metric for metric in self.metrics if metric.name not in known]

    def _write(self, subject: Subject, repeats: Mapping[int, Mapping[str, Entry]]) -> None:
        """Keep the entries of some repeats."""
        for in_use, context in self._contexts.items():
            own = {
                repeat: {name: entry for name, entry in entries.items() if METRICS[name].in_use == in_use}
                for repeat, entries in repeats.items()
            }
            self._ledger.write(context, subject.key, own)

    def _read(self, subject: Subject, repeat: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for context in self._contexts.values():
            entries |= self._ledger.read(context, subject.key, repeat)
        return entries

    def evaluate(
        self, metrics: Sequence[Metric], subject: Subject, repeat: int, refused: MutableMapping[str, str] | None
    ) -> dict[str, Entry]:
        """Entries of metrics of one repeat, measured now; less work at a time where the device runs out of memory.

        Args:
            metrics: what to measure.
            subject: subject to measure.
            repeat: number of the draw, from 0.
            refused: takes metrics that the network does not admit, with the reason; None: that is an error.

        Raises:
            NotAdmitted: a metric is not admitted, and there is no ``refused``.
        """
        reductions = 0
        while True:
            probe = Probe(
                subject, self.draws[repeat], self.settings, self.device, self.work_memory, reductions, self.use
            )
            try:
                return dict(admitted(metrics, probe, refused))
            except torch.OutOfMemoryError as error:
                out_of_memory = error.with_traceback(None)  # whose frames keep what did not fit
            if probe.work.less() != probe.work:
                reductions += 1
                continue
            reason = (
                f"{subject.name} does not fit into the memory of {self.device}, even one angle and one block "
                "at a time: measure a smaller network or image size, or with --device cpu"
            )
            if refused is None:
                raise NotAdmitted(reason) from out_of_memory
            if len(metrics) == 1:
                refused[metrics[0].name] = reason
                return {}
            del probe  # so does its network
            each = [self.evaluate([metric], subject, repeat, refused) for metric in metrics]
            return {name: entry for entries in each for name, entry in entries.items()}


Found = tuple[dict[str, Entry], dict[str, str]]
"""Entries of a repeat, and metrics that the network does not admit, with the reason."""


def _measured(measurer: bytes, subject: Subject, repeat: int, metrics: Sequence[str]) -> Found:
    """Metrics of one repeat, in a process of a pool."""
    refused: dict[str, str] = {}
    entries = _unpickled(measurer).evaluate([METRICS[name] for name in metrics], subject, repeat, refused)
    give_back_memory(beyond=HELD)
    return entries, refused


@lru_cache(maxsize=4)  # whose draws are kept
def _unpickled(measurer: bytes) -> Measurer:
    return pickle.loads(measurer)
