"""Recipes: how long to search, how carefully to measure, and how far to grow."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from asvit.design.budget import Budget
from asvit.measure.settings import Carefulness
from asvit.networks.architecture import Task

StartFrom = Literal["most-probable", "best-ranked"]
"""The policy's topology of highest probability, or the measured one with the smallest sum of ranks."""


@dataclass(frozen=True, kw_only=True)
class Recipe(Carefulness):
    """Defaults of a job; every one of them can be set on the command line."""

    steps: int
    """Steps of the search."""
    start_from: StartFrom
    """Topology that growth starts from."""
    image_size: tuple[int, int]
    """Height and width in pixels."""
    params: tuple[str, ...]
    """Budgets of the family, in parameters."""
    grow_to: str | None
    """Parameters up to which growth goes on at least; None: up to the largest budget."""

    @property
    def task(self) -> Task:
        """Images and classes where no others are asked for.

        >>> RECIPES["smoke"].task.image_size
        (32, 32)
        """
        return Task(image_size=self.image_size)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Budgets of the family where no others are asked for.

        >>> [str(budget) for budget in RECIPES["smoke"].budgets]
        ['5M parameters']
        """
        return tuple(Budget.parse("params", text) for text in self.params)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "paper": Recipe(
            steps=500,
            start_from="most-probable",
            repeats=5,
            angles=10,
            kernel_images=16,
            image_size=(224, 224),
            params=("30M", "55M", "90M"),
            grow_to="100M",
        ),
        "quick": Recipe(
            steps=50,
            start_from="best-ranked",
            repeats=2,
            angles=3,
            kernel_images=16,
            image_size=(224, 224),
            params=("30M", "55M", "90M"),
            grow_to=None,
        ),
        "smoke": Recipe(
            steps=4,
            start_from="best-ranked",
            repeats=1,
            angles=2,
            kernel_images=4,
            image_size=(32, 32),
            params=("5M",),
            grow_to=None,
        ),
    }
)
"""``paper``: the paper's search and growth. ``quick``: a tenth of the steps, two repeats, three angles.
Three give the length to 0.05 %: with norms taken out the squared speed has period π, which an odd number samples twice
as well. A policy is undecided after so few steps, so growth starts from the best topology that was measured, not from
one that perhaps never was. ``smoke``: seconds, for tests; what it finds means nothing."""
