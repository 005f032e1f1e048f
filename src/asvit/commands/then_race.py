"""A race after a design: what was designed against other networks of its budget, on images of the user's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from asvit.commands.groups import Options
from asvit.commands.hand_over import hand_over
from asvit.commands.race import RACE
from asvit.design.family import Member
from asvit.design.settings import DesignSettings
from asvit.errors import UserError, from_extra
from asvit.measure.settings import Measuring
from asvit.networks.architecture import Task
from asvit.networks.space import SpaceName
from asvit.runs.job import Job
from asvit.runs.records import RunDirectory
from asvit.study.race.settings import RaceSettings, check_minutes
from asvit.study.settings import StudySettings
from asvit.training.fitting import AskedTraining
from asvit.training.settings import ImageData
from asvit.units import parse_minutes


@dataclass(frozen=True)
class ThenRace:
    """A race that was asked for, and the task that its images set."""

    minutes: float
    space_name: SpaceName
    study: StudySettings
    task: Task

    def run(self, member: Member, settings: DesignSettings, directory: RunDirectory, job: Job) -> None:
        """Race what was designed against other networks of its budget, beside the run directory of the design."""
        with from_extra("study"):
            from asvit.commands.race_show import show_race
            from asvit.study.race.job import run_race

        race = RaceSettings(
            budget=member.budget,
            minutes=self.minutes,
            guests=(member.architecture,),
            any_cost=True,
            score=settings.search.score,
            base_stride=settings.space.base_stride,
            space_name=self.space_name,
        )
        out = directory.path.with_name(f"{directory.path.name}-race")
        hand_over(run_race(race, self.study, job=replace(job, out=out)), show_race, as_json=False)


class ThenRaceOptions(Options, group=RACE):
    """A race after the design."""

    race: str | None = None
    """Then race it on --data, for a time such as 60min, or a number of minutes (default: no race)."""
    data: str | None = None
    """Images of the race, as asvit race takes them."""

    def __post_init__(self) -> None:
        if self.data is None and self.race is not None:
            raise UserError("--race trains on images: give --data path/to/images")
        if self.race is None and self.data is not None:
            raise UserError(
                "--data is for a race: give --race 60min as well; or --images, to design for images without training"
            )
        if self.race is not None:
            check_minutes(parse_minutes(self.race))

    def planned(
        self, given: Mapping[str, Any], measuring: Measuring, space_name: SpaceName, *, budgets: int, json: bool
    ) -> ThenRace | None:
        """The race that was asked for, its images opened; None: there is none.

        Args:
            given: fields of the task that were said.
            measuring: how networks are measured.
            space_name: space of the other networks.
            budgets: number of networks that are designed.
            json: whether a program reads what is found.

        Raises:
            UserError: images cannot be read, or the race does not fit the design.
        """
        if self.race is None or self.data is None:
            return None
        if budgets != 1:
            raise UserError(f"a race is for one budget, and there are {budgets}: give one, or several --together")
        if json:
            raise UserError("--json is one record, and there would be two: leave it out, or run `asvit race` by itself")
        if "num_classes" in given:
            raise UserError("--data says how many classes there are: leave --num-classes out")
        with from_extra("study"):
            from asvit.study.race.asked import race_settings
            from asvit.training.settled import task_on
            from asvit.training.sources import open_both

        data = ImageData(data=self.data, in_chans=given.get("in_chans"), value_range=measuring.value_range)
        size = {"image_size": given["image_size"]} if "image_size" in given else {}
        train, _ = open_both(data)
        study = race_settings(data, train, AskedTraining(changes=size), measuring=measuring)
        return ThenRace(parse_minutes(self.race), space_name, study, task_on(train, study.train))
