"""The measures by name: what each is, which direction is better, and how a probe of a network yields it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from torch import Tensor, nn

from asvit.complexity import activity, curve, ntk, scores
from asvit.errors import NotAdmitted, UserError
from asvit.measure.probe import Probe
from asvit.measure.subject import ArchitectureSubject, refusing
from asvit.networks.architecture import Architecture
from asvit.networks.attention import layer_by_layer


@dataclass(frozen=True)
class Metric:
    """A measure of a network at initialisation.

    >>> METRICS["ntk"].symbol, METRICS["ntk"].sign
    ('κ_Θ', -1)
    """

    name: str
    symbol: str
    title: str
    better: Literal["higher", "lower"]
    """The direction that the metric's paper, or for the baselines common sense, calls better."""
    source: str
    of: Callable[[Probe], float]
    """Value of one probe; a :class:`~asvit.complexity.ntk.SingularKernel` or a value that is not finite is invalid."""

    counted: bool = False
    """Whether it is a count, the same whatever the weights."""
    unit: str = ""
    """Of a count: what stands behind it."""
    in_use: bool = False
    """Whether it is of the network in use: a function of batch size, precision and device instead of the settings."""

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


def _of_loss(score: Callable[[nn.Module, Tensor, Tensor], float]) -> Callable[[Probe], float]:
    """A score of a classifier, images and labels."""

    def of(probe: Probe) -> float:
        with refusing(probe.subject.name):
            return score(probe.classifier, probe.images, probe.labels)

    return of


def _of_images(score: Callable[[nn.Module, Tensor], float]) -> Callable[[Probe], float]:
    """A score of a classifier and images."""

    def of(probe: Probe) -> float:
        with refusing(probe.subject.name):
            return score(probe.classifier, probe.images)

    return of


def _synflow(probe: Probe) -> float:
    with refusing(probe.subject.name), layer_by_layer():
        return scores.synflow(probe.homogeneous_classifier, probe.images.shape[1:])


def _dss(probe: Probe) -> float:
    with refusing(probe.subject.name):
        return scores.dss(probe.classifier, probe.images.shape[1:])


def _token_entropy(probe: Probe) -> float:
    with refusing(probe.subject.name):
        return activity.token_entropy(probe.tokens)


def _count(of: Callable[[Architecture], int]) -> Callable[[Probe], float]:
    """A number that only our architectures have."""

    def count(probe: Probe) -> float:
        if not isinstance(probe.subject, ArchitectureSubject):
            raise NotAdmitted(
                f"{probe.subject.name} has no depth, expansion and kernel in the sense of Table 1: expected an "
                "architecture of asvit; leave these metrics out, or measure the model by itself"
            )
        return float(of(probe.subject.architecture))

    return count


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
    Metric(
        name="latency",
        symbol="latency (ms)",
        title="latency of a batch in milliseconds",
        better="lower",
        source="median over runs of the network in use",
        of=lambda probe: 1e3 * probe.usage.latency,
        in_use=True,
    ),
    Metric(
        name="throughput",
        symbol="images/s",
        title="images per second",
        better="higher",
        source="batch size over latency",
        of=lambda probe: probe.usage.throughput,
        in_use=True,
    ),
    Metric(
        name="memory",
        symbol="memory",
        title="memory of the network in use",
        better="lower",
        source="peak over one batch: weights, images, activations",
        of=lambda probe: float(probe.usage.memory),
        counted=True,
        unit="B",
        in_use=True,
    ),
    Metric(
        name="depth",
        symbol="depth",
        title="attention blocks",
        better="higher",
        source="plain baseline",
        of=_count(lambda architecture: sum(architecture.depths)),
        counted=True,
    ),
    Metric(
        name="expansion",
        symbol="ΣE",
        title="sum of the FFN expansions",
        better="higher",
        source="plain baseline",
        of=_count(lambda architecture: sum(architecture.topology.expansions)),
        counted=True,
    ),
    Metric(
        name="kernel",
        symbol="ΣK",
        title="sum of the kernels",
        better="higher",
        source="plain baseline",
        of=_count(lambda architecture: sum(architecture.topology.kernels)),
        counted=True,
    ),
    Metric(
        name="gradient_norm",
        symbol="‖∇L‖",
        title="gradient norm",
        better="higher",
        source="Abdelfattah et al. 2021 (Zero-Cost Proxies)",
        of=_of_loss(scores.gradient_norm),
    ),
    Metric(
        name="snip",
        symbol="SNIP",
        title="connection sensitivity",
        better="higher",
        source="Lee et al. 2019 (SNIP)",
        of=_of_loss(scores.snip),
    ),
    Metric(
        name="synflow",
        symbol="SynFlow",
        title="synaptic flow",
        better="higher",
        source="Tanaka et al. 2020 (SynFlow)",
        of=_synflow,
    ),
    Metric(
        name="naswot",
        symbol="NASWOT",
        title="log-determinant of the codes' kernel",
        better="higher",
        source="Mellor et al. 2021 (NAS without training)",
        of=_of_images(activity.naswot),
    ),
    Metric(
        name="zico",
        symbol="ZiCo",
        title="inverse coefficient of variation of gradients",
        better="higher",
        source="Li et al. 2023 (ZiCo)",
        of=_of_loss(scores.zico),
    ),
    Metric(
        name="dss",
        symbol="DSS",
        title="synaptic diversity and saliency",
        better="higher",
        source="Zhou et al. 2022 (TF-TAS)",
        of=_dss,
    ),
    Metric(
        name="attention_entropy",
        symbol="H_attn",
        title="entropy of attention",
        better="higher",
        source="Zhai et al. 2023: low entropy goes with unstable training",
        of=_of_images(activity.attention_entropy),
    ),
    Metric(
        name="token_entropy",
        symbol="H_tokens",
        title="spectral entropy of the last map's tokens",
        better="higher",
        source="Roy & Vetterli 2007 (effective rank)",
        of=_token_entropy,
    ),
)

_BY_NAME = {metric.name: metric for metric in _METRICS}

METRICS: Mapping[str, Metric] = MappingProxyType(_BY_NAME)
"""Every measure by name. Ranking and reward read the direction from here."""


def register(metric: Metric) -> None:
    """Make a measure of one's own known by its name, to every :class:`~asvit.measure.measurer.Measurer` and in scores.

    A ledger remembers values by name: a function that changes needs another name, or another ledger.

    Raises:
        UserError: the name is taken, or has other characters than letters, digits and underscores.

    >>> register(METRICS["length"])
    Traceback (most recent call last):
    asvit.errors.UserError: there is a metric named length already: choose another name
    """
    if metric.name in _BY_NAME:
        raise UserError(f"there is a metric named {metric.name} already: choose another name")
    if not metric.name.isidentifier():
        raise UserError(f"{metric.name!r} is no name of a metric: expected letters, digits and underscores")
    _BY_NAME[metric.name] = metric


def parse_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """Metrics by name.

    >>> [metric.better for metric in parse_metrics(["length", "ntk"])]
    ['higher', 'lower']
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise UserError(f"unknown metrics {', '.join(unknown) or '(none)'}: expected some of {', '.join(METRICS)}")
    return tuple(METRICS[name] for name in names)
