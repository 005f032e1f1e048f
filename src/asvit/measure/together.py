"""All repeats of an architecture's measurement at once: one network that stacks theirs, told once what to compute."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from asvit.complexity import curve
from asvit.complexity.cost import activation_bytes
from asvit.complexity.layerwise import layerwise_kernel
from asvit.measure.probe import Draw, Probe, circle_radius, kernel_parameters, with_norms, without_gradients
from asvit.measure.settings import Settings, Use
from asvit.measure.stacked import stack_into
from asvit.measure.subject import ArchitectureSubject, MeasuredAsViT
from asvit.measure.taylor import carry_jets, circle_jet
from asvit.measure.work import Work
from asvit.runs.devices import usable_cores


@dataclass(frozen=True)
class WorkTogether(Work):
    """The share of several repeats' measurement that is in memory at a time."""

    repeats: int

    def __str__(self) -> str:
        return f"{super().__str__()}, {self.repeats} repeats"


@dataclass(frozen=True, eq=False)
class Together:
    """An architecture's networks of several draws, and their derivatives; values are those of a probe for each draw."""

    subject: ArchitectureSubject
    draws: Sequence[Draw]
    settings: Settings
    device: torch.device
    memory: int
    """Bytes of activations at a time."""

    def probes(self, use: Use) -> "list[ProbeTogether]":
        """A probe for each draw, which reads here what is computed at once.

        >>> from asvit.networks.architecture import Architecture, Task
        >>> from asvit.measure.measurer import Measurer
        >>> measure = Measurer(Settings(repeats=2), Task(image_size=(32, 32)))
        >>> subject = ArchitectureSubject(Architecture.parse("seed"), measure.task)
        >>> together = Together(subject, measure.draws, measure.settings, measure.device, measure.work_memory)
        >>> [probe.velocity.shape for probe in together.probes(Use())]
        [torch.Size([10, 256]), torch.Size([10, 256])]
        """
        return [
            ProbeTogether(
                self.subject, draw, self.settings, self.device, self.memory, use=use, together=self, place=place
            )
            for place, draw in enumerate(self.draws)
        ]

    @cached_property
    def network(self) -> MeasuredAsViT:
        """The network from rows of images, draw by draw, to the output that is measured."""
        network = self.subject.outline(self.settings.output)
        shapes = {name: parameter.shape for name, parameter in network.model.named_parameters()}
        # On the CPU, as a probe draws: the same seed gives the same weights on every device.
        drawn = {name: torch.empty(len(self.draws), *shape) for name, shape in shapes.items()}

        def draw_weights(place: int) -> None:
            network.model.initialise(
                torch.Generator().manual_seed(self.draws[place].weights_seed),
                initialisation=self.settings.initialisation,
                into={name: parameter[place] for name, parameter in drawn.items()},
            )

        # Each draw has a generator of its own: which thread comes first changes nothing.
        with ThreadPoolExecutor(usable_cores()) as threads:
            list(threads.map(draw_weights, range(len(self.draws))))
        stack_into(network.model, drawn)
        return network.to(self.device)

    @cached_property
    def work(self) -> WorkTogether:
        """Share of every draw's measurement that is done at a time."""
        # An angle or image of one draw is one of every draw here: activations of all count.
        image_of_each = torch.zeros(len(self.draws), *self.draws[0].images.shape[1:], device=self.device)
        work = Work.within(self.memory, activation_bytes(self.network, image_of_each), self.settings)
        return WorkTogether(work.angles, work.recompute, len(self.draws))

    @cached_property
    def velocity(self) -> Float[Tensor, "R angles D"]:
        """Velocity ``v(θ)`` of every draw."""
        (v,) = self._derivatives(order=1)
        return v

    @cached_property
    def velocity_and_acceleration(self) -> tuple[Float[Tensor, "R angles D"], Float[Tensor, "R angles D"]]:
        """Velocity ``v(θ)`` and acceleration ``a(θ)`` of every draw."""
        v, a = self._derivatives(order=2)
        return v, a

    @cached_property
    def with_norms(self) -> "Together":
        """These networks, their norms kept."""
        return replace(self, settings=with_norms(self.settings))

    @cached_property
    def kernel(self) -> Float64[Tensor, "R n n"]:
        """Neural tangent kernel of every draw."""
        names = kernel_parameters(self.network, self.settings)
        images = torch.cat([draw.images for draw in self.draws]).to(self.device)
        self.network.recompute_blocks(self.work.recompute)
        return layerwise_kernel(self.network, names, images, networks=len(self.draws))

    def _derivatives(self, *, order: Literal[1, 2]) -> Sequence[Float[Tensor, "R angles D"]]:
        """Derivatives of the circles' images up to ``order``, a few angles at a time."""
        network = without_gradients(self.network, self.settings, order)
        carry_jets(network, order=order)
        # R images side by side are one large image to the circle, whose points for all draws are one product.
        basis = torch.stack([draw.basis for draw in self.draws], 1).to(self.device)
        radius = circle_radius(self.settings, basis[0, 0].numel())
        parts, passes = order + 1, []
        for theta in curve.angles(self.settings.angles, device=self.device).split(self.work.angles):
            jet_PnR = circle_jet(basis, radius, theta, order=order).unflatten(0, (parts, -1))
            # Stacked layers read the rows of a part network by network, and in each angle by angle.
            out = network(jet_PnR.transpose(1, 2).flatten(0, 2))
            passes.append(out.unflatten(0, (parts, len(self.draws), -1))[1:])
        return torch.cat(passes, 2).unbind()


@dataclass(frozen=True, eq=False, kw_only=True)
class ProbeTogether(Probe):
    """The probe of one draw among several whose derivatives are computed at once."""

    together: Together
    place: int
    """Index of the draw among them."""

    @cached_property
    def work(self) -> WorkTogether:
        """Share of every draw's measurement that is done at a time."""
        return self.together.work

    @cached_property
    def velocity(self) -> Float[Tensor, "angles D"]:
        """Velocity ``v(θ)`` of the circle's image."""
        return self.together.velocity[self.place]

    @cached_property
    def velocity_and_acceleration(self) -> tuple[Float[Tensor, "angles D"], Float[Tensor, "angles D"]]:
        """Velocity ``v(θ)`` and acceleration ``a(θ)`` of the circle's image."""
        v, a = self.together.velocity_and_acceleration
        return v[self.place], a[self.place]

    @cached_property
    def with_norms(self) -> Probe:
        """This probe, its network's norms kept; the probe itself where they are."""
        if self.settings.norm == "layer":
            return self
        return replace(self, settings=with_norms(self.settings), together=self.together.with_norms)

    @cached_property
    def kernel(self) -> Float64[Tensor, "n n"]:
        """Neural tangent kernel of the sum of the outputs, on the draw's images."""
        return self.together.kernel[self.place]
