"""How a network is measured: the settings, each with the paper's way and the authors' release's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from asvit.complexity.usage import Precision
from asvit.errors import check_whole
from asvit.networks.architecture import Initialisation
from asvit.units import ValueRange

Output = Literal["features", "logits"]
"""Pooled last map before the final norm, or class logits before the softmax."""


@dataclass(frozen=True, kw_only=True)
class Carefulness:
    """How carefully a recipe measures."""

    repeats: int
    """Repeats of every measurement, each with other weights, another circle and other images."""
    angles: int
    """Points of the circle."""
    kernel_images: int
    """Images that the kernel sees."""

    def settings(self) -> "Settings":
        """Settings of measures that are taken so carefully, with the defaults for the rest.

        >>> Carefulness(repeats=2, angles=3, kernel_images=16).settings().repeats
        2
        """
        return Settings(repeats=self.repeats, angles=self.angles, kernel_images=self.kernel_images)


@dataclass(frozen=True, kw_only=True)
class Use:
    """How a network is used while its latency and its memory are measured."""

    batch_size: int = 1
    """Images at a time."""
    precision: Precision = "float32"
    """Number format of a forward pass: that of the weights (float32), or bfloat16 under autocast."""

    def __post_init__(self) -> None:
        check_whole("batch_size", self.batch_size, 1, 2**16)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a network is measured."""

    repeats: int = 5
    """Repeats of every measurement, each with other weights, another circle and other images."""
    angles: int = 10
    """Points of the circle at which the velocity is taken."""
    kernel_images: int = 16
    """Images that the kernel sees in one repeat."""
    norm: Literal["identity", "layer"] = "identity"
    """Norms while the curve is measured: taken out (as in the authors' release), or kept."""
    radius: Literal["sqrt-n", "one"] = "sqrt-n"
    """Radius of the circle: √N (paper), or 1 (release)."""
    kernel_parameters: Literal["weights", "all"] = "weights"
    """Parameters that the kernel differentiates by: those named weight (release), or all."""
    initialisation: Initialisation = "normal"
    """How linear weights are drawn: normal with σ = 0.02 (release), or with σ = 1/√fan_in."""
    output: Output = "features"
    """The function whose curve and kernel are measured: pooled features (release), or class logits."""

    def __post_init__(self) -> None:
        check_whole("repeats", self.repeats, 1, 100)
        check_whole("angles", self.angles, 1, 10_000)
        check_whole("kernel_images", self.kernel_images, 2, 1000)


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """How a job measures: the settings of its measures, the images that the kernel sees, and memory."""

    settings: Settings = Settings()
    images: Path | None = None
    """Folder of images for the kernel; None: photographs that come with scikit-image."""
    value_range: ValueRange | None = None
    """Values of arrays that become 0 and 1; None: 0 and, of whole numbers, the largest of their type, of others 1."""
    work_memory: int | None = None
    """Bytes for activations at a time, of all processes together; None: 0.8 GB for each on a CPU, half of a GPU's."""

    def __post_init__(self) -> None:
        if self.work_memory is not None:
            check_whole("work_memory", self.work_memory, 1, 10**15)
