"""The measures by name: what each is, which direction is better, and how a probe of a network yields it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from asvit.complexity import curve, ntk
from asvit.errors import UserError
from asvit.probe import Probe


@dataclass(frozen=True)
class Metric:
    """A measure of a network at initialisation."""

    name: str
    symbol: str
    title: str
    better: Literal["higher", "lower"]
    """The direction that the paper, or for the baselines common sense, calls better."""
    source: str
    of: Callable[[Probe], float]
    """Value of one probe; a :class:`~asvit.complexity.ntk.SingularKernel` or a value that is not finite is invalid."""

    counted: bool = False
    """Whether it is a count of the architecture, which no weights are drawn for."""

    @property
    def sign(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        return 1 if self.better == "higher" else -1


def _condition_number(probe: Probe) -> float:
    return ntk.condition_number(probe.kernel, dtype=probe.draw.images.dtype)


def _curvature(probe: Probe) -> float:
    return curve.curvature(*probe.velocity_and_acceleration).item()


def _length_of_curvature(probe: Probe) -> float:
    return curve.length_of_curvature(*probe.velocity_and_acceleration).item()


_METRICS = (
    Metric(
        name="length",
        symbol="L^E",
        title="length distortion",
        better="higher",
        source="Section 3.2, item 2",
        of=lambda probe: curve.length(probe.velocity).item(),
    ),
    Metric(
        name="ntk",
        symbol="κ_Θ",
        title="NTK condition number",
        better="lower",
        source="Section 3.3",
        of=_condition_number,
    ),
    Metric(
        name="curvature",
        symbol="κ",
        title="curvature",
        better="lower",
        source="Section 3.2, item 1 (Table 2: τ = -0.49)",
        of=_curvature,
    ),
    Metric(
        name="length_of_curvature",
        symbol="L^E_κ",
        title="length distortion with curvature",
        better="higher",
        source="Section 3.2, item 3",
        of=_length_of_curvature,
    ),
    Metric(
        name="params",
        symbol="#params",
        title="parameters",
        better="higher",
        source="plain baseline",
        of=lambda probe: float(probe.subject.params),
        counted=True,
    ),
    Metric(
        name="macs",
        symbol="MACs",
        title="multiply-adds",
        better="higher",
        source="plain baseline",
        of=lambda probe: float(probe.subject.macs),
        counted=True,
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _METRICS})
"""Every measure by name. Ranking and reward read the direction from here."""


def parse_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """Metrics by name.

    >>> [metric.better for metric in parse_metrics(["length", "ntk"])]
    ['higher', 'lower']
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise UserError(f"unknown metrics {', '.join(unknown) or '(none)'}: expected some of {', '.join(METRICS)}")
    return tuple(METRICS[name] for name in names)
