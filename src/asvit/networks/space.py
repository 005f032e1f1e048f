"""What may be searched: Table 1 of the paper as data, a wider one, and the topologies made of them (Section 3.1)."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

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

WIDE: Mapping[str, tuple[int, ...]] = MappingProxyType(
    dict(SPACE)
    | {f"K{stage}": (2, 3, 4, 5, 6) for stage in (2, 3, 4)}
    | {f"E{stage}": (2, 3, 4, 5, 6, 7, 8) for stage in (1, 2, 3, 4)}
)
"""Beyond the edge of Table 1, where its own best values lie: wider kernels of the re-embeddings, wider FFNs."""

SpaceName = Literal["paper", "wide"]
PAPER: SpaceName = "paper"
SPACES: Mapping[SpaceName, Mapping[str, tuple[int, ...]]] = MappingProxyType({PAPER: SPACE, "wide": WIDE})
"""Spaces by name; the last holds every topology that there is."""

STAGES = 4

BASE_STRIDE = 4
"""Stride of the paper's patch embedding; every later stage halves the map: strides 4, 8, 16, 32."""

STEM_KERNELS: Mapping[int, tuple[int, ...]] = MappingProxyType({1: (2, 3), 2: (2, 3, 4), 4: SPACE["K1"]})
"""Base strides and the values of ``K1`` for each: from the stride to twice as much, as in Table 1; for stride 1 from 2,
since a kernel of one pixel cannot be re-tokenized, to the usual 3."""

LEAST_WINDOW = 4
"""Tokens a side below which attention windows of small images are not searched; in Table 1 at 224x224 they have 7."""


@dataclass(frozen=True)
class Space:
    """The topologies that a search chooses from: values of every choice, for networks of one base stride.

    Any values of :data:`WIDE` make a space of one's own.

    >>> TABLE_1.size(), round(TABLE_1.entropy(), 3)
    (4556250, 15.332)
    """

    values: Mapping[str, tuple[int, ...]]
    """Values of every choice of :data:`SPACE`, out of those that a topology of this base stride may have."""
    base_stride: int = BASE_STRIDE
    """Stride of the patch embedding."""

    def __post_init__(self) -> None:
        if set(self.values) != set(SPACE) or not all(self.values.values()):
            raise UserError(
                f"a space has values for {', '.join(self.values)}: expected at least one for each of {', '.join(SPACE)}"
            )
        in_order = {name: tuple(self.values[name]) for name in SPACE}  # the same space draws the same, however written
        object.__setattr__(self, "values", MappingProxyType(in_order))
        check_choices(((name, value) for name, values in self.values.items() for value in values), self.base_stride)

    def size(self) -> int:
        """Number of topologies, the product of the numbers of values."""
        return math.prod(len(values) for values in self.values.values())

    def entropy(self) -> float:
        """Entropy of a uniform policy in nats, ``Σ ln |values|`` (paper, Section 3.3: 15.3)."""
        return sum(math.log(len(values)) for values in self.values.values())

    def topology(self, choices: Mapping[str, int]) -> "Topology":
        """Topology of a value for every choice, at this base stride."""
        return Topology.from_choices(choices, base_stride=self.base_stride)

    def sample(self, rng: np.random.Generator) -> "Topology":
        """Topology drawn uniformly.

        >>> TABLE_1.sample(np.random.default_rng(0)) == TABLE_1.sample(np.random.default_rng(0))
        True
        """
        return self.topology({name: int(rng.choice(values)) for name, values in self.values.items()})


