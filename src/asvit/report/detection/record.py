"""What a report shows of a detector's training, read from its files."""

from dataclasses import dataclass
from pathlib import Path

from asvit.detection.recipe import DetectRecipe
from asvit.detection.results import CocoScores, DetectEpoch, DetectResult
from asvit.report.asked import ImageCounts
from asvit.runs.read import Config, RunFile, damaged, read_picture, read_result, read_run
from asvit.runs.records import RESULT


@dataclass(frozen=True)
class DetectConfig(Config):
    """What a training was asked."""

    data: str
    start: str | None
    detect: DetectRecipe
    images: ImageCounts | None = None
    """None in files of earlier versions."""


@dataclass(frozen=True)
class DetectRun(RunFile):
    """``run.json``."""

    config: DetectConfig


@dataclass(frozen=True)
class DetectReport:
    """All that is drawn."""

    run: DetectRun
    result: DetectResult
    pictures: tuple[bytes, ...] = ()
    """JPEG files of the result's mistakes."""

    @property
    def best(self) -> tuple[CocoScores, CocoScores]:
        """Scores of boxes and masks of the best epoch."""
        boxes, masks = self.result.best.boxes, self.result.best.masks
        assert boxes is not None
        assert masks is not None  # read_detection has seen to it
        return boxes, masks

    @property
    def evaluated(self) -> list[DetectEpoch]:
        """Epochs after which the detector was evaluated."""
        return [epoch for epoch in self.result.epochs if epoch.boxes is not None]


def read_detection(directory: Path) -> DetectReport:
    """Read ``run.json`` and ``result.json``.

    Args:
        directory: run directory of detect train.

    Raises:
        UserError: a file is missing or damaged.
    """
    run = read_run(directory, DetectRun)
    result = read_result(directory, run, DetectResult)
    path = directory / RESULT
    numbers = [epoch.epoch for epoch in result.epochs]
    if len(numbers) != run.config.detect.epochs or numbers != list(range(1, len(numbers) + 1)):
        raise damaged(path, "its epochs are not those of the recipe")
    if result.best not in result.epochs or result.best.boxes is None or result.best.masks is None:
        raise damaged(path, "its best epoch is none of its evaluated epochs")
    if len(result.classes) != result.task.num_classes:
        raise damaged(path, f"it names {len(result.classes)} of {result.task.num_classes} classes")
    if result.by_class and tuple(one.name for one in result.by_class) != result.classes:
        raise damaged(path, "its average precisions are not those of its classes")
    return DetectReport(run, result, tuple(read_picture(directory, one.picture) for one in result.mistakes))
