"""The command that races networks for one budget. Imports torch only in jobs that compute."""

from typing import Annotated

from cyclopts import Group, Parameter

from asvit.commands.groups import OWN, Options
from asvit.commands.hand_over import hand_over
from asvit.commands.options import FilledOptions, MeasureOptions, RunOptions, ScoreOptions, SpaceOptions
from asvit.commands.train_options import DataOptions, PrecisionOptions, TrainOptions, TrainRecipeName
from asvit.design.recipes import RECIPES
from asvit.errors import UserError, from_extra
from asvit.study.race.settings import RaceSettings, check_entrants, check_minutes
from asvit.study.settings import Workers
from asvit.units import parse_minutes

RACE = Group("Race", sort_key=1)


class RunnersOptions(
    Options[RaceSettings],
    of=RaceSettings,
    take={"entrants": OWN, "any_cost": OWN},
    group=RACE,
):
    """Which networks run."""

    against: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = ()
    """Networks of yours that run too: text forms, architecture files, timm:NAME."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if "entrants" in self.given:
            check_entrants(self.given["entrants"])


class RaceWorkerOptions(
    Options[Workers],
    of=Workers,
    take={
        "workers": "on a CPU a core each, on GPUs four each",
        "resident": "images are read anew in every epoch",
        "heartbeat": OWN,
    },
    group=RACE,
):
    """What trains."""


def race(
    *,
    data: DataOptions,
    minutes: Annotated[str, Parameter(group=RACE)],
    filled: FilledOptions = FilledOptions(),
    runners: RunnersOptions = RunnersOptions(),
    workers: RaceWorkerOptions = RaceWorkerOptions(),
    recipe: TrainRecipeName = "auto",
    training: TrainOptions = TrainOptions(),
    sampled: SpaceOptions = SpaceOptions(),
    scoring: ScoreOptions = ScoreOptions(),
    measuring: MeasureOptions = MeasureOptions(),
    computing: PrecisionOptions = PrecisionOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Let networks for one budget compete by short trainings on your images, in a time that you name.

    Parameters
    ----------
    minutes
        Time of the whole race, in minutes or with its unit, such as 2h; it ends then with the best so far.
    recipe
        How to train, as in asvit train; for its epochs, or fewer where time is short.
    """
    check_minutes(time := parse_minutes(minutes))
    asked, budget = training.asked(recipe), filled.budget
    if budget is None:
        raise UserError("no budget: expected --params, --macs, --latency or --memory, or several, as in --params 3M")
    settings = RaceSettings(
        budget=budget,
        minutes=time,
        guests=tuple(dict.fromkeys(runners.against)),
        score=scoring.objectives,
        base_stride=sampled.base_stride,
        space_name=sampled.space,
        **runners.given,
    )
    with from_extra("study"):
        from asvit.commands.race_show import show_race
        from asvit.study.race.asked import race_settings
        from asvit.study.race.job import run_race
        from asvit.training.sources import open_both

    train, _ = open_both(data.settings)
    study = race_settings(
        data.settings,
        train,
        asked,
        measuring=measuring.measuring(RECIPES["quick"], data.given.get("value_range")),
        workers=workers.settings,
        precision=computing.given.get("precision"),
    )
    hand_over(run_race(settings, study, job=run.job), show_race, as_json=run.json)