def space_for(image_size: tuple[int, int], base_stride: int = BASE_STRIDE, name: SpaceName = PAPER) -> Space:
    """A named space for a base stride and images of some size.

    At the paper's base stride it is its table itself. For small images there are strides 1 and 2, with kernels to
    match, and no splits that leave windows of less than :data:`LEAST_WINDOW` tokens a side, except the fewest.

    >>> space_for((32, 32), base_stride=1).values["S1"], space_for((32, 32), base_stride=2).values["S1"]
    ((2, 4, 8), (2, 4))
    >>> space_for((32, 32), base_stride=2).size()
    607500
    >>> round(space_for((224, 224), name="wide").size() / TABLE_1.size(), 2)
    17.79
    """
    values = table_at(base_stride, name)
    if base_stride == BASE_STRIDE:
        return TABLE_1 if name == PAPER else Space(MappingProxyType(values))
    side = min(image_size) / base_stride
    for stage in range(1, STAGES):
        splits = f"S{stage}"
        fewest, *more = SPACE[splits]
        values[splits] = (fewest, *(number for number in more if side / number >= LEAST_WINDOW))
        side /= 2
    return Space(MappingProxyType(values), base_stride)


def recorded_space(base_stride: int, name: SpaceName) -> dict[str, Any]:
    """A space in the configuration of a run.

    >>> recorded_space(4, "paper"), recorded_space(2, "wide")
    ({'base_stride': 4}, {'base_stride': 2, 'space': 'wide'})
    """
    return {"base_stride": base_stride} | ({} if name == PAPER else {"space": name})


def table_at(base_stride: int, name: SpaceName = PAPER) -> dict[str, tuple[int, ...]]:
    """Table 1, or that of another space, with the kernels ``K1`` that go with a base stride.

    >>> table_at(2)["K1"], table_at(4) == SPACE
    ((2, 3, 4), True)
    """
    if base_stride not in STEM_KERNELS:
        allowed = ", ".join(map(str, STEM_KERNELS))
        raise UserError(f"the base stride is {base_stride}: expected one of {allowed}")
    return dict(SPACES[name]) | {"K1": STEM_KERNELS[base_stride]}


def check_choices(choices: Iterable[tuple[str, int]], base_stride: int) -> None:
    """Refuse a value that is in no space at a base stride.

    >>> check_choices([("K1", 8)], base_stride=2)
    Traceback (most recent call last):
    asvit.errors.UserError: K1 is 8, but the space of base stride 2 allows 2, 3, 4: choose one of them
    >>> check_choices([("K4", 7)], base_stride=4)
    Traceback (most recent call last):
    asvit.errors.UserError: K4 is 7, but Table 1 of the paper allows 2, 3, 4, and space wide 5, 6: choose one of them
    """
    table, wide = table_at(base_stride), table_at(base_stride, "wide")
    for name, value in choices:
        if value not in wide[name]:
            where = "Table 1 of the paper" if base_stride == BASE_STRIDE else f"the space of base stride {base_stride}"
            values, more = (
                ", ".join(str(v) for v in wide[name] if (v in table[name]) is known) for known in (True, False)
            )
            further = f", and space wide {more}" if more else ""
            raise UserError(f"{name} is {value}, but {where} allows {values}{further}: choose one of them")


