"""What a trained detector is, how good, and how that was found out: the first words of its page."""

from asvit.detection.results import CocoScores, whole
from asvit.report.detection.record import DetectReport
from asvit.report.markup import Markup, join, tag
from asvit.report.parts import wrapped
from asvit.units import count, format_share, format_size

HARDLY_ANYTHING = 0.01
"""Average precision below which a detector is said to find hardly anything."""


def verdict(report: DetectReport) -> list[Markup]:
    """What it is, what it finds, and what that rests on."""
    items = [_what(report), _how_good(report), _how_known(report)]
    if report.run.config.recipe == "smoke":
        items.append(join([tag("strong", "It means nothing: "), "the recipe smoke shows all steps within minutes."]))
    return [tag("ul", *(tag("li", item) for item in items), class_="members")]


def _what(report: DetectReport) -> Markup:
    result, cost = report.result, whole(report.result.costs)
    words = f"finds objects of {count(len(result.classes), 'kind')} and their outlines, with "
    words += f"{format_size(cost.params)} parameters and {format_size(cost.macs)} multiply-adds (MACs) an image. "
    words += "Its weights are in "
    return join([tag("strong", "A detector: "), words, tag("code", wrapped(result.checkpoint)), "."])


def _how_good(report: DetectReport) -> Markup:
    """Average precision of boxes and masks, and where objects are missed."""
    boxes, masks = report.best
    words = f" and {format_share(masks.ap)} % of masks on the validation images, where 100 % is to find every object "
    words += "with its exact place and nothing else. "
    words += f"With half of the area in common enough, {format_share(boxes.ap50)} % of boxes. {_by_size(boxes)}"
    head = tag("strong", f"Average precision {format_share(boxes.ap)} % of boxes")
    if (boxes.ap or 0.0) >= HARDLY_ANYTHING:
        return join([head, words])
    return join([head, words, " ", tag("strong", "It finds hardly anything yet: train it longer.")])


def _by_size(boxes: CocoScores) -> str:
    sizes = {"small": boxes.ap_small, "medium": boxes.ap_medium, "large": boxes.ap_large}
    known = [f"{format_share(ap)} % of {size} objects" for size, ap in sizes.items() if ap is not None]
    return f"By size: {', '.join(known)}." if len(known) > 1 else ""


def _how_known(report: DetectReport) -> Markup:
    best, epochs = report.result.best, len(report.result.epochs)
    images = report.run.config.images
    number = "" if images is None else f"{images.val - best.left_out:,} "
    words = f"COCO's evaluation on {number}validation images, which it never learned from, after epoch {best.epoch} of "
    words += f"{epochs}"
    words += ", the best one; choosing the epoch by them flatters it a little" if len(report.evaluated) > 1 else ""
    words += ". COCO gives no interval; another training with another random seed may differ by points."
    return join([tag("strong", "How that was found out: "), words])
