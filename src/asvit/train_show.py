"""Results of training and evaluation on a terminal, or as JSON on stdout."""

from collections.abc import Sequence

import msgspec

from asvit.budget import format_size
from asvit.records import SCHEMA, to_json
from asvit.tables import new_table, print_table
from asvit.training.evaluate import Scores
from asvit.training.results import TrainResult
from asvit.training.retokenize import StageCost, share_of_tokens
from asvit.training.sources import Source

WIDEST_CONFUSION = 20
"""Classes up to which the confusion matrix is printed; --json has it for any number."""


def show_plan(name: str, stages: Sequence[StageCost], saved: float, *, as_json: bool) -> None:
    """What every stage of a schedule costs, and what the schedule saves."""
    if as_json:
        record = {"network": name, "stages": msgspec.to_builtins(stages), "saved_macs": saved}
        print(to_json({"schema": SCHEMA, "job": "plan", **record}).decode(), end="")
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
        print(f"coarse tokens saved {result.saved_macs:.1%} of the multiply-adds, {result.saved_time:.1%} of the time")


def show_scores(network: str, source: Source, classes: Sequence[str], scores: Scores, *, as_json: bool) -> None:
    """Scores of a classifier, with its confusion matrix if it is small."""
    if as_json:
        record = {"network": network, "images": source.name, "classes": list(classes)}
        scored = msgspec.to_builtins(scores)
        print(to_json({"schema": SCHEMA, "job": "evaluate", **record, "scores": scored}).decode(), end="")
        return
    print(
        f"{network} on {scores.images:,} images of {source.name}: top-1 {scores.top1:.2%}, top-5 {scores.top5:.2%}, "
        f"loss {scores.loss:.4f}, calibration error {scores.calibration_error:.2%}, "
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


def show_predictions(rows: Sequence[tuple[str, Sequence[tuple[str, float]]]], *, as_json: bool) -> None:
    """Classes and probabilities of some images, the likeliest first."""
    if as_json:
        predictions = [
            {"image": path, "classes": [{"class": name, "probability": p} for name, p in best]} for path, best in rows
        ]
        print(to_json({"schema": SCHEMA, "job": "predict", "predictions": predictions}).decode(), end="")
        return
    for path, best in rows:
        print(f"{path}: " + ", ".join(f"{name} {p:.1%}" for name, p in best))
