"""One random draw of a network, and what it is shown: the circle and the images that metrics are computed from."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from asvit.architecture import Task
from asvit.attention import write_out_attention
from asvit.complexity import curve, ntk
from asvit.errors import UserError
from asvit.norms import remove_norms, write_out_norms
from asvit.photos import Photographs
from asvit.settings import Settings
from asvit.subject import Subject, one_line


@dataclass(frozen=True, eq=False)
class Draw:
    """What one repeat is made of, the same for every network: a function of (seed, repeat)."""

    weights_seed: int
    basis: Float[Tensor, "2 channels H W"]
    """Orthonormal ``u⁰, u¹`` of the circle's plane."""
    images: Float[Tensor, "n channels H W"]
    """What the kernel sees."""

    @classmethod
    def of(cls, seed: int, repeat: int, *, task: Task, photographs: Photographs, images: int) -> "Draw":
        """Draw repeat number ``repeat``: three independent streams of random numbers."""
        weights, circle, photos = (
            int(stream.generate_state(1, np.uint64)[0] >> np.uint64(1))
            for stream in np.random.SeedSequence((seed, repeat)).spawn(3)
        )
        return cls(weights, orthonormal_pair(task, circle), photographs.draw(images, task, photos))


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

    @cached_property
    def network(self) -> nn.Module:
        """Images to pooled features."""
        return self.subject.network(self.draw.weights_seed).to(self.device)

    @cached_property
    def velocity(self) -> Float[Tensor, "angles D"]:
        """``v(θ)`` of the circle's image."""
        with self._refusing():
            return curve.velocity(self._curve(twice=False), self._theta)

    @cached_property
    def velocity_and_acceleration(self) -> tuple[Float[Tensor, "angles D"], Float[Tensor, "angles D"]]:
        """``v(θ)`` and ``a(θ)``, with norms that can be differentiated twice."""
        with self._refusing():
            return curve.velocity_and_acceleration(self._curve(twice=True), self._theta)

    @cached_property
    def kernel(self) -> Float64[Tensor, "n n"]:
        """Neural tangent kernel of the sum of the pooled features, on the draw's images."""
        every = self.settings.kernel_parameters == "all"
        weights = [p for name, p in self.network.named_parameters() if every or name.endswith("weight")]
        with self._refusing():
            return ntk.kernel(lambda images: self.network(images).sum(1), weights, self.draw.images.to(self.device))

    def _curve(self, *, twice: bool) -> curve.Curve:
        network = deepcopy(self.network).requires_grad_(False)
        write_out_attention(network)
        if self.settings.norm == "identity":
            remove_norms(network)
        elif twice:
            write_out_norms(network)
        basis = self.draw.basis.to(self.device)
        radius = math.sqrt(basis[0].numel()) if self.settings.radius == "sqrt-n" else 1.0
        return curve.image_of_circle(network, basis, radius)

    @property
    def _theta(self) -> Float[Tensor, " angles"]:
        return curve.angles(self.settings.angles, device=self.device)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Refuse a network that lacks a derivative or does not take these images, naming torch's reason."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, AssertionError) as error:  # NotImplementedError is a RuntimeError
            raise UserError(
                f"{self.subject.name} cannot be measured here: {one_line(error)}; "
                "choose other metrics, another image size or another network"
            ) from error
