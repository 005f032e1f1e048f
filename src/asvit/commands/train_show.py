"""Results of training and evaluation on a terminal."""

from collections.abc import Sequence
from pathlib import Path

from asvit.commands.hand_over import print_record
from asvit.commands.tables import new_table, print_table
from asvit.training.job import Evaluated, Prediction
from asvit.training.results import TrainResult
from asvit.training.schedule import StageCost, saved_share, share_of_tokens
from asvit.units import format_size

WIDEST_CONFUSION = 20
"""Classes up to which the confusion matrix is printed; --json has it for any number."""


def show_plan(name: str, stages: Sequence[StageCost], *, as_json: bool) -> None:
    """What every stage of a schedule costs, and what the schedule saves."""
    saved = saved_share(stages)
    if as_json:
        print_record("plan", {"network": name, "stages": stages, "saved_macs": saved})
        return
    table = new_table()
    for header in ("epochs", "tokens", "MACs of an image", "of the full cost"):
        table.add_column(header, justify="right")
    first = 1
    for stage in stages:
        last = first + stage.epochs - 1
        tokens = share_of_tokens(stage.coarseness)
        table.add_row(f"{first} to {last}", tokens, format_size(stage.macs), f"{stage.macs / stages[-1].macs:.1%}")
        first = last + 1
    print_table(table)
    print(f"saved: {saved:.1%} of the training's multiply-adds")


def show_training(result: TrainResult) -> None:
    """The best epoch, and what coarse tokens saved."""
    best = result.best
    print(
        f"{format_size(result.params)} parameters; epoch {best.epoch} of {len(result.epochs)}: "
        f"top-1 {best.top1:.2%}, top-5 {best.top5:.2%}, loss {best.loss:.4f}"
    )
    if len(result.stages) > 1:
        time = f"{result.saved_time:.1%} of the time"
        if result.saved_time < 0:
            time = "and no time: the machine was busy, or the training too short"
        print(f"coarse tokens saved {result.saved_macs:.1%} of the multiply-adds, {time}")


def show_scores(evaluated: Evaluated) -> None:
    """Scores of a classifier, with its confusion matrix if it is small."""
    scores, classes = evaluated.scores, evaluated.classes
    print(
        f"{evaluated.network} on {scores.images:,} images of {evaluated.images}: top-1 {scores.top1:.2%}, "
        f"top-5 {scores.top5:.2%}, loss {scores.loss:.4f}, calibration error {scores.calibration_error:.2%}, "
        f"{scores.images_per_second:.0f} images/s"
    )
    if scores.unreadable:
        print(f"{len(scores.unreadable)} images were left out, the first: {scores.unreadable[0]}")
    if len(classes) <= WIDEST_CONFUSION:
        table = new_table()
        table.add_column("true \\ said")
        for name in classes:
            table.add_column(name, justify="right")
        for name, row in zip(classes, scores.confusion, strict=True):
            table.add_row(name, *map(str, row))
        print_table(table)


def show_predictions(rows: Sequence[tuple[Path, Sequence[Prediction]]], *, as_json: bool) -> None:
    """Classes and probabilities of some images, the likeliest first."""
    if as_json:
        predictions = [
            {"image": str(path), "classes": [{"class": name, "probability": share} for name, share in best]}
            for path, best in rows
        ]
        print_record("predict", {"predictions": predictions})
        return
    for path, best in rows:
        print(f"{path}: " + ", ".join(f"{name} {share:.1%}" for name, share in best))
