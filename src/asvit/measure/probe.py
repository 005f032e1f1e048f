"""One random draw of a network, and what it is shown: the circle and the images that metrics are computed from."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from asvit.complexity import curve, ntk
from asvit.complexity.copies import fresh_copy
from asvit.complexity.layerwise import layerwise_kernel
from asvit.complexity.usage import Usage
from asvit.errors import NotAdmitted
from asvit.measure.differentiable import (
    differentiable_attention,
    fuse_attention,
    refuse_functional_norms,
    remove_norms,
    write_out_attention,
    write_out_norms,
)
from asvit.measure.meter import usage_of
from asvit.measure.photos import Photographs
from asvit.measure.settings import Output, Settings, Use
from asvit.measure.subject import MeasuredAsViT, Subject
from asvit.measure.taylor import carry_jets, circle_jet
from asvit.measure.work import Work
from asvit.networks.architecture import Task
from asvit.networks.refusing import refusing

ALIKE = 1e-5
"""Difference of normalised values up to which images are equal: rounding of the crops of a plain surface."""


@dataclass(frozen=True, eq=False)
class Draw:
    """What one repeat is made of, the same for every network: a function of (seed, repeat)."""

    weights_seed: int
    basis: Float[Tensor, "2 channels H W"]
    """Orthonormal ``u⁰, u¹`` of the circle's plane."""
    images: Float[Tensor, "n channels H W"]
    """Images that the kernel and the scores of others see."""
    labels: Int64[Tensor, " n"]
    """Classes of the images for scores that take a loss: photographs have none, so they are drawn uniformly."""
    files: tuple[Path, ...] = ()
    """Files of the images."""

    @classmethod
    def of(cls, seed: int, repeat: int, *, task: Task, photographs: Photographs, images: int) -> "Draw":
        """Draw repeat number ``repeat``: four independent streams of random numbers."""
        weights, circle, photos, classes = (
            int(stream.generate_state(1, np.uint64)[0] >> np.uint64(1))
            for stream in np.random.SeedSequence((seed, repeat)).spawn(4)
        )
        labels = np.random.default_rng(classes).integers(task.num_classes, size=images)
        return cls(
            weights,
            orthonormal_pair(task, circle),
            photographs.draw(images, task, photos),
            torch.from_numpy(labels),
            tuple(photographs.files_of(images, photos)),
        )

    @property
    def alike(self) -> tuple[Path, Path] | None:
        """Files of two images that are equal; None where all differ."""
        flat = self.images.flatten(1)
        order = flat.mean(1).argsort()  # equal images are neighbours in it
        for i, j in pairwise(order.tolist()):
            if torch.allclose(flat[i], flat[j], rtol=0, atol=ALIKE):
                return self.files[min(i, j)], self.files[max(i, j)]
        return None


def orthonormal_pair(task: Task, seed: int) -> Float[Tensor, "2 channels H W"]:
    """Random orthonormal ``u⁰, u¹`` of the input space.

    >>> basis = orthonormal_pair(Task(image_size=(32, 32)), seed=0).flatten(1)
    >>> (basis @ basis.T).allclose(torch.eye(2), atol=1e-6)
    True
    """
    shape = task.in_chans, *task.image_size
    gaussian = np.random.default_rng(seed).standard_normal((math.prod(shape), 2))
    basis, _ = np.linalg.qr(gaussian)
    return torch.from_numpy(basis.T.astype(np.float32)).reshape(2, *shape)


