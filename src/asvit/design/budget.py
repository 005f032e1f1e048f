"""Budgets: what a network may cost, and sizes as people write them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from asvit.errors import UserError
from asvit.networks.architecture import Architecture
from asvit.units import Kind, format_cost, parse_duration, parse_memory, parse_size

KINDS: tuple[Kind, ...] = get_args(Kind)
MEASURED: tuple[Kind, ...] = ("memory", "latency")

MOST: Mapping[Kind, int | float] = {"params": 10**11, "macs": 10**15, "memory": 10**14, "latency": 3600.0}
"""Largest budgets."""

CostFunction = Callable[[Kind, Architecture], int | float]
"""Function from a kind and an architecture to what that costs: a count, bytes, or seconds."""


@dataclass(frozen=True)
class Budget:
    """An upper bound on what a network costs, or several that hold together.

    >>> from asvit.design.costs import Costs
    >>> Budget.parse("params", "30M").admits(Architecture.parse("small"), Costs())
    True
    >>> both = Budget.together([Budget.parse("params", "30M"), Budget.parse("macs", "5G")])
    >>> str(both), both.admits(Architecture.parse("small"), Costs())
    ('30M parameters and 5G MACs', False)
    """

    kind: Kind
    limit: int | float
    """Parameters, multiply-adds for one image, bytes or seconds."""
    beside: tuple["Budget", ...] = ()
    """Bounds of other kinds that the same network has to meet."""

    @classmethod
    def parse(cls, kind: Kind, text: str) -> "Budget":
        """Budget from a size as people write it: ``30M``, ``4.5G``, ``2500000``, ``8ms``, ``512MiB``."""
        limit = _READERS[kind](text)
        if limit > MOST[kind]:
            raise UserError(
                f"a budget of {format_cost(kind, limit)} of {kind} holds for everything: expected at most "
                f"{format_cost(kind, MOST[kind])}"
            )
        return cls(kind, limit)

    @classmethod
    def together(cls, budgets: Sequence["Budget"]) -> "Budget":
        """One budget out of several of different kinds, all of which a network has to meet."""
        first, *beside = sorted(budgets, key=lambda budget: KINDS.index(budget.kind))
        return replace(first, beside=tuple(beside))

    @property
    def bounds(self) -> tuple["Budget", ...]:
        """The bounds one by one, each of one kind; the budget itself where it has only one."""
        return (replace(self, beside=()), *self.beside)

    @property
    def measured(self) -> bool:
        """Whether a network has to run on a device to be compared with it."""
        return any(bound.kind in MEASURED for bound in self.bounds)

    def admits(self, architecture: Architecture, cost: CostFunction) -> bool:
        """Whether the architecture stays within all bounds; nothing more is asked after the first that it exceeds."""
        return all(cost(bound.kind, architecture) <= bound.limit for bound in self.bounds)

    def share(self, architecture: Architecture, cost: CostFunction) -> float:
        """Share that the architecture uses of the bound it comes closest to, 1 for all of it."""
        return max(cost(bound.kind, architecture) / bound.limit for bound in self.bounds)

    def just_for(self, architecture: Architecture, cost: CostFunction) -> "Budget":
        """The budget that the architecture just meets: bounds of the same kinds, at what it costs."""
        return Budget.together([Budget(bound.kind, cost(bound.kind, architecture)) for bound in self.bounds])

    def contains(self, other: "Budget") -> bool:
        """Whether every network within the other budget is within this one.

        >>> Budget("params", 3).contains(Budget.together([Budget("params", 2), Budget("macs", 9)]))
        True
        """
        limits = {bound.kind: bound.limit for bound in other.bounds}
        return all(limits.get(bound.kind, math.inf) <= bound.limit for bound in self.bounds)

    @property
    def label(self) -> str:
        """Short words for a chart: ``3M``, ``5G MACs``, ``3M, 8ms``."""
        return ", ".join(
            format_cost(bound.kind, bound.limit) + " MACs" * (bound.kind == "macs") for bound in self.bounds
        )

    @property
    def file_name(self) -> str:
        """Name for the file of its member: ``30M-params``, ``3M-params-8ms-latency``."""
        return "-".join(f"{format_cost(bound.kind, bound.limit)}-{bound.kind}" for bound in self.bounds)

    def __str__(self) -> str:
        words = [f"{format_cost(bound.kind, bound.limit)} {_NOUNS[bound.kind]}" for bound in self.bounds]
        return " and ".join(words)


_NOUNS: Mapping[Kind, str] = {"params": "parameters", "macs": "MACs", "memory": "of memory", "latency": "of latency"}


_READERS: Mapping[Kind, Callable[[str], int | float]] = {
    "params": parse_size,
    "macs": parse_size,
    "memory": parse_memory,
    "latency": parse_duration,
}


def bounds_of(budgets: Iterable[Budget]) -> list[Budget]:
    """The bounds of some budgets, each once.

    >>> params, macs = Budget.parse("params", "3M"), Budget.parse("macs", "1G")
    >>> [str(bound) for bound in bounds_of([params, Budget.together([params, macs])])]
    ['3M parameters', '1G MACs']
    """
    return list(dict.fromkeys(bound for budget in budgets for bound in budget.bounds))
