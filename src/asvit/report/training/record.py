"""What a report shows of a training, read from its files."""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

from asvit.report.asked import ImageCounts
from asvit.report.training.answers import Answered
from asvit.runs.read import Config, RunFile, damaged, read_picture, read_result, read_run
from asvit.runs.records import RESULT
from asvit.training.recipe import TrainRecipe
from asvit.training.results import TrainResult
from asvit.training.schedule import share_of_tokens


@dataclass(frozen=True)
class TrainConfig(Config):
    """What a training was asked."""

    data: str
    train: TrainRecipe
    images: ImageCounts | None = None
    """None in files of earlier versions."""


@dataclass(frozen=True)
class TrainRun(RunFile):
    """``run.json``."""

    config: TrainConfig


@dataclass(frozen=True)
class Span:
    """A stage of re-tokenization: where it begins and ends."""

    coarseness: int
    macs: int
    """Multiply-adds of one image, forward."""
    epochs: tuple[int, int]
    """Epochs done before the stage and after it."""
    spent: tuple[int, int]
    """Multiply-adds of the training before the stage and after it."""

    @property
    def tokens(self) -> str:
        """Share of the tokens at full resolution."""
        return share_of_tokens(self.coarseness)

    @property
    def numbers(self) -> str:
        """First and last epoch."""
        first, last = self.epochs[0] + 1, self.epochs[1]
        return str(last) if first == last else f"{first} to {last}"


@dataclass(frozen=True)
class TrainReport:
    """All that is drawn."""

    run: TrainRun
    result: TrainResult
    pictures: tuple[bytes, ...] = ()
    """PNG files of the result's mistakes."""

    @property
    def answered(self) -> Answered | None:
        """What was answered on the validation images; None where an earlier version did not keep it."""
        result = self.result
        return Answered(result.classes, result.confusion) if result.confusion else None

    @property
    def images(self) -> int | None:
        """Validation images that could be read; None where an earlier version did not keep their number."""
        if self.run.config.images is None:
            return None if self.answered is None else self.answered.images
        return self.run.config.images.val - self.result.best.left_out

    @property
    def spans(self) -> list[Span]:
        """The stages in order."""
        spent = [0, *(epoch.macs for epoch in self.result.epochs)]
        ends = [0, *accumulate(stage.epochs for stage in self.result.stages)]
        return [
            Span(stage.coarseness, stage.macs, (start, end), (spent[start], spent[end]))
            for stage, (start, end) in zip(self.result.stages, pairwise(ends), strict=True)
        ]


def read_training(directory: Path) -> TrainReport:
    """Read ``run.json`` and ``result.json``.

    Args:
        directory: run directory of train.

    Raises:
        UserError: a file is missing or damaged.
    """
    run = read_run(directory, TrainRun)
    result = read_result(directory, run, TrainResult)
    _check(directory / RESULT, result)
    return TrainReport(run, result, tuple(read_picture(directory, mistake.picture) for mistake in result.mistakes))


def _check(path: Path, result: TrainResult) -> None:
    """Refuse a record whose parts do not fit together."""
    counts = [stage.epochs for stage in result.stages]
    if min(counts, default=0) < 1 or sum(counts) != len(result.epochs):  # before lists of as many are made
        raise damaged(path, "its epochs are not those of its stages")
    planned = [stage.coarseness for stage in result.stages for _ in range(stage.epochs)]
    if [(epoch.epoch, epoch.coarseness) for epoch in result.epochs] != list(enumerate(planned, start=1)):
        raise damaged(path, "its epochs are not those of its stages")
    if result.best not in result.epochs:
        raise damaged(path, "its best epoch is none of its epochs")
    if any(stage.macs < 1 for stage in result.stages):
        raise damaged(path, "a stage costs nothing")
    if len(result.classes) != result.task.num_classes:
        raise damaged(path, f"it names {len(result.classes)} of {result.task.num_classes} classes")
    known = range(len(result.classes))
    if any(cell.true not in known or cell.said not in known or cell.images < 1 for cell in result.confusion):
        raise damaged(path, "it confuses classes that it does not name")
