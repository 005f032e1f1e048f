"""What every kind of study is asked: images, trainings, measures and workers. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from asvit.complexity.usage import Precision
from asvit.errors import UserError, check_whole
from asvit.measure.settings import Measuring
from asvit.study.recipes import RECIPES
from asvit.training.recipe import TrainRecipe
from asvit.training.schedule import Schedule, named_schedule
from asvit.training.settings import ImageData

SearchMethod = Literal["reinforce", "random", "evolution", "tpe", "nsga2"]


@dataclass(frozen=True, kw_only=True)
class Workers:
    """What trains, and where trainings are kept."""

    resident: bool | None = None
    """Keep all images in the device's memory and crop and mirror them there, without RandAugment and erasing."""
    train_images: int | None = None
    """Training images that are used, evenly spread over the set."""
    workers: int | None = None
    """Trainings at a time on this machine (default: on a CPU a core each, on GPUs four each)."""
    storage: str | None = None
    """Database that workers on several machines share, such as postgresql+psycopg://user@host/database
    (default: study.sqlite3 in the run directory)."""
    name: str = "asvit"
    """Name of the study in the storage."""
    heartbeat: int = 60
    """Seconds between signs of life of a worker; after twice that it is taken for dead and its training given back."""
    continue_from: Path | None = None
    """CSV file of an earlier study with the same data and recipe, whose trainings count."""

    def __post_init__(self) -> None:
        for name, most in (("workers", 1024), ("heartbeat", 86_400), ("train_images", 10**9)):
            if (value := getattr(self, name)) is not None:
                check_whole(name, value, 1, most)


@dataclass(frozen=True, kw_only=True)
class Contest:
    """How networks that were chosen in different ways are compared."""

    runs: int = 5
    """Seeds of everything that is random in choosing networks, from --seed up."""
    trainings: int = 0
    """Trainings of each network found, with as many seeds; 0: nothing is trained, only measures are compared."""

    def __post_init__(self) -> None:
        check_whole("runs", self.runs, 1, 100)
        check_whole("trainings", self.trainings, 0, 1000)


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """What every kind of study is asked."""

    recipe_name: str
    """Name of the recipe, for the records."""
    data: ImageData
    train: TrainRecipe
    schedule: Schedule
    """Schedule of re-tokenization, over the recipe's epochs."""
    resident: bool
    """Whether all images live in the device's memory, where they are cropped and mirrored, and nothing else."""
    images: int | None
    """Training images that are used at most, of resident ones; None: all."""
    measuring: Measuring
    workers: Workers = Workers()
    precision: Precision | None = None
    """Precision of the trainings' matrix products; None: bfloat16 on a GPU, float32 on a CPU."""

    @classmethod
    def of(
        cls,
        recipe_name: str,
        data: ImageData,
        *,
        train: TrainRecipe | None = None,
        schedule: Schedule | None = None,
        measuring: Measuring | None = None,
        workers: Workers = Workers(),
        precision: Precision | None = None,
    ) -> "StudySettings":
        """A recipe's settings, and others in their place.

        Args:
            recipe_name: one of :data:`~asvit.study.recipes.RECIPES`.
            data: images.
            train: how to train; None: as the recipe does.
            schedule: schedule of re-tokenization; None: the training recipe's.
            measuring: how to measure; None: as carefully as the recipe does.
            workers: what trains, and on how many images.
            precision: precision of the trainings' matrix products.
        """
        recipe = RECIPES[recipe_name]
        train = train or recipe.train
        resident = recipe.resident if workers.resident is None else workers.resident
        return cls(
            recipe_name=recipe_name,
            data=data,
            train=train,
            schedule=schedule or named_schedule(train.schedule, train.epochs),
            resident=resident,
            images=(workers.train_images or recipe.images) if resident else None,
            measuring=measuring or Measuring(settings=recipe.settings()),
            workers=workers,
            precision=precision,
        )

    def __post_init__(self) -> None:
        if self.workers.train_images is not None and not self.resident:
            raise UserError("--train-images takes a part of resident images: leave it out, or give --resident")
