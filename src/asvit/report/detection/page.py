"""The page of a detector's training."""

from pathlib import Path

from asvit.report.charts import LEAST, figure
from asvit.report.detection.charts import loss_chart, precision_chart
from asvit.report.detection.mistakes import where_it_is_wrong
from asvit.report.detection.record import DetectReport, read_detection
from asvit.report.detection.tables import costs_table, epochs_of, left_out_list, scores_table
from asvit.report.detection.verdict import verdict
from asvit.report.markup import Markup, architecture, join, tag
from asvit.report.parts import Page, classes_list, head, next_steps, unreadable_list, wrapped
from asvit.runs.next_steps import after_detection
from asvit.runs.records import read_asked
from asvit.units import count


def detection_page(directory: Path) -> Page:
    """Page of a detector's training, from its run directory."""
    report = read_detection(directory)
    run, result = report.run, report.result
    recipe = run.config.detect
    resize = recipe.detector.resize
    size = f"{resize.long_side}×{resize.long_side}" if resize.square else f"{resize.short_side} to {resize.long_side}"
    what = f"{size} images, {count(len(result.classes), 'kind')} of objects"
    heading = join(["Cascade Mask R-CNN on ", architecture(result.network), f", {what}"])
    start = "" if run.config.start is None else f" The backbone started from {run.config.start}."
    how = f" for {count(recipe.epochs, 'epoch')} in batches of {recipe.batch_size}.{start}"
    words = join(["A detector, trained on ", wrapped(run.config.data), how])
    answer = [*verdict(report), next_steps(after_detection(directory, read_asked(directory)))]
    return Page(
        f"Cascade Mask R-CNN on {result.network}",
        [
            *head(run, heading, words, [run.config.seed], answer=answer),
            unreadable_list(result.unreadable, result.epochs[-1].unreadable),
            left_out_list(result),
            *_scores(report),
            *where_it_is_wrong(report),
            *_curves(report),
            *_costs(report),
            tag("h2", "Epochs"),
            epochs_of(result),
            classes_list(result.classes),
        ],
    )


def _curves(report: DetectReport) -> list[Markup]:
    result = report.result
    evaluations, epochs = len(report.evaluated), len(result.epochs)
    charts, too_few = [], []
    if evaluations >= LEAST:
        words = "COCO's average precision over overlaps from 0.50 to 0.95; the diamond is the best epoch."
        charts.append(figure("precision", "Average precision by epoch", words, precision_chart(result)))
    else:
        too_few.append(f"A training with {count(evaluations, 'evaluation')} has no curve of the average precision.")
    if epochs >= LEAST:
        words = "Of all stages together, as they are weighted, on augmented training images."
        charts.append(figure("loss", "Parts of the training loss by epoch", words, loss_chart(result)))
    else:
        too_few.append(f"A training of {count(epochs, 'epoch')} has no curve of the loss.")
    said = [tag("p", " ".join(too_few))] if too_few else []
    return [tag("h2", "Curves"), *said, *([tag("div", *charts, class_="charts")] if charts else [])]


def _scores(report: DetectReport) -> list[Markup]:
    words = f"Of the validation images, after epoch {report.result.best.epoch}."
    return [tag("h2", "COCO's numbers"), tag("p", words), scores_table(report.result.best)]


def _costs(report: DetectReport) -> list[Markup]:
    words = "Multiply-adds of one image: in use, of all proposals and as many masks as may be found; in training, of "
    words += "at most as many boxes as a stage learns from."
    return [tag("h2", "Parts"), tag("p", words), costs_table(report.result)]
