"""What may be searched: Table 1 of the paper as data, and the topologies made of it (Section 3.1)."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from asvit.errors import UserError

SPACE: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "K1": (4, 5, 6, 7, 8),
        "S1": (2, 4, 8),
        "E1": (2, 3, 4, 5, 6),
        "K2": (2, 3, 4),
        "S2": (1, 2, 4),
        "E2": (2, 3, 4, 5, 6),
        "K3": (2, 3, 4),
        "S3": (1, 2),
        "E3": (2, 3, 4, 5, 6),
        "K4": (2, 3, 4),
        "E4": (2, 3, 4, 5, 6),
        "heads": (16, 32, 64),
    }
)
"""Table 1: the name of every choice and its values. Kernel ``K``, attention splits ``S`` and FFN expansion ``E``
of the four stages, and the number of heads of the last stage. ``S4`` is 1 and not searched (the paper's footnote 2)."""

STAGES = 4


def space_size() -> int:
    """Number of topologies of Table 1, the product of the numbers of values.

    >>> space_size()
    4556250
    """
    return math.prod(len(values) for values in SPACE.values())


def space_entropy() -> float:
    """Entropy of a uniform policy over Table 1 in nats, ``Σ ln |values|`` (paper, Section 3.3: 15.3).

    >>> round(space_entropy(), 3)
    15.332
    """
    return sum(math.log(len(values)) for values in SPACE.values())


@dataclass(frozen=True, order=True)
class Topology:
    """One point of Table 1: kernels, attention splits and FFN expansions of four stages, and the final heads.

    Text form: ``K,S,E`` per stage, then the heads. Anything outside Table 1 is a :class:`~asvit.errors.UserError`.

    >>> seed = Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32")
    >>> seed.kernels, seed.splits, seed.expansions, seed.heads
    ((8, 4, 4, 4), (2, 1, 1, 1), (3, 2, 4, 6), 32)
    >>> str(seed)
    '8,2,3|4,1,2|4,1,4|4,1,6|32'
    """

    kernels: tuple[int, int, int, int]
    """``K1..K4``: side of the window that the (re-)embedding sees."""
    splits: tuple[int, int, int, int]
    """``S1..S4``: attention windows per side; ``S4 = 1``."""
    expansions: tuple[int, int, int, int]
    """``E1..E4``: hidden channels of the FFN as a multiple of the stage's channels."""
    heads: int
    """Attention heads of the last stage; an eighth, a quarter and a half of them in the stages before."""

    def __post_init__(self) -> None:
        if self.splits[STAGES - 1] != 1:
            raise UserError(f"S4 is {self.splits[3]}, but the last stage is never split: write 1 for it")
        for name, value in self.choices().items():
            if value not in SPACE[name]:
                allowed = ", ".join(map(str, SPACE[name]))
                raise UserError(f"{name} is {value}, but Table 1 of the paper allows {allowed}: choose one of them")

    @classmethod
    def from_choices(cls, choices: Mapping[str, int]) -> "Topology":
        """Topology from a value for every name of :data:`SPACE`.

        >>> Topology.from_choices({name: values[0] for name, values in SPACE.items()})
        Topology(kernels=(4, 2, 2, 2), splits=(2, 1, 1, 1), expansions=(2, 2, 2, 2), heads=16)
        """
        return cls(
            kernels=(choices["K1"], choices["K2"], choices["K3"], choices["K4"]),
            splits=(choices["S1"], choices["S2"], choices["S3"], 1),
            expansions=(choices["E1"], choices["E2"], choices["E3"], choices["E4"]),
            heads=choices["heads"],
        )

    def choices(self) -> dict[str, int]:
        """The topology as a value for every name of :data:`SPACE`, in its order."""
        letters = {"K": self.kernels, "S": self.splits, "E": self.expansions}
        return {name: self.heads if name == "heads" else letters[name[0]][int(name[1]) - 1] for name in SPACE}

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Topology":
        """Topology drawn uniformly from Table 1.

        >>> Topology.sample(np.random.default_rng(0)) == Topology.sample(np.random.default_rng(0))
        True
        """
        return cls.from_choices({name: int(rng.choice(values)) for name, values in SPACE.items()})

    @classmethod
    def parse(cls, text: str) -> "Topology":
        """Topology from its text form ``K,S,E|K,S,E|K,S,E|K,S,E|heads``; the inverse of ``str``."""
        fields = parse_fields(text, (3, 3, 3, 3, 1), expected="8,2,3|4,1,2|4,1,4|4,1,6|32")
        kernels, splits, expansions = zip(*fields[:STAGES], strict=True)
        return cls(kernels=kernels, splits=splits, expansions=expansions, heads=fields[STAGES][0])

    def __str__(self) -> str:
        stages = zip(self.kernels, self.splits, self.expansions, strict=True)
        return "|".join([*(",".join(map(str, stage)) for stage in stages), str(self.heads)])


def parse_fields(text: str, lengths: tuple[int, ...], *, expected: str) -> list[tuple[int, ...]]:
    """Integers of a text form whose fields stand between bars, as many in each field as ``lengths`` says.

    >>> parse_fields("1,2|3", (2, 1), expected="1,2|3")
    [(1, 2), (3,)]
    """
    fields = text.strip().split("|")
    well_formed = len(fields) == len(lengths) and all(
        re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", field) and field.count(",") + 1 == length
        for field, length in zip(fields, lengths, strict=True)
    )
    if not well_formed:
        raise UserError(f"cannot read {text!r}: expected whole numbers in the form {expected}")
    return [tuple(int(number) for number in field.split(",")) for field in fields]
