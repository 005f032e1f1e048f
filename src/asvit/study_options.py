"""Options of `asvit study`: what they are called, what they mean, and what they say together with a recipe.

Imports no torch, so that help and usage errors answer at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from asvit.errors import UserError
from asvit.study.plan import LEAST_RATIO, PILOT_TOPOLOGIES, PlanSettings
from asvit.study.recipes import StudyRecipe

StudyRecipeName = Literal["paper", "cifar10", "cifar10-laptop", "smoke"]
SearchMethod = Literal["reinforce", "random", "evolution", "tpe", "nsga2"]

_STUDY = Group("Study", sort_key=1)


@Parameter(name="*", group=_STUDY)
@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """What trains, and where trainings are kept; what is not given is the recipe's."""

    resident: Annotated[bool | None, Parameter(negative="--no-resident")] = None
    """Keep all images in the device's memory and crop and mirror them there, without RandAugment and erasing."""
    train_images: int | None = None
    """Training images that are used, evenly spread over the set."""
    workers: int | None = None
    """Trainings at a time on this machine (default: on a CPU a core each, on GPUs four each)."""
    storage: str | None = None
    """Database that workers on several machines share, such as postgresql+psycopg://user:password@host/database
    (default: study.sqlite3 in the run directory)."""
    name: str = "asvit"
    """Of the study in the storage."""
    heartbeat: int = 60
    """Seconds between signs of life of a worker; after twice that it is taken for dead and its training given back."""
    continue_from: Path | None = None
    """CSV file of an earlier study with the same data and recipe, whose trainings count."""

    def __post_init__(self) -> None:
        for name in ("workers", "heartbeat", "train_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} is {value}: expected at least 1")


@Parameter(name="*", group=_STUDY)
@dataclass(frozen=True, kw_only=True)
class StudyOptions(WorkerOptions):
    """The same, and what is trained."""

    topologies: int | None = None
    """Topologies sampled (paper: 87)."""
    seeds: int | None = None
    """Trainings of each topology that is trained repeatedly."""
    repeated: int | None = None
    """Topologies that are (default: a third, at least the six of the pilot)."""
    least_ratio: float = LEAST_RATIO
    """What the pilot must show: variance of accuracies between topologies over that between seeds; 0: anything."""
    so_far: Annotated[bool, Parameter(negative=())] = False
    """Train nothing: judge what has been trained; of a study at work, in another --out, with its --storage, which by
    default is sqlite:///RUN/study.sqlite3."""

    def plan(self, recipe: StudyRecipe, seed: int) -> PlanSettings:
        """How many trainings."""
        topologies = recipe.topologies if self.topologies is None else self.topologies
        third = min(topologies, max(PILOT_TOPOLOGIES, topologies // 3))
        return PlanSettings(
            topologies=topologies,
            seeds=recipe.seeds if self.seeds is None else self.seeds,
            repeated=third if self.repeated is None else self.repeated,
            seed=seed,
        )


@Parameter(name="*", group=_STUDY)
@dataclass(frozen=True, kw_only=True)
class ContestOptions(WorkerOptions):
    """The same, and how the networks found are compared."""

    runs: int = 5
    """Seeds of everything that is random in choosing networks, from --seed up."""
    trainings: int = 0
    """Of each network found, with as many seeds; 0: nothing is trained, only measures are compared."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.runs < 1 or self.trainings < 0:
            raise UserError(f"runs is {self.runs} and trainings is {self.trainings}: expected at least 1 and 0")
