"""Where a detector is wrong: average precision by class, and images with what was found and missed."""

from base64 import b64encode
from collections.abc import Mapping, Sequence

from asvit.detection.results import LEAST_IOU, LEAST_SCORE, ClassScores, SceneMistakes, worst_first
from asvit.report.detection.record import DetectReport
from asvit.report.markup import Markup, table, tag
from asvit.report.parts import MOST_SHOWN, folded, unbroken, wrapped
from asvit.units import count, format_share

WHOLE = "display: block; max-width: 100%; max-height: 28rem; margin-bottom: .3rem"
"""Style of an image that is shown whole and as large as its column."""


def where_it_is_wrong(report: DetectReport) -> list[Markup]:
    """All of it, of the best epoch; nothing for trainings of versions that did not keep it."""
    classes = report.result.by_class
    if not classes:
        return []
    objects = sum(one.objects for one in classes)
    words = f"Of the {count(objects, 'object')} in the validation images, after epoch {report.result.best.epoch}. "
    words += "The number of a class with few objects is uncertain."
    return [
        tag("h2", "Where it is wrong"),
        tag("p", words),
        tag("h3", "Average precision by class, the worst first"),
        *classes_table(worst_first(classes)),
        *_without_objects([one.name for one in classes if not one.objects]),
        *_pictures(report),
    ]


def classes_table(classes: Sequence[ClassScores]) -> list[Markup]:
    """Average precision of every class; all but the worst folded where there are many."""
    headers = ["class", "objects", "box AP", "mask AP"]
    rows = [
        [wrapped(one.name), f"{one.objects:,}", *(unbroken(f"{format_share(ap)} %") for ap in (one.boxes, one.masks))]
        for one in classes
    ]
    rest = rows[MOST_SHOWN:]
    shown = table(headers, rows[:MOST_SHOWN], class_="numbers")
    return [shown, *([folded(f"The other {len(rest):,} classes", table(headers, rest, class_="numbers"))] * bool(rest))]


def _without_objects(names: Sequence[str]) -> list[Markup]:
    if not names:
        return []
    return [tag("p", "Without an object in the validation images: ", wrapped(", ".join(names)), ".")]


def _pictures(report: DetectReport) -> list[Markup]:
    """The images with most mistakes, and how they were chosen."""
    mistakes = report.result.mistakes
    title = tag("h3", "What it found and missed")
    if not mistakes:
        return [title, tag("p", "Every object was found, and nothing else.")]
    rule = f"Of the detections with a score of at least {LEAST_SCORE:g}, one is right where its box and that of an "
    rule += f"object of the same class have an intersection over union (IoU) of at least {LEAST_IOU:g}; no object is "
    rule += "found twice. Shown are the images with most mistakes, missed objects and false detections: each image "
    rule += "belongs to the class of most of its mistakes, and the classes take turns. Some mistakes may be wrong "
    rule += "annotations."
    colours = "Blue: found. Red: false. Dashed yellow: missed. Names that would cover others are left out."
    if report.result.task.in_chans not in (1, 3):
        shown = "first three channels" if report.result.task.in_chans > 3 else "first channel"
        colours += f" Drawn are the {shown} of each image, stretched from the 2nd to the 98th percentile of its values."
    figures = (_figure(*pair) for pair in zip(mistakes, report.pictures, strict=True))
    return [title, tag("p", rule), tag("p", colours), tag("div", *figures, class_="charts")]


def _figure(mistakes: SceneMistakes, picture: bytes) -> Markup:
    """An image with what is drawn on it in words."""
    kinds = {"missed": mistakes.missed, "false": mistakes.false, "found": mistakes.found}
    lines = [tag("div", f"{kind}: ", wrapped(listed(counts))) for kind, counts in kinds.items() if counts]
    return tag("figure", _image(picture, mistakes.file), tag("figcaption", *lines), title=mistakes.file)


def listed(counts: Mapping[str, int]) -> str:
    """Classes, with their numbers where there are several objects.

    >>> listed({"person": 3, "dog": 1}).replace("\N{NO-BREAK SPACE}", " ")
    'person × 3, dog'
    """
    return ", ".join(name + unbroken(f" × {number}") * (number > 1) for name, number in counts.items())


def _image(picture: bytes, file: str) -> Markup:
    content = f"data:image/jpeg;base64,{b64encode(picture).decode()}"
    return Markup(tag("img", src=content, alt=file, style=WHOLE).removesuffix("</img>"))
