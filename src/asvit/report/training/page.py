"""The page of a training."""

from pathlib import Path

from asvit.report.charts import LEAST, figure
from asvit.report.markup import Markup, architecture, join, tag
from asvit.report.parts import Page, classes_list, head, images, next_steps, unreadable_list, wrapped
from asvit.report.training.charts import accuracy_chart, loss_chart
from asvit.report.training.mistakes import where_it_is_wrong
from asvit.report.training.record import TrainReport, read_training
from asvit.report.training.tables import epochs_of, stages_table
from asvit.report.training.verdict import verdict
from asvit.runs.next_steps import after_training
from asvit.runs.records import read_asked
from asvit.training.results import TrainResult
from asvit.units import count, in_words


def training_page(directory: Path) -> Page:
    """Page of a training, from its run directory."""
    report = read_training(directory)
    run, result = report.run, report.result
    what = images(result.task)
    heading = join(["Training of ", architecture(result.network), f" on {what}"])
    recipe = run.config.train
    how = f" for {count(recipe.epochs, 'epoch')} in batches of {recipe.batch_size}."
    words = join(["A classifier, trained on ", wrapped(run.config.data), how])
    answer = [*verdict(report), next_steps(after_training(directory, read_asked(directory)))]
    return Page(
        f"Training of {result.network} on {what}",
        [
            *head(run, heading, words, [run.config.seed], answer=answer),
            unreadable_list(result.unreadable, result.epochs[-1].unreadable),
            *where_it_is_wrong(report),
            *_curves(report),
            *_stages(report),
            *_epochs(result),
            classes_list(result.classes),
        ],
    )


def _saved(result: TrainResult) -> str:
    saved = f"Coarse tokens saved {result.saved_macs:.1%} of the multiply-adds"
    if result.saved_time < 0:
        return f"{saved}; of the time none saved: the machine was busy."
    return f"{saved} and {result.saved_time:.1%} of the time."


def _pace(result: TrainResult) -> str:
    """How long it took, and how fast it was."""
    seconds = sum(epoch.seconds for epoch in result.epochs)
    waiting = sum(epoch.seconds * epoch.waiting for epoch in result.epochs) / seconds
    words = f"Training took {in_words(seconds)}, evaluation not counted"
    return f"{words}; {waiting:.1%} of it was spent waiting for images."


def _curves(report: TrainReport) -> list[Markup]:
    best, epochs = report.result.best, len(report.result.epochs)
    if epochs < LEAST:
        return [tag("h2", "Curves"), tag("p", f"A training of {count(epochs, 'epoch')} has no curve to show.")]
    words = "After every epoch; the diamond is the best one, the highest top-1 accuracy with all tokens. "
    if len(report.spans) > 1:
        changes = [str(span.epochs[0] + 1) for span in report.spans[1:]]
        words += "Bands are stages with fewer tokens, in training and in validation (Fig. 4). The number of tokens "
        words += f"changes with epoch {' and '.join(changes)}: there accuracy may fall at first, for the weights have "
        words += "not seen as many. "
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
    words = f"A larger stride of the patch embedding gives fewer tokens (Section 4). {_saved(report.result)} "
    if len(report.spans) == 1:
        words = "A single stage: every epoch has all tokens. "
    words += _pace(report.result)
    return [tag("h2", "Stages and throughput"), tag("p", words), stages_table(report)]


def _epochs(result: TrainResult) -> list[Markup]:
    words = "Loss, top-1 and top-5 are of the validation images; seconds, images a second and the share of time spent "
    words += "waiting for images are of training."
    return [tag("h2", "Epochs"), tag("p", words), epochs_of(result)]
