"""How far length and kernel in float32, and in TF32, are from float64 on the same device: values and ranks."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asvit.complexity import curve, ntk
from asvit.complexity.copies import fresh_copy
from asvit.complexity.layerwise import layerwise_kernel
from asvit.measure.differentiable import differentiable_attention, remove_norms
from asvit.measure.measurer import Measurer
from asvit.measure.photos import Photographs
from asvit.measure.settings import Settings
from asvit.measure.subject import ArchitectureSubject
from asvit.measure.taylor import carry_jets, circle_jet
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import TABLE_1
from asvit.study.correlation import kendall

EXACT = "float64"
PRECISIONS: Mapping[str, tuple[torch.dtype, bool]] = {
    EXACT: (torch.float64, False),
    "float32": (torch.float32, False),
    "tf32": (torch.float32, True),
}
"""Numbers, and whether tensor cores may round the factors of float32 products; on a CPU that changes nothing."""
Values = dict[str, list[float | None]]
"""Of one measure by precision, a topology each; None where the kernel is singular."""


def rounding(topologies: int, task: Task, device: torch.device, photographs: Photographs) -> dict[str, Any]:
    """Measure random topologies once in every precision, and compare."""
    settings = Settings(repeats=1)
    draw = Measurer(settings, task, photographs=photographs, device=device).draws[0]
    rng = np.random.default_rng(0)
    subjects = [ArchitectureSubject(Architecture(TABLE_1.sample(rng)), task) for _ in range(topologies)]
    found: dict[str, Values] = {name: {precision: [] for precision in PRECISIONS} for name in ("length", "ntk")}
    for subject in subjects:
        for precision, (dtype, rounded) in PRECISIONS.items():
            network = subject.network(draw.weights_seed).to(device, dtype)
            with tensor_cores(rounded):
                found["length"][precision].append(length(network, draw.basis.to(device, dtype), settings.angles))
                found["ntk"][precision].append(condition_number(network, draw.images.to(device, dtype)))
    compared = [precision for precision in PRECISIONS if precision != EXACT]
    tables = {name: {p: against(values[p], values[EXACT]) for p in compared} for name, values in found.items()}
    return {"topologies": topologies, **tables}


def length(network: nn.Module, basis: Tensor, angles: int) -> float:
    """As asvit measures it, in the numbers that the network has."""
    network = fresh_copy(network).requires_grad_(False)
    remove_norms(network)
    carry_jets(network, order=1)
    theta = curve.angles(angles, dtype=basis.dtype, device=basis.device)
    with differentiable_attention():
        jet = network(circle_jet(basis, math.sqrt(basis[0].numel()), theta, order=1))
    return curve.length(jet.chunk(2)[1]).item()


def condition_number(network: nn.Module, images: Tensor) -> float | None:
    """Of the kernel of all weights; None where it is singular."""
    weights = {name for name, _ in network.named_parameters() if name.endswith("weight")}
    try:
        return ntk.condition_number(layerwise_kernel(network, weights, images), dtype=images.dtype)
    except ntk.SingularKernel:
        return None


@contextmanager
def tensor_cores(allowed: bool) -> Iterator[None]:
    """Whether products of float32 may go through TF32 meanwhile."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def against(found: Sequence[float | None], exact: Sequence[float | None]) -> dict[str, Any]:
    """Relative errors of what is valid in both, and Kendall τ of the ranks; None where too little is valid."""
    pairs = [(a, b) for a, b in zip(found, exact, strict=True) if a is not None and b is not None]
    errors = [abs(a / b - 1) for a, b in pairs]
    return {
        "valid": len(pairs),
        "singular": sum(value is None for value in found),
        "singular_in_float64": sum(value is None for value in exact),
        "largest_relative_error": max(errors) if errors else None,
        "median_relative_error": statistics.median(errors) if errors else None,
        "kendall_tau": tau(*map(np.array, zip(*pairs, strict=True))) if len(pairs) > 1 else None,
    }


def tau(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's τ of two rankings."""
    return round(float(kendall(a, b, np.ones((1, len(a))))[0]), 4)
