"""The page of a training."""

from pathlib import Path

from asvit.report.charts import figure
from asvit.report.markup import Markup, architecture, join, tag
from asvit.report.parts import Page, classes_list, count, head, images, unreadable_list, wrapped
from asvit.report.training.charts import accuracy_chart, loss_chart
from asvit.report.training.record import TrainReport, read_training
from asvit.report.training.tables import epochs_of, stages_table
from asvit.training.results import TrainResult
from asvit.units import format_size


def training_page(directory: Path) -> Page:
    """Page of a training, from its run directory."""
    report = read_training(directory)
    run, result = report.run, report.result
    what = images(result.task)
    heading = join(["Training of ", architecture(result.network), f" on {what}"])
    recipe = run.config.train
    how = f" for {count(recipe.epochs, 'epoch')} in batches of {recipe.batch_size}."
    words = join(["A classifier, trained on ", wrapped(run.config.data), how])
    return Page(
        f"Training of {result.network} on {what}",
        [
            *head(run, heading, words, [run.config.seed]),
            _found(result),
            unreadable_list(result.unreadable, result.epochs[-1].unreadable),
            *_curves(report),
            *_stages(report),
            *_epochs(result),
            classes_list(result.classes),
        ],
    )


def _found(result: TrainResult) -> Markup:
    """The best epoch, and what coarse tokens saved."""
    best = result.best
    words = [
        f"Best epoch {best.epoch} of {len(result.epochs)}: top-1 accuracy {best.top1:.2%}, top-5 {best.top5:.2%}, "
        f"loss {best.loss:.4f}; {format_size(result.params)} parameters, in ",
        tag("code", wrapped(result.checkpoint)),
        ". ",
        _saved(result),
    ]
    return tag("p", *words)


def _saved(result: TrainResult) -> str:
    if len(result.stages) == 1:
        return ""
    saved = f"Coarse tokens saved {result.saved_macs:.1%} of the multiply-adds"
    if result.saved_time < 0:
        longer = f"{-result.saved_time:.1%} longer than {count(len(result.epochs), 'epoch')} with all tokens would"
        return f"{saved} but no time: training took {longer}, by the median of such epochs."
    return f"{saved} and {result.saved_time:.1%} of the time."


def _curves(report: TrainReport) -> list[Markup]:
    best = report.result.best
    words = "After every epoch; the diamond is the best one, the highest top-1 accuracy with all tokens. "
    if len(report.spans) > 1:
        words += "Bands are stages with fewer tokens, in training and in validation (Fig. 4). "
    accuracy = f"Of the validation images; at best {best.top1:.2%}, in epoch {best.epoch}."
    macs = "Three times the forward pass of every training image."
    loss = "Training images are augmented, validation images are not."
    charts = [
        figure("top1-epoch", "Top-1 accuracy by epoch", accuracy, accuracy_chart(report, "epoch")),
        figure("top1-macs", "Top-1 accuracy by multiply-adds", macs, accuracy_chart(report, "macs")),
        figure("loss-epoch", "Loss by epoch", loss, loss_chart(report, "epoch")),
        figure("loss-macs", "Loss by multiply-adds", macs, loss_chart(report, "macs")),
    ]
    return [tag("h2", "Curves"), tag("p", words), tag("div", *charts, class_="charts")]


def _stages(report: TrainReport) -> list[Markup]:
    words = "A larger stride of the patch embedding gives fewer tokens (Section 4)."
    if len(report.spans) == 1:
        words = "A single stage: every epoch has all tokens."
    return [tag("h2", "Stages"), tag("p", words), stages_table(report)]


def _epochs(result: TrainResult) -> list[Markup]:
    words = "Loss, top-1 and top-5 are of the validation images; seconds, images a second and the share of time spent "
    words += "waiting for images are of training."
    return [tag("h2", "Epochs"), tag("p", words), epochs_of(result)]
