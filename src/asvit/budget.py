"""Budgets: how large a network may be, and sizes as people write them."""

import re
from dataclasses import dataclass
from typing import Literal

from asvit.architecture import Architecture, Task
from asvit.errors import UserError


@dataclass(frozen=True)
class Budget:
    """An upper bound on parameters or multiply-adds.

    >>> Budget.parse("params", "30M").admits(Architecture.parse("small"))
    True
    """

    kind: Literal["params", "macs"]
    limit: int

    @classmethod
    def parse(cls, kind: Literal["params", "macs"], text: str) -> "Budget":
        """Budget from a size as people write it: ``30M``, ``4.5G``, ``2500000``."""
        return cls(kind, parse_size(text))

    def cost(self, architecture: Architecture, task: Task) -> int:
        """What the architecture spends of this budget."""
        return architecture.params(task) if self.kind == "params" else architecture.macs(task)

    def admits(self, architecture: Architecture, task: Task = Task()) -> bool:
        """Whether the architecture stays within the budget."""
        return self.cost(architecture, task) <= self.limit

    def __str__(self) -> str:
        return f"{format_size(self.limit)} {'parameters' if self.kind == 'params' else 'MACs'}"


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}


def parse_size(text: str) -> int:
    """Whole number from a size as people write it.

    >>> parse_size("30M"), parse_size("4.5G"), parse_size("2_500_000")
    (30000000, 4500000000, 2500000)
    """
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d+)?)\s*([kKmMgGbBtT]?)\s*", text.replace("_", ""))
    if match is None or (value := round(float(match[1]) * _UNITS[match[2].lower()])) < 1:
        raise UserError(f"cannot read the size {text!r}: expected a positive number such as 30M, 4.5G or 2500000")
    return value


def parse_memory(text: str) -> int:
    """Bytes from a size as people write it.

    >>> parse_memory("2GB"), parse_memory("512M")
    (2000000000, 512000000)
    """
    return parse_size(re.sub(r"(?<=[kKmMgGtT])[bB]\s*$", "", text))


def format_size(value: int) -> str:
    """Short form of a count, three significant digits or more.

    >>> format_size(29051296), format_size(5132134656), format_size(30000000)
    ('29.05M', '5.13G', '30M')
    """
    for unit, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= 0.999995 * scale:  # below, two decimals of the smaller unit do not round up to 1000
            return f"{value / scale:.2f}".rstrip("0").rstrip(".") + unit
    return str(value)
