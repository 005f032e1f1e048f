"""The measures by name: what each is, which direction is better, where it comes from. Needs no torch.

The functions that compute them are in :mod:`asvit.measure.metric_functions`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from asvit.errors import UserError, did_you_mean


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
    """Direction that the metric's paper, or for the baselines common sense, calls better."""
    source: str
    counted: bool = False
    """Whether it is a count, the same whatever the weights."""
    unit: str = ""
    """Unit that is written behind a count, such as B."""
    in_use: bool = False
    """Whether it describes the network in use: it depends on batch size, precision and device, not on the settings."""

    @property
    def heading(self) -> str:
        """Heading of its column in a table of plain text: the name that options take, or the quantity in its unit.

        >>> METRICS["ntk"].heading, METRICS["latency"].heading
        ('ntk', 'latency (ms)')
        """
        return self.symbol if self.in_use else self.name

    @property
    def plain(self) -> bool:
        """Whether it is a plain number: a count, or the network in use. Every other measure has to beat these.

        >>> METRICS["macs"].plain, METRICS["latency"].plain, METRICS["length"].plain
        (True, True, False)
        """
        return self.counted or self.in_use

    @property
    def sign(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        return 1 if self.better == "higher" else -1


_METRICS = (
    Metric(
        name="length",
        symbol="L^E",
        title="length distortion",
        better="higher",
        source="Section 3.2, item 2",
    ),
    Metric(
        name="length_with_norms",
        symbol="L^E_norms",
        title="length distortion with norms",
        better="higher",
        source="Section 3.2, item 2, with the network's norms kept",
    ),
    Metric(
        name="ntk",
        symbol="κ_Θ",
        title="NTK condition number",
        better="lower",
        source="Section 3.3",
    ),
    Metric(
        name="curvature",
        symbol="κ",
        title="curvature",
        better="lower",
        source="Section 3.2, item 1 (Table 2: τ = -0.49)",
    ),
    Metric(
        name="length_of_curvature",
        symbol="L^E_κ",
        title="length distortion with curvature",
        better="higher",
        source="Section 3.2, item 3",
    ),
    Metric(
        name="params",
        symbol="#params",
        title="parameters",
        better="higher",
        source="plain baseline",
        counted=True,
    ),
    Metric(
        name="macs",
        symbol="MACs",
        title="multiply-adds",
        better="higher",
        source="plain baseline",
        counted=True,
    ),
    Metric(
        name="latency",
        symbol="latency (ms)",
        title="latency of a batch in milliseconds",
        better="lower",
        source="median over runs of the network in use",
        in_use=True,
    ),
    Metric(
        name="throughput",
        symbol="images/s",
        title="images per second",
        better="higher",
        source="batch size over latency",
        in_use=True,
    ),
    Metric(
        name="memory",
        symbol="memory",
        title="memory of the network in use",
        better="lower",
        source="peak over one batch: weights, images, activations",
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
        counted=True,
    ),
    Metric(
        name="width",
        symbol="C",
        title="channels of the first stage",
        better="higher",
        source="plain baseline",
        counted=True,
    ),
    Metric(
        name="expansion",
        symbol="ΣE",
        title="sum of the FFN expansions",
        better="higher",
        source="plain baseline",
        counted=True,
    ),
    Metric(
        name="kernel",
        symbol="ΣK",
        title="sum of the kernels",
        better="higher",
        source="plain baseline",
        counted=True,
    ),
    Metric(
        name="gradient_norm",
        symbol="‖∇L‖",
        title="gradient norm",
        better="higher",
        source="Abdelfattah et al. 2021 (Zero-Cost Proxies)",
    ),
    Metric(
        name="snip",
        symbol="SNIP",
        title="connection sensitivity",
        better="higher",
        source="Lee et al. 2019 (SNIP)",
    ),
    Metric(
        name="synflow",
        symbol="SynFlow",
        title="synaptic flow",
        better="higher",
        source="Tanaka et al. 2020 (SynFlow)",
    ),
    Metric(
        name="naswot",
        symbol="NASWOT",
        title="log-determinant of the codes' kernel",
        better="higher",
        source="Mellor et al. 2021 (NAS without training)",
    ),
    Metric(
        name="zico",
        symbol="ZiCo",
        title="inverse coefficient of variation of gradients",
        better="higher",
        source="Li et al. 2023 (ZiCo)",
    ),
    Metric(
        name="dss",
        symbol="DSS",
        title="synaptic diversity and saliency",
        better="higher",
        source="Zhou et al. 2022 (TF-TAS)",
    ),
    Metric(
        name="attention_entropy",
        symbol="H_attn",
        title="entropy of attention",
        better="higher",
        source="Zhai et al. 2023: low entropy goes with unstable training",
    ),
    Metric(
        name="token_entropy",
        symbol="H_tokens",
        title="spectral entropy of the last map's tokens",
        better="higher",
        source="Roy & Vetterli 2007 (effective rank)",
    ),
    Metric(
        name="layer_entropy",
        symbol="H_layers",
        title="spectral entropy of the tokens of all linear layers",
        better="higher",
        source="Roy & Vetterli 2007 (effective rank), mean over layers",
    ),
)

METRICS = {metric.name: metric for metric in _METRICS}
"""Every measure by name. Ranking and reward read the direction from here;
:func:`~asvit.measure.metric_functions.register` adds to it."""


def parse_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """Metrics by name.

    >>> [metric.better for metric in parse_metrics(["length", "ntk"])]
    ['higher', 'lower']
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        hint = did_you_mean(unknown[0], METRICS) if unknown else ""
        names = ", ".join(unknown) or "(none)"
        raise UserError(f"unknown metrics {names}: {hint}expected some of {', '.join(METRICS)}")
    return tuple(METRICS[name] for name in names)
