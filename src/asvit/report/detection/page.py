"""The page of a detector's training."""

from pathlib import Path

from asvit.detection.results import whole
from asvit.report.charts import figure
from asvit.report.detection.charts import loss_chart, precision_chart
from asvit.report.detection.record import DetectReport, read_detection
from asvit.report.detection.tables import costs_table, epochs_of, left_out_list, scores_table
from asvit.report.markup import Markup, architecture, join, tag
from asvit.report.parts import Page, classes_list, count, head, unreadable_list, wrapped
from asvit.units import format_share, format_size


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
    return Page(
        f"Cascade Mask R-CNN on {result.network}",
        [
            *head(run, heading, words, [run.config.seed]),
            _found(report),
            unreadable_list(result.unreadable, result.epochs[-1].unreadable),
            left_out_list(result),
            *_curves(report),
            *_scores(report),
            *_costs(report),
            tag("h2", "Epochs"),
            epochs_of(result),
            classes_list(result.classes),
        ],
    )


def _found(report: DetectReport) -> Markup:
    """The best epoch."""
    result, best = report.result, report.result.best
    assert best.boxes is not None
    assert best.masks is not None  # read_detection has seen to it
    params = whole(result.costs).params
    return tag(
        "p",
        f"Best epoch {best.epoch} of {len(result.epochs)}: average precision {format_share(best.boxes.ap)} % of boxes, "
        f"{format_share(best.masks.ap)} % of masks; {format_size(params)} parameters, in ",
        tag("code", wrapped(result.checkpoint)),
        ".",
    )


def _curves(report: DetectReport) -> list[Markup]:
    words = "COCO's average precision over overlaps from 0.50 to 0.95; the diamond is the best epoch."
    parts = "Of all stages together, as they are weighted, on augmented training images."
    charts = [
        figure("precision", "Average precision by epoch", words, precision_chart(report.result)),
        figure("loss", "Parts of the training loss by epoch", parts, loss_chart(report.result)),
    ]
    return [tag("h2", "Curves"), tag("div", *charts, class_="charts")]


def _scores(report: DetectReport) -> list[Markup]:
    words = f"Of the validation images, after epoch {report.result.best.epoch}."
    return [tag("h2", "COCO's numbers"), tag("p", words), scores_table(report.result.best)]


def _costs(report: DetectReport) -> list[Markup]:
    words = "Multiply-adds of one image: in use, of all proposals and as many masks as may be found; in training, of "
    words += "at most as many boxes as a stage learns from."
    return [tag("h2", "Parts"), tag("p", words), costs_table(report.result)]