@dataclass(frozen=True, eq=False)
class Probe:
    """A subject's network with the weights of one draw, and its derivatives along the circle and by its weights."""

    subject: Subject
    draw: Draw
    settings: Settings
    device: torch.device
    memory: int
    """Bytes of activations at a time."""
    reductions: int = 0
    """Number of times that the work was made smaller because the device ran out of memory."""
    use: Use = field(default_factory=Use)
    """How the network is used while latency and memory are taken."""

    @cached_property
    def work(self) -> Work:
        """Share of the measurement that is done at a time."""
        work = Work.within(self.memory, self.subject.activations, self.settings)
        for _ in range(self.reductions):
            work = work.less()
        return work

    @cached_property
    def network(self) -> nn.Module:
        """The network from images to the output that is measured."""
        return self._draw_network(self.settings.output)

    @cached_property
    def classifier(self) -> nn.Module:
        """The network from images to class logits, which the scores of others grade."""
        classifier = self._draw_network("logits")
        fuse_attention(classifier)  # where a score catches it
        if isinstance(classifier, MeasuredAsViT):
            classifier.recompute_blocks(self.work.recompute)
        return classifier

    def _draw_network(self, output: Output) -> nn.Module:
        seed, initialisation = self.draw.weights_seed, self.settings.initialisation
        return self.subject.network(seed, output=output, initialisation=initialisation).to(self.device)

    @cached_property
    def homogeneous_classifier(self) -> nn.Module:
        """The classifier without norms, for synaptic flow."""
        network = fresh_copy(self.classifier)
        remove_norms(network)
        return network

    @cached_property
    def images(self) -> Float[Tensor, "n channels H W"]:
        """The draw's images, on the device."""
        return self.draw.images.to(self.device)

    @cached_property
    def labels(self) -> Int64[Tensor, " n"]:
        """The draw's labels, on the device."""
        return self.draw.labels.to(self.device)

    @cached_property
    def tokens(self) -> Float[Tensor, "n T C"]:
        """Tokens of the last map, before pooling."""
        classifier: Any = self.classifier
        if not hasattr(classifier, "forward_features"):
            raise NotAdmitted(f"{self.subject.name} has no forward_features: leave out token_entropy")
        with torch.no_grad():
            x = classifier.forward_features(self.images)
        if not isinstance(x, Tensor) or x.ndim not in (3, 4):
            raise NotAdmitted(f"forward_features of {self.subject.name} is no map of tokens: leave out token_entropy")
        if x.ndim == 4 and getattr(classifier, "output_fmt", "NCHW") == "NCHW":  # timm's word for the layout
            x = x.permute(0, 2, 3, 1)
        return x.flatten(1, -2)

    @cached_property
    def usage(self) -> Usage:
        """Latency and memory of the network in use."""
        return usage_of(self.subject, self.use, self.device)

    @cached_property
    def velocity(self) -> Float[Tensor, "angles D"]:
        """Velocity ``v(θ)`` of the circle's image."""
        (v,) = self._derivatives(order=1)
        return v

    @cached_property
    def velocity_and_acceleration(self) -> tuple[Float[Tensor, "angles D"], Float[Tensor, "angles D"]]:
        """Velocity ``v(θ)`` and acceleration ``a(θ)`` of the circle's image."""
        v, a = self._derivatives(order=2)
        return v, a

    @cached_property
    def with_norms(self) -> "Probe":
        """This probe, its network's norms kept; the probe itself where they are."""
        return self if self.settings.norm == "layer" else replace(self, settings=with_norms(self.settings))

    @cached_property
    def kernel(self) -> Float64[Tensor, "n n"]:
        """Neural tangent kernel of the sum of the outputs, on the draw's images."""
        weights = kernel_parameters(self.network, self.settings)
        if not weights:
            named = "" if self.settings.kernel_parameters == "all" else " named weight"
            raise NotAdmitted(
                f"{self.subject.name} has no trainable parameter{named} for the kernel: "
                "measure with --kernel-parameters all, or leave out ntk"
            )
        with refusing(self.subject.name):
            if isinstance(self.network, MeasuredAsViT):
                self.network.recompute_blocks(self.work.recompute)
                return layerwise_kernel(self.network, weights, self.images)
            return ntk.kernel(lambda images: self.network(images).sum(1), [*weights.values()], self.images)

    def _derivatives(self, *, order: Literal[1, 2]) -> tuple[Float[Tensor, "angles D"], ...]:
        """Derivatives of the circle's image up to ``order``, a few angles at a time."""
        theta = curve.angles(self.settings.angles, device=self.device)
        at_a_time = theta.split(self.work.angles)  # outside, where attention keeps what it does in use
        with refusing(self.subject.name), differentiable_attention():
            along_circle = self._along_circle(order)
            passes = [along_circle(angles) for angles in at_a_time]
        return tuple(torch.cat(derivative) for derivative in zip(*passes, strict=True))

    def _along_circle(self, order: Literal[1, 2]) -> Callable[[Float[Tensor, " n"]], tuple[Float[Tensor, "n D"], ...]]:
        """The function from angles to derivatives: by Taylor mode for our own network, else by nested jvp."""
        network = without_gradients(self.network, self.settings, order)
        basis = self.draw.basis.to(self.device)
        radius = circle_radius(self.settings, basis[0].numel())
        if isinstance(network, MeasuredAsViT):
            carry_jets(network, order=order)
            return lambda theta: network(circle_jet(basis, radius, theta, order=order)).chunk(order + 1)[1:]
        if order == 2 or self.settings.norm == "identity":
            refuse_functional_norms(network, basis[:1])
        write_out_attention(network)
        image = curve.image_of_circle(network, basis, radius)
        if order == 1:
            return lambda theta: (curve.velocity(image, theta),)
        return lambda theta: curve.velocity_and_acceleration(image, theta)


NetworkT = TypeVar("NetworkT", bound=nn.Module)


def without_gradients(network: NetworkT, settings: Settings, order: Literal[1, 2]) -> NetworkT:
    """A copy along whose input derivatives of ``order`` are taken: its norms taken out, or written out at order 2."""
    network = fresh_copy(network).requires_grad_(False)
    if settings.norm == "identity":
        remove_norms(network)
    elif order == 2:
        write_out_norms(network)
    return network


def with_norms(settings: Settings) -> Settings:
    """These settings, but that norms are kept while the curve is measured."""
    return replace(settings, norm="layer")


def circle_radius(settings: Settings, inputs: int) -> float:
    """Radius of the circle: ``√N`` for ``N`` inputs, or 1."""
    return math.sqrt(inputs) if settings.radius == "sqrt-n" else 1.0


def kernel_parameters(network: nn.Module, settings: Settings) -> dict[str, nn.Parameter]:
    """Trainable parameters that the kernel differentiates by: all, or those named weight."""
    every = settings.kernel_parameters == "all"
    trainable = ((name, p) for name, p in network.named_parameters() if p.requires_grad)
    return {name: p for name, p in trainable if every or name.endswith("weight")}
