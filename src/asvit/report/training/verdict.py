"""What a trained classifier is, how good, and how that was found out: the first words of its page."""

from asvit.measure.estimates import wilson
from asvit.report.markup import Markup, join, tag
from asvit.report.parts import wrapped
from asvit.report.training.answers import interval
from asvit.report.training.record import TrainReport
from asvit.training.results import GUESSES
from asvit.units import count, format_size


def verdict(report: TrainReport) -> list[Markup]:
    """What it is, how often it is right, and what that rests on."""
    items = [_what(report), _how_good(report), _how_known(report)]
    if report.run.config.recipe == "smoke":
        items.append(join([tag("strong", "It means nothing: "), "the recipe smoke shows all steps within seconds."]))
    return [tag("ul", *(tag("li", item) for item in items), class_="members")]


def _what(report: TrainReport) -> Markup:
    result = report.result
    words = f"tells {count(len(result.classes), 'class')} apart with {format_size(result.params)} parameters "
    words += f"and {format_size(result.stages[-1].macs)} multiply-adds (MACs) an image. Its weights are in "
    return join([tag("strong", "A classifier: "), words, tag("code", wrapped(result.checkpoint)), "."])


def _how_good(report: TrainReport) -> Markup:
    """Accuracy with its interval, beside what costs nothing."""
    top1, images, answered = report.result.best.top1, report.images, report.answered
    head = tag("strong", f"Right for {100 * top1:.1f} %")
    if images is None:
        return join([head, " of the validation images; how many these are is not recorded."])
    words = f" of {images:,} validation images, 95 % interval {interval(top1 * images, images)}. "
    if answered is None:
        return join([head, words, "What always saying the largest class would reach is not recorded."])
    largest = answered.largest
    floor = largest.images / answered.images
    always = f"always saying the largest class, {largest.name}, would be right for {100 * floor:.1f} %."
    low, high = wilson(top1 * images, images)
    if low > floor:
        return join([head, words, f"The floor to beat: {always}"])
    told = "It is worse than that" if high < floor else "It has learned nothing that shows: it is not surely better"
    return join([head, words, f"The floor to beat: {always} ", tag("strong", f"{told}.")])


def _how_known(report: TrainReport) -> Markup:
    best, epochs = report.result.best, len(report.result.epochs)
    words = f"Epoch {best.epoch} of {epochs}, the best on the validation images, which it never learned from"
    words += "; choosing the epoch by them flatters it a little" if epochs > 1 else ""
    words += ". The interval is Wilson's: it holds the chance of drawing these images, not that of another training. "
    of_five = f"Right with five guesses for {100 * best.top5:.1f} %. " * (len(report.result.classes) > GUESSES)
    words += f"{of_five}Loss {best.loss:.4f}."
    return join([tag("strong", "How that was found out: "), words])
