"""Where a classifier is wrong: its confusion matrix, accuracy by class, and its worst mistakes as small pictures."""

from base64 import b64encode
from collections.abc import Sequence
from itertools import islice

from asvit.report.markup import Markup, table, tag
from asvit.report.parts import MOST_SHOWN, folded, unbroken, wrapped
from asvit.report.training.answers import Answered, OfClass, interval
from asvit.report.training.record import TrainReport
from asvit.training.results import Mistake

WIDEST = 20
"""Classes up to which the confusion matrix is a table."""
LONG = 8
"""Letters of a class from which on names of columns stand upright."""
PAIRS = 15
"""Pairs of classes that are listed where it is none."""
DARKEST = 70
"""Per cent of the colour in a cell that holds all images of its row."""


def where_it_is_wrong(report: TrainReport) -> list[Markup]:
    """All of it, of the best epoch; nothing for trainings of versions that did not keep it."""
    answered = report.answered
    if answered is None:
        return []
    words = f"Of the {answered.images:,} validation images, after epoch {report.result.best.epoch}."
    confused = confusion_table(answered) if len(answered.classes) <= WIDEST else pairs_table(answered)
    return [
        tag("h2", "Where it is wrong"),
        tag("p", words),
        *confused,
        tag("h3", "By class, the worst first"),
        *classes_table(answered.by_class),
        *_pictures(report),
    ]


def confusion_table(answered: Answered) -> list[Markup]:
    """Images by true and said class, the darker the larger their share of the row."""
    names = answered.classes
    head = [tag("th", "true \\ said", scope="col"), *(tag("th", wrapped(name), scope="col") for name in names)]
    rows = [
        tag("tr", tag("th", wrapped(name), scope="row"), *(_cell(x, sum(row), i == j) for j, x in enumerate(row)))
        for i, (name, row) in enumerate(zip(names, answered.matrix, strict=True))
    ]
    kind = "confusion long" if max(map(len, names)) > LONG else "confusion"
    matrix = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows), class_=kind)
    words = "Rows are true classes, columns what was said; on the diagonal, in bold, are the right answers."
    return [tag("h3", "Confusion matrix"), tag("p", words), tag("div", matrix, class_="scroll")]


def _cell(images: int, of: int, right: bool) -> Markup:
    if not images:
        return tag("td", "")
    shade = f"background: color-mix(in srgb, var(--block) {DARKEST * images / of:.0f}%, transparent)"
    return tag("td", tag("strong", f"{images:,}") if right else f"{images:,}", style=shade)


def pairs_table(answered: Answered) -> list[Markup]:
    """The pairs of classes that are confused most."""
    title = tag("h3", "Most confused classes")
    rows = [
        [wrapped(true), wrapped(said), f"{images:,} of {of:,}", f"{100 * images / of:.1f} %"]
        for true, said, images, of in islice(answered.pairs(), PAIRS)
    ]
    if not rows:
        return [title, tag("p", "None: every image was answered rightly.")]
    return [title, table(["true", "said", "images", "of the true class"], rows, class_="numbers")]


def classes_table(classes: Sequence[OfClass]) -> list[Markup]:
    """Accuracy of every class with its interval; all but the worst folded where there are many."""
    headers = ["class", "right", "accuracy", "95 % interval"]
    rows = [
        [
            wrapped(one.name),
            unbroken(f"{one.right:,} of {one.images:,}"),
            unbroken(f"{100 * one.share:.1f} %"),
            unbroken(interval(one.right, one.images)),
        ]
        for one in classes
    ]
    shown = table(headers, rows[:MOST_SHOWN], class_="numbers")
    rest = rows[MOST_SHOWN:]
    return [shown, *([folded(f"The other {len(rest):,} classes", table(headers, rest, class_="numbers"))] * bool(rest))]


def _pictures(report: TrainReport) -> list[Markup]:
    """The worst mistakes, the most confident first."""
    mistakes = report.result.mistakes
    title = tag("h3", "Worst mistakes")
    if not mistakes:
        return [title, tag("p", "None: every image was answered rightly.")]
    words = "Wrong answers that were given with the highest probability. Some of them may be wrong labels."
    if report.result.task.in_chans not in (1, 3):
        shown = "first three channels" if report.result.task.in_chans > 3 else "first channel"
        words += f" Drawn are the {shown} of each image, stretched from the 2nd to the 98th percentile of its values."
    figures = (_figure(*pair) for pair in zip(mistakes, report.pictures, strict=True))
    return [title, tag("p", words), tag("div", *figures, class_="pictures")]


def _figure(mistake: Mistake, picture: bytes) -> Markup:
    """A picture with what it is, what was said, and how surely."""
    lines = [
        tag("div", "true ", tag("strong", wrapped(mistake.true))),
        tag("div", "said ", tag("strong", wrapped(mistake.said))),
        tag("div", f"probability {100 * mistake.probability:.1f} %"),
    ]
    return tag("figure", _image(picture, mistake.file), tag("figcaption", *lines), title=mistake.file)


def _image(picture: bytes, file: str) -> Markup:
    content = f"data:image/png;base64,{b64encode(picture).decode()}"
    return Markup(tag("img", src=content, alt=file).removesuffix("</img>"))
