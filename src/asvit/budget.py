"""Budgets: what a network may cost, and sizes as people write them."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from asvit.errors import UserError
from asvit.networks.architecture import Architecture

Kind = Literal["params", "macs", "memory", "latency"]
"""Parameters and multiply-adds are counted, bytes and seconds measured; those that are quick to find come first."""
KINDS: tuple[Kind, ...] = get_args(Kind)
MEASURED: tuple[Kind, ...] = ("memory", "latency")

Cost = Callable[[Kind, Architecture], int | float]
"""What an architecture costs of a kind: a number, bytes, or seconds."""


@dataclass(frozen=True)
class Budget:
    """An upper bound on what a network costs; perhaps several, which hold together.

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
        return cls(kind, _READERS[kind](text))

    @classmethod
    def together(cls, budgets: Sequence["Budget"]) -> "Budget":
        """One budget out of several of different kinds, all of which a network has to meet."""
        first, *beside = sorted(budgets, key=lambda budget: KINDS.index(budget.kind))
        return replace(first, beside=tuple(beside))

    @property
    def bounds(self) -> tuple["Budget", ...]:
        """Bounds of a kind each; the budget itself where it is only one."""
        return (replace(self, beside=()), *self.beside)

    @property
    def measured(self) -> bool:
        """Whether a network has to run on a device to be compared with it."""
        return any(bound.kind in MEASURED for bound in self.bounds)

    def admits(self, architecture: Architecture, cost: Cost) -> bool:
        """Whether the architecture stays within all bounds; nothing more is asked after the first that it exceeds."""
        return all(cost(bound.kind, architecture) <= bound.limit for bound in self.bounds)

    def share(self, architecture: Architecture, cost: Cost) -> float:
        """What the architecture uses of the bound that it comes closest to, 1 for all of it."""
        return max(cost(bound.kind, architecture) / bound.limit for bound in self.bounds)

    def just_for(self, architecture: Architecture, cost: Cost) -> "Budget":
        """The same bounds at what the architecture costs."""
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
        """Few words for a chart: ``3M``, ``5G MACs``, ``3M, 8ms``."""
        return ", ".join(
            format_cost(bound.kind, bound.limit) + " MACs" * (bound.kind == "macs") for bound in self.bounds
        )

    @property
    def file_name(self) -> str:
        """For the file of its member: ``30M-params``, ``3M-params-8ms-latency``."""
        return "-".join(f"{format_cost(bound.kind, bound.limit)}-{bound.kind}" for bound in self.bounds)

    def __str__(self) -> str:
        words = [f"{format_cost(bound.kind, bound.limit)} {_NOUNS[bound.kind]}" for bound in self.bounds]
        return " and ".join(words)


_NOUNS: Mapping[Kind, str] = {"params": "parameters", "macs": "MACs", "memory": "of memory", "latency": "of latency"}

_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_BYTES = {"": 1, "b": 1} | {
    prefix + unit: base**power
    for power, prefix in enumerate("kmgt", start=1)
    for unit, base in (("", 1000), ("b", 1000), ("ib", 1024))
}
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


def parse_size(text: str) -> int:
    """Whole number from a size as people write it.

    >>> parse_size("30M"), parse_size("4.5G"), parse_size("2_500_000")
    (30000000, 4500000000, 2500000)
    """
    return _whole(text, _COUNTS, "size", "a positive number such as 30M, 4.5G or 2500000")


def parse_memory(text: str) -> int:
    """Bytes from a size as people write it.

    >>> parse_memory("2GB"), parse_memory("512M"), parse_memory("512MiB")
    (2000000000, 512000000, 536870912)
    """
    return _whole(text, _BYTES, "amount of memory", "a positive number such as 2GB, 512MiB or 800M")


def parse_duration(text: str) -> float:
    """Seconds from a duration as people write it.

    >>> parse_duration("8ms"), parse_duration("0.5s"), parse_duration("250us")
    (0.008, 0.5, 0.00025)
    """
    expected = "a positive number and its unit, such as 8ms, 0.5s or 250us"
    number, unit = _number_and_unit(text, _SECONDS, "duration", expected)
    if not number:
        raise UserError(f"cannot read the duration {text!r}: expected {expected}")
    return float(f"{number * unit:.12g}")  # 0.008 and not 0.008000000000000002


def _whole(text: str, units: Mapping[str, int], what: str, expected: str) -> int:
    number, unit = _number_and_unit(text, units, what, expected)
    if (value := round(number * unit)) < 1:
        raise UserError(f"cannot read the {what} {text!r}: expected {expected}")
    return value


def _number_and_unit(
    text: str, units: Mapping[str, int | float], what: str, expected: str
) -> tuple[float, int | float]:
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d+)?)\s*([a-zµ]*)\s*", text.replace("_", "").lower())
    if match is None or match[2] not in units:
        raise UserError(f"cannot read the {what} {text!r}: expected {expected}")
    return float(match[1]), units[match[2]]


_READERS: Mapping[Kind, Callable[[str], int | float]] = {
    "params": parse_size,
    "macs": parse_size,
    "memory": parse_memory,
    "latency": parse_duration,
}


def format_size(value: int) -> str:
    """Short form of a count, three significant digits or more.

    >>> format_size(29051296), format_size(5132134656), format_size(30000000)
    ('29.05M', '5.13G', '30M')
    """
    for unit, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= 0.999995 * scale:  # below, two decimals of the smaller unit do not round up to 1000
            return f"{value / scale:.2f}".rstrip("0").rstrip(".") + unit
    return str(value)


def format_duration(seconds: float) -> str:
    """Short form of a duration, four significant digits.

    >>> format_duration(0.008), format_duration(1.5), format_duration(0.00025), format_duration(0.0123456)
    ('8ms', '1.5s', '0.25ms', '12.35ms')
    """
    return f"{seconds:.4g}s" if seconds >= 0.99995 else f"{1000 * seconds:.4g}ms"


def format_cost(kind: Kind, value: int | float) -> str:
    """Short form of what a network costs of a kind.

    >>> format_cost("memory", 2 * 10**9), format_cost("latency", 0.008), format_cost("params", 3 * 10**6)
    ('2GB', '8ms', '3M')
    """
    if kind == "latency":
        return format_duration(value)
    return format_size(round(value)) + "B" * (kind == "memory")
