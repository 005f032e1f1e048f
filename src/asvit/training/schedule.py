"""Schedules of re-tokenization (Section 4, Table 6): which epochs have coarse tokens. Needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from asvit.errors import UserError

MOST_STAGES = 8
"""Stages of a schedule: in each the stride is half of that before."""
PAPER_EPOCHS = 300
"""Epochs for which the paper states its schedules."""


PAPER_SCHEDULES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"none": (), "40-70": (40, 70), "80-140": (80, 140), "120-210": (120, 210)}
)
"""Last epochs of the coarse stages, out of 300 (Table 6): at 4 times the base stride, then at twice the base stride."""


@dataclass(frozen=True)
class Stage:
    """Some epochs at one granularity.

    >>> Stage(coarseness=4, epochs=80)
    Stage(coarseness=4, epochs=80)
    """

    coarseness: int
    """Stride of the patch embedding over its base stride; the tokens are fewer by its square."""
    epochs: int


Schedule = tuple[Stage, ...]
"""Stages in order, coarsest first; the last one has the base stride."""


def named_schedule(name: str, epochs: int) -> Schedule:
    """One of the paper's schedules, scaled from its 300 epochs.

    >>> [(stage.coarseness, stage.epochs) for stage in named_schedule("80-140", 30)]
    [(4, 8), (2, 6), (1, 16)]
    >>> named_schedule("none", 30)
    (Stage(coarseness=1, epochs=30),)
    """
    if name not in PAPER_SCHEDULES:
        raise UserError(f"unknown schedule {name!r}: expected one of {', '.join(PAPER_SCHEDULES)}")
    ends = [min(round(end * epochs / PAPER_EPOCHS), epochs - 1) for end in PAPER_SCHEDULES[name]] + [epochs]
    return schedule_of([end - start for start, end in zip([0, *ends], ends, strict=False)])


def schedule_of(epochs: Sequence[int]) -> Schedule:
    """A schedule of one's own from the epochs of its stages, coarsest first; every stage halves the stride.

    >>> [(stage.coarseness, stage.epochs) for stage in schedule_of([2, 0, 5])]
    [(4, 2), (1, 5)]
    """
    if len(epochs) > MOST_STAGES:
        raise UserError(f"the schedule has {len(epochs)} stages: expected at most {MOST_STAGES}")
    if any(n < 0 for n in epochs) or not epochs or epochs[-1] < 1:
        raise UserError(
            f"the stages' epochs are {list(epochs)}: expected numbers of at least 0, the last, at full resolution, "
            "at least 1"
        )
    stages = (Stage(2 ** (len(epochs) - 1 - i), n) for i, n in enumerate(epochs))
    return tuple(stage for stage in stages if stage.epochs)


def share_of_tokens(coarseness: int) -> str:
    """Tokens that a coarseness leaves, in words.

    >>> share_of_tokens(4), share_of_tokens(1)
    ('1/16', 'all')
    """
    return "all" if coarseness == 1 else f"1/{coarseness**2}"


def coarseness_at(schedule: Schedule, epoch: int) -> int:
    """Coarseness in an epoch, counted from 0.

    >>> [coarseness_at(schedule_of([1, 1, 2]), epoch) for epoch in range(4)]
    [4, 2, 1, 1]
    """
    for stage in schedule:
        if epoch < stage.epochs:
            return stage.coarseness
        epoch -= stage.epochs
    raise IndexError(f"epoch is past the {sum(stage.epochs for stage in schedule)} of the schedule")


@dataclass(frozen=True)
class StageCost:
    """What a stage of a schedule costs."""

    coarseness: int
    epochs: int
    macs: int
    """Multiply-adds of one image, forward."""


def saved_share(costs: Sequence[StageCost]) -> float:
    """Share of the training's MACs that a schedule saves: ``1 - Σ epochs_i macs_i / (epochs macs_last)`` (Table 6).

    >>> round(saved_share([StageCost(2, epochs=10, macs=25), StageCost(1, epochs=10, macs=100)]), 3)
    0.375
    """
    spent = sum(cost.epochs * cost.macs for cost in costs)
    return 1 - spent / (sum(cost.epochs for cost in costs) * costs[-1].macs)
