"""Metrics of one probe, evaluated and timed."""

import math
import time
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager, nullcontext

import torch

from asvit.complexity.ntk import SingularKernel
from asvit.complexity.precision import full_float32
from asvit.complexity.speed import one_thread
from asvit.errors import NotAdmitted
from asvit.measure.ledger import Entry
from asvit.measure.metric_functions import FUNCTIONS
from asvit.measure.metrics import Metric
from asvit.measure.probe import Probe


def admitted(
    metrics: Sequence[Metric], probe: Probe, refused: MutableMapping[str, str] | None
) -> Iterator[tuple[str, Entry]]:
    """Entries of one probe; metrics that the network does not admit go into ``refused``, or raise if there is none."""
    for metric in metrics:
        try:
            yield metric.name, evaluate(metric, probe)
        except NotAdmitted as reason:
            if refused is None:
                raise
            refused[metric.name] = str(reason)


def evaluate(metric: Metric, probe: Probe) -> Entry:
    """Entry of one metric for one probe, timed.

    >>> from asvit.measure.measurer import Measurer
    >>> from asvit.measure.metrics import METRICS
    >>> from asvit.measure.subject import subject_of
    >>> from asvit.networks.architecture import Task
    >>> from asvit.networks.named import parse_network
    >>> measurer = Measurer(task=Task(image_size=(32, 32)))
    >>> subject = subject_of(parse_network("seed"), measurer.task)
    >>> probe = Probe(subject, measurer.draws[0], measurer.settings, measurer.device, measurer.work_memory)
    >>> evaluate(METRICS["depth"], probe).value
    4.0
    """
    start = time.perf_counter()
    try:
        with nullcontext() if metric.in_use else _alike_everywhere(probe.device):
            value = FUNCTIONS[metric.name](probe)
        invalid = None if math.isfinite(value) else f"{metric.title} is {value}"
    except SingularKernel as error:
        value, invalid = None, str(error)
    seconds = time.perf_counter() - start
    work = "" if metric.counted or metric.in_use else str(probe.work)
    return Entry(None if invalid else value, invalid, seconds, work)


@contextmanager
def _alike_everywhere(device: torch.device) -> Iterator[None]:
    """Compute with full precision and, on a CPU, one thread: with more, sums are added up in another order."""
    with full_float32(), one_thread() if device.type == "cpu" else nullcontext():
        yield


def in_parts(metrics: Sequence[str]) -> list[list[str]]:
    """The kernel apart from the rest, which takes less than half of the time and shares derivatives.

    >>> in_parts(["length", "ntk", "curvature"]), in_parts(["params"])
    ([['ntk'], ['length', 'curvature']], [['params']])
    """
    kernel = [name for name in metrics if name == "ntk"]
    rest = [name for name in metrics if name != "ntk"]
    return [part for part in (kernel, rest) if part]