@dataclass(frozen=True, order=True)
class Topology:
    """One point of Table 1: kernels, attention splits and FFN expansions of four stages, and the final heads.

    Text form: ``K,S,E`` per stage, then the heads, then the base stride where it is not 4. Anything outside Table 1 and
    :data:`WIDE` is a :class:`~asvit.errors.UserError`.

    >>> seed = Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32")
    >>> seed.kernels, seed.splits, seed.expansions, seed.heads
    ((8, 4, 4, 4), (2, 1, 1, 1), (3, 2, 4, 6), 32)
    >>> str(seed)
    '8,2,3|4,1,2|4,1,4|4,1,6|32'
    >>> Topology.parse("3,2,3|4,1,2|4,1,4|4,1,6|32|1").base_stride
    1
    """

    kernels: tuple[int, int, int, int]
    """``K1..K4``: side of the window that the (re-)embedding sees."""
    splits: tuple[int, int, int, int]
    """``S1..S4``: attention windows per side; ``S4 = 1``."""
    expansions: tuple[int, int, int, int]
    """``E1..E4``: hidden channels of the FFN as a multiple of the stage's channels."""
    heads: int
    """Attention heads of the last stage; an eighth, a quarter and a half of them in the stages before."""
    base_stride: int = BASE_STRIDE
    """Stride of the patch embedding: 4 (the paper), or 1 or 2 for small images."""

    def __post_init__(self) -> None:
        if self.splits[STAGES - 1] != 1:
            raise UserError(f"S4 is {self.splits[3]}, but the last stage is never split: write 1 for it")
        check_choices(self.choices().items(), self.base_stride)

    @classmethod
    def from_choices(cls, choices: Mapping[str, int], *, base_stride: int = BASE_STRIDE) -> "Topology":
        """Topology from a value for every name of :data:`SPACE`.

        >>> Topology.from_choices({name: values[0] for name, values in SPACE.items()})
        Topology(kernels=(4, 2, 2, 2), splits=(2, 1, 1, 1), expansions=(2, 2, 2, 2), heads=16, base_stride=4)
        """
        return cls(
            kernels=(choices["K1"], choices["K2"], choices["K3"], choices["K4"]),
            splits=(choices["S1"], choices["S2"], choices["S3"], 1),
            expansions=(choices["E1"], choices["E2"], choices["E3"], choices["E4"]),
            heads=choices["heads"],
            base_stride=base_stride,
        )

    def choices(self) -> dict[str, int]:
        """The topology as a value for every name of :data:`SPACE`, in its order."""
        letters = {"K": self.kernels, "S": self.splits, "E": self.expansions}
        return {name: self.heads if name == "heads" else letters[name[0]][int(name[1]) - 1] for name in SPACE}

    @classmethod
    def parse(cls, text: str) -> "Topology":
        """Topology from its text form ``K,S,E|K,S,E|K,S,E|K,S,E|heads``; the inverse of ``str``."""
        fields, base_stride = parse_fields(text, (3, 3, 3, 3, 1), expected="8,2,3|4,1,2|4,1,4|4,1,6|32")
        kernels, splits, expansions = zip(*fields[:STAGES], strict=True)
        return cls(kernels, splits, expansions, heads=fields[STAGES][0], base_stride=base_stride)

    def __str__(self) -> str:
        return text_form(zip(self.kernels, self.splits, self.expansions, strict=True), (self.heads,), self.base_stride)


def text_form(stages: Iterable[tuple[int, ...]], last: tuple[int, ...], base_stride: int) -> str:
    """Numbers of the stages and of the whole network between bars; the base stride where it is not the paper's.

    >>> text_form([(8, 2, 3), (4, 1, 2)], (32,), 4), text_form([(3, 2, 3)], (32,), 1)
    ('8,2,3|4,1,2|32', '3,2,3|32|1')
    """
    fields = [*stages, last] + ([] if base_stride == BASE_STRIDE else [(base_stride,)])
    return "|".join(",".join(map(str, field)) for field in fields)


def parse_fields(text: str, lengths: tuple[int, ...], *, expected: str) -> tuple[list[tuple[int, ...]], int]:
    """Numbers of a text form, as many in each field as ``lengths`` says, and the base stride.

    >>> parse_fields("1,2|3", (2, 1), expected="1,2|3"), parse_fields("1,2|3|1", (2, 1), expected="1,2|3")
    (([(1, 2), (3,)], 4), ([(1, 2), (3,)], 1))
    """
    fields = text.strip().split("|")
    other_stride = len(fields) == len(lengths) + 1
    lengths = (*lengths, 1) if other_stride else lengths
    well_formed = len(fields) == len(lengths) and all(
        re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", field) and field.count(",") + 1 == length
        for field, length in zip(fields, lengths, strict=True)
    )
    if not well_formed:
        raise UserError(
            f"cannot read {text!r}: expected whole numbers in the form {expected}, or with |1 or |2 behind it for "
            "another base stride"
        )
    numbers = [tuple(int(number) for number in field.split(",")) for field in fields]
    base_stride = numbers.pop()[0] if other_stride else BASE_STRIDE
    return numbers, base_stride


TABLE_1 = Space(SPACE)
"""The paper's space."""
