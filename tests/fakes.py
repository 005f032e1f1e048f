"""A measure and a meter that need no network: values are given functions of the architecture."""

import math
from collections.abc import Callable

from asvit.complexity.usage import Usage
from asvit.design.costs import Meter
from asvit.measure.estimates import Estimate, Measurement
from asvit.networks.architecture import Architecture


def fake_measure(
    length: Callable[[Architecture], float],
    ntk: Callable[[Architecture], float],
    invalid: Callable[[Architecture], bool] = lambda architecture: False,
) -> Callable[[Architecture], Measurement]:
    def measure(architecture: Architecture) -> Measurement:
        if invalid(architecture):
            return Measurement(str(architecture), {}, "singular")
        values = {"length": length(architecture), "ntk": ntk(architecture)}
        return Measurement(str(architecture), {k: Estimate.of([0.99 * v, 1.01 * v]) for k, v in values.items()})

    return measure


def fake_meter(latency: Callable[[Architecture, int], float], memory: Callable[[Architecture], int]) -> Meter:
    def meter(architecture: Architecture, runs: int) -> Usage:
        return Usage(latency(architecture, runs), 0.001, memory(architecture), 1, "float32", "laptop", 2)

    return meter


def kernels_and_expansions(architecture: Architecture) -> float:
    """Largest, 1, for kernels 8, 4, 4, 4 and expansions 6."""
    t = architecture.topology
    return math.prod(t.kernels) / 512 * 0.5 + sum(t.expansions) / 24 * 0.5


def heads(architecture: Architecture) -> float:
    """Smallest for 16 heads."""
    return float(architecture.topology.heads)
