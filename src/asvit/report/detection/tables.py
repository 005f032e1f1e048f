"""Tables of a detector's training."""

from asvit.detection.results import TWELVE, DetectEpoch, DetectResult, whole
from asvit.report.markup import Markup, table, tag
from asvit.report.parts import epochs_table, folded, learning_rate, wrapped
from asvit.units import count, format_share, format_size


def scores_table(epoch: DetectEpoch) -> Markup:
    """COCO's twelve numbers of an epoch."""
    rows = (
        [words, *(format_share(getattr(scores, name)) for scores in (epoch.boxes, epoch.masks))]
        for name, words in TWELVE.items()
    )
    return table(["%", "boxes", "masks"], rows, class_="numbers")


def costs_table(result: DetectResult) -> Markup:
    """A row a part of the detector, and their sums."""
    cells = (
        [part.part, f"{part.params:,}", format_size(part.macs), format_size(part.training_macs)]
        for part in [*result.costs, whole(result.costs)]
    )
    return table(["part", "parameters", "MACs of an image", "in training, forward"], cells, class_="numbers")


def epochs_of(result: DetectResult) -> Markup:
    """A row an epoch, the best in bold."""
    headers = ["epoch", "learning rate", "loss", "box AP", "mask AP", "seconds", "images/s", "waiting"]
    return epochs_table(headers, [_cells(epoch) for epoch in result.epochs], result.best.epoch)


def _cells(epoch: DetectEpoch) -> list[str]:
    return [
        str(epoch.epoch),
        learning_rate(epoch.lr),
        f"{epoch.train_loss:.4f}",
        *("" if scores is None else format_share(scores.ap) for scores in (epoch.boxes, epoch.masks)),
        f"{epoch.seconds:,.1f}",
        f"{epoch.images_per_second:,.3g}",
        f"{epoch.waiting:.1%}",
    ]


def left_out_list(result: DetectResult) -> Markup:
    """Annotations that nothing could be learned from; nothing where there are none."""
    if not result.left_out:
        return Markup("")
    items = (tag("li", wrapped(problem)) for problem in result.left_out)
    return folded(f"{count(len(result.left_out), 'annotation')} of the training images left out", tag("ul", *items))
