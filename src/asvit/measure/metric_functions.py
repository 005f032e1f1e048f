"""The functions behind the measures: from one random draw of a network to a number."""

from collections.abc import Callable

from torch import Tensor, nn

from asvit.complexity import activity, curve, ntk, scores
from asvit.errors import NotAdmitted, UserError
from asvit.measure.differentiable import layer_by_layer
from asvit.measure.metrics import METRICS, Metric
from asvit.measure.probe import Probe
from asvit.measure.subject import ArchitectureSubject
from asvit.networks.architecture import Architecture
from asvit.networks.refusing import refusing

MetricFunction = Callable[[Probe], float]
"""Function from a probe to a value; a value that is not finite makes the measurement invalid, and so does a
:class:`~asvit.complexity.ntk.SingularKernel`."""


def _condition_number(probe: Probe) -> float:
    return ntk.condition_number(probe.kernel, dtype=probe.draw.images.dtype)


def _curvature(probe: Probe) -> float:
    return curve.curvature(*probe.velocity_and_acceleration).item()


def _length_of_curvature(probe: Probe) -> float:
    return curve.length_of_curvature(*probe.velocity_and_acceleration).item()


def _of_loss(score: Callable[[nn.Module, Tensor, Tensor], float]) -> Callable[[Probe], float]:
    """Metric function of a score that takes a classifier, images and labels."""

    def value(probe: Probe) -> float:
        with refusing(probe.subject.name):
            return score(probe.classifier, probe.images, probe.labels)

    return value


def _of_images(score: Callable[[nn.Module, Tensor], float]) -> Callable[[Probe], float]:
    """Metric function of a score that takes a classifier and images."""

    def value(probe: Probe) -> float:
        with refusing(probe.subject.name):
            return score(probe.classifier, probe.images)

    return value


def _synflow(probe: Probe) -> float:
    with refusing(probe.subject.name), layer_by_layer():
        return scores.synflow(probe.homogeneous_classifier, probe.images.shape[1:])


def _dss(probe: Probe) -> float:
    with refusing(probe.subject.name):
        return scores.dss(probe.classifier, probe.images.shape[1:])


def _token_entropy(probe: Probe) -> float:
    with refusing(probe.subject.name):
        return activity.token_entropy(probe.tokens)


def _count(number: Callable[[Architecture], int]) -> Callable[[Probe], float]:
    """Metric function of a number that only our architectures have."""

    def count(probe: Probe) -> float:
        if not isinstance(probe.subject, ArchitectureSubject):
            raise NotAdmitted(
                f"{probe.subject.name} has no depth, width, expansion and kernel in the sense of Table 1: expected an "
                "architecture of asvit; leave these metrics out, or measure the model by itself"
            )
        return float(number(probe.subject.architecture))

    return count


FUNCTIONS: dict[str, MetricFunction] = {
    "length": lambda probe: curve.length(probe.velocity).item(),
    "length_with_norms": lambda probe: curve.length(probe.with_norms.velocity).item(),
    "ntk": _condition_number,
    "curvature": _curvature,
    "length_of_curvature": _length_of_curvature,
    "params": lambda probe: float(probe.subject.params),
    "macs": lambda probe: float(probe.subject.macs),
    "latency": lambda probe: 1e3 * probe.usage.latency,
    "throughput": lambda probe: probe.usage.throughput,
    "memory": lambda probe: float(probe.usage.memory),
    "depth": _count(lambda architecture: sum(architecture.depths)),
    "width": _count(lambda architecture: architecture.width),
    "expansion": _count(lambda architecture: sum(architecture.topology.expansions)),
    "kernel": _count(lambda architecture: sum(architecture.topology.kernels)),
    "gradient_norm": _of_loss(scores.gradient_norm),
    "snip": _of_loss(scores.snip),
    "synflow": _synflow,
    "naswot": _of_images(activity.naswot),
    "zico": _of_loss(scores.zico),
    "dss": _dss,
    "attention_entropy": _of_images(activity.attention_entropy),
    "token_entropy": _token_entropy,
    "layer_entropy": _of_images(activity.layer_entropy),
}
"""Function of every measure in :data:`~asvit.measure.metrics.METRICS`, by the measure's name."""


def register(metric: Metric, function: MetricFunction) -> None:
    """Make a measure of one's own known by its name, to every :class:`~asvit.measure.measurer.Measurer` and in scores.

    A ledger remembers values by name: a function that changes needs another name, or another ledger.

    Raises:
        UserError: the name is taken, or has other characters than letters, digits and underscores.

    >>> register(METRICS["length"], lambda probe: 0.0)
    Traceback (most recent call last):
    asvit.errors.UserError: there is a metric named length already: choose another name
    """
    if metric.name in METRICS:
        raise UserError(f"there is a metric named {metric.name} already: choose another name")
    if not metric.name.isidentifier():
        raise UserError(f"{metric.name!r} is no name of a metric: expected letters, digits and underscores")
    METRICS[metric.name] = metric
    FUNCTIONS[metric.name] = function
