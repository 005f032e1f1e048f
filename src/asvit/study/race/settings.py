"""What a race is asked. Needs no torch."""

from dataclasses import asdict, dataclass

from asvit.design.budget import Budget
from asvit.design.ranking import OBJECTIVES, Objective
from asvit.errors import UserError, check_number, check_whole
from asvit.networks.space import BASE_STRIDE, PAPER, SpaceName, recorded_space
from asvit.runs.records import Json
from asvit.units import count

DEAR = 2.0
"""Share of the budget from which on a network of the user's is refused, unless it was said that any cost will do."""


def check_minutes(minutes: float) -> None:
    """Refuse what is no time for a race."""
    check_number("minutes", minutes, 0, 60 * 24 * 365, above=True)


def check_entrants(entrants: int) -> None:
    """Refuse what is no number of designed networks."""
    check_whole("entrants", entrants, 0, 1000)


@dataclass(frozen=True, kw_only=True)
class RaceSettings:
    """Which networks compete, and for how long."""

    budget: Budget
    """What designed networks fill."""
    minutes: float
    """Time of the whole race."""
    entrants: int = 16
    """Designed networks: half of them the best by the score of at most four times as many, the others at random."""
    guests: tuple[str, ...] = ()
    """Networks of the user's, by their names."""
    any_cost: bool = False
    """Whether these may cost twice as much as the budget, or more."""
    score: tuple[Objective, ...] = OBJECTIVES
    base_stride: int = BASE_STRIDE
    space_name: SpaceName = PAPER

    def __post_init__(self) -> None:
        check_minutes(self.minutes)
        check_entrants(self.entrants)
        if (runners := self.entrants + len(self.guests)) < 2:
            raise UserError(
                f"a race of {count(runners, 'network')} has no winner: expected two or more, by --entrants and "
                "--against"
            )

    @property
    def config(self) -> Json:
        """The settings, for records."""
        fields = {name: value for name, value in asdict(self).items() if name not in ("base_stride", "space_name")}
        asked = {"score": ",".join(map(str, self.score)), "guests": list(self.guests)}
        return fields | asked | recorded_space(self.base_stride, self.space_name)
