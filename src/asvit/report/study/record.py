"""What a report shows of a study, read from its files."""

from dataclasses import dataclass
from pathlib import Path

from asvit.design.budget import Budget
from asvit.report.asked import ImageCounts
from asvit.runs.read import Config, RunFile, damaged, read_result, read_run
from asvit.runs.records import RESULT
from asvit.study.plan import PlanSettings
from asvit.study.results import StudyResult
from asvit.training.recipe import TrainRecipe
from asvit.units import count


@dataclass(frozen=True)
class TrainingConfig(Config):
    """What a study of any kind was asked: how networks are trained."""

    train: TrainRecipe
    images: ImageCounts
    resident: bool

    def in_words(self) -> str:
        """How long a training is, and what its accuracy is of."""
        epochs = count(self.train.epochs, "epoch")
        return f"{epochs} of {self.images.train:,} images, accuracy on {self.images.val:,}"


@dataclass(frozen=True)
class ContestRun(RunFile):
    """``run.json`` of study search and study scaling."""

    config: TrainingConfig


@dataclass(frozen=True)
class StudyConfig(TrainingConfig):
    """What a study was asked."""

    plan: PlanSettings
    budget: Budget | None = None
    """What every network fills; None: topologies were trained."""

    @property
    def sampled(self) -> str:
        """What was trained, in words."""
        if self.budget is None:
            return "Sampled topologies, one block a stage and C = 32"
        return f"Random networks that fill {self.budget}, in topology, blocks and width"


@dataclass(frozen=True)
class StudyRun(RunFile):
    """``run.json``."""

    config: StudyConfig


@dataclass(frozen=True)
class StudyReport:
    """All that is drawn."""

    run: StudyRun
    result: StudyResult


def read_study(directory: Path) -> StudyReport:
    """Read ``run.json`` and ``result.json``.

    Args:
        directory: run directory of study.

    Raises:
        UserError: a file is missing or damaged.
    """
    run = read_run(directory, StudyRun)
    result = read_result(directory, run, StudyResult)
    if {point.topology for point in result.points} != {training.network for training in result.trained}:
        raise damaged(directory / RESULT, "its points are not the topologies that were trained")
    return StudyReport(run, result)
