"""Tables of a training, and lists beside them."""

from statistics import median

from asvit.report.markup import Markup, table
from asvit.report.parts import epochs_table, learning_rate, unbroken
from asvit.report.training.record import TrainReport
from asvit.training.results import Epoch, TrainResult
from asvit.training.schedule import share_of_tokens
from asvit.units import format_size


def stages_table(report: TrainReport) -> Markup:
    """A row a stage of re-tokenization."""
    spans = report.spans
    epochs = report.result.epochs
    rows = (
        [
            unbroken(span.numbers),
            span.tokens,
            format_size(span.macs),
            f"{span.macs / spans[-1].macs:.1%}",
            f"{median(epoch.images_per_second for epoch in epochs[slice(*span.epochs)]):,.0f}",
        ]
        for span in spans
    )
    headers = ["epochs", "tokens", "MACs of an image", "of the full cost", "images/s in training, median"]
    return table(headers, rows, class_="numbers")


def epochs_of(result: TrainResult) -> Markup:
    """A row an epoch, the best in bold."""
    headers = ["epoch", "tokens", "learning rate", "training loss", "loss", "top-1", "top-5", "seconds", "images/s"]
    return epochs_table([*headers, "waiting"], [_cells(epoch) for epoch in result.epochs], result.best.epoch)


def _cells(epoch: Epoch) -> list[str]:
    return [
        str(epoch.epoch),
        share_of_tokens(epoch.coarseness),
        learning_rate(epoch.lr),
        f"{epoch.train_loss:.4f}",
        f"{epoch.loss:.4f}",
        f"{epoch.top1:.2%}",
        f"{epoch.top5:.2%}",
        f"{epoch.seconds:,.1f}",
        f"{epoch.images_per_second:,.0f}",
        f"{epoch.waiting:.1%}",
    ]
