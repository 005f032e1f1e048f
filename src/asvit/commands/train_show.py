"""Results of training and evaluation on a terminal."""

from collections.abc import Sequence
from pathlib import Path

from asvit.commands.hand_over import print_record
from asvit.commands.tables import new_table, print_table, say
from asvit.networks.named import TIMM
from asvit.training.job import Evaluated, PlannedTraining, Prediction
from asvit.training.results import TrainResult, accuracies
from asvit.training.schedule import StageCost, share_of_tokens
from asvit.units import count, format_size, in_words

WIDEST_CONFUSION = 20
"""Classes up to which the confusion matrix is printed; --json has it for any number."""


def show_plan(plan: PlannedTraining, *, as_json: bool) -> None:
    """What would be trained and how, what every stage of its schedule costs, and how long all would take."""
    if as_json:
        print_record("plan", plan)
        return
    recipe, (train, val) = plan.recipe, plan.images
    drawn = "by timm" if plan.network.startswith(TIMM) else recipe.initialisation
    average = "no average of the weights" if recipe.ema is None else f"average of the weights with decay {recipe.ema}"
    facts = {
        "network": f"{plan.network}, {format_size(plan.params)} parameters",
        "images": f"{train:,} to learn from, {val:,} to evaluate on; {plan.task}",
        "recipe": f"{plan.recipe_name}: {count(recipe.epochs, 'epoch')} in batches of {recipe.batch_size}; "
        f"initialisation {drawn}",
        "optimiser": f"learning rate {recipe.lr:.2g} after {count(recipe.warmup_epochs, 'epoch')} of warm-up, weight "
        f"decay {recipe.weight_decay:g}, stochastic depth {recipe.drop_path:g}, {average}",
        "images change": f"crops from {recipe.smallest_crop:.0%} of the area, mirrored with probability "
        f"{recipe.flip:g}, Mixup {recipe.mixup:g}, CutMix {recipe.cutmix:g}; photographs in colour: "
        f"{recipe.randaugment or 'no RandAugment'}, erased with probability {recipe.random_erasing:g}",
        "time": f"about {in_words(plan.seconds)} on {plan.device}, by what a few images take",
    }
    summary = new_table()
    summary.show_header = False
    summary.add_column("")
    summary.add_column("", overflow="fold")
    for name, words in facts.items():
        summary.add_row(name, words)
    print_table(summary)
    if len(plan.stages) > 1:
        show_stages(plan.stages)
        say(f"saved: {plan.saved_macs:.1%} of the training's multiply-adds")


def show_stages(stages: Sequence[StageCost]) -> None:
    """What every stage of a schedule costs."""
    table = new_table()
    for header in ("epochs", "tokens", "MACs of an image", "of the full cost"):
        table.add_column(header, justify="right")
    first = 1
    for stage in stages:
        last = first + stage.epochs - 1
        tokens = share_of_tokens(stage.coarseness)
        table.add_row(f"{first} to {last}", tokens, format_size(stage.macs), f"{stage.macs / stages[-1].macs:.1%}")
        first = last + 1
    print_table(table)


def show_training(result: TrainResult) -> None:
    """The best epoch, and what coarse tokens saved."""
    best = result.best
    say(
        f"{format_size(result.params)} parameters; epoch {best.epoch} of {len(result.epochs)}: "
        f"{accuracies(best.top1, best.top5, len(result.classes))}, loss {best.loss:.4f}"
    )
    if len(result.stages) > 1:
        time = f"{result.saved_time:.1%} of the time"
        if result.saved_time < 0:
            time = "and no time: the machine was busy, or the training too short"
        say(f"coarse tokens saved {result.saved_macs:.1%} of the multiply-adds, {time}")


def show_scores(evaluated: Evaluated) -> None:
    """Scores of a classifier, with its confusion matrix if it is small."""
    scores, classes = evaluated.scores, evaluated.classes
    say(
        f"{evaluated.network} on {scores.images:,} images of {evaluated.images}: "
        f"{accuracies(scores.top1, scores.top5, len(classes))}, "
        f"loss {scores.loss:.4f}, calibration error {scores.calibration_error:.2%}, "
        f"{scores.images_per_second:.0f} images/s"
    )
    if scores.unreadable:
        say(f"{len(scores.unreadable)} images were left out, the first: {scores.unreadable[0]}")
    if len(classes) <= WIDEST_CONFUSION:
        table = new_table()
        table.add_column("true \\ said", overflow="fold")
        for name in classes:
            table.add_column(name, justify="right", overflow="fold")
        images = {(cell.true, cell.said): cell.images for cell in scores.confusion}
        for true, name in enumerate(classes):
            table.add_row(name, *(str(images.get((true, said), 0)) for said in range(len(classes))))
        print_table(table)


def show_predictions(rows: Sequence[tuple[Path, Sequence[Prediction]]], *, as_json: bool) -> None:
    """Classes and probabilities of some images, the likeliest first."""
    if as_json:
        predictions = [
            {"image": str(path), "classes": [{"class": name, "probability": share} for name, share in best]}
            for path, best in rows
        ]
        print_record("predict", {"predictions": predictions})
        return
    for path, best in rows:
        say(f"{path}: " + ", ".join(f"{name} {share:.1%}" for name, share in best))
