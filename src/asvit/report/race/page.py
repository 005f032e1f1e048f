"""The page and the picture of a race."""

from dataclasses import dataclass
from pathlib import Path

from asvit.design.ranking import parse_score
from asvit.errors import UserError
from asvit.measure.words import format_usage
from asvit.report.asked import ImageCounts
from asvit.report.charts import LEAST, Panel, figure
from asvit.report.markup import Markup, architecture, join, score_in_words, table, tag
from asvit.report.parts import Page, head, images, next_steps, unbroken
from asvit.report.race.charts import (
    COSTS,
    WAYS,
    comparable,
    cost_chart,
    curves_chart,
    epochs_of,
    has_curves,
    tells_apart,
    worth_having,
)
from asvit.runs.next_steps import after_race
from asvit.runs.read import Config, RunFile, read_result, read_run
from asvit.runs.records import read_asked
from asvit.study.race.results import RaceResult, last_round
from asvit.study.race.verdict import sentences
from asvit.units import count, format_size


@dataclass(frozen=True)
class RaceConfig(Config):
    """What a race was asked, as far as its page speaks of it."""

    images: ImageCounts


@dataclass(frozen=True)
class RaceRun(RunFile):
    """``run.json``."""

    config: RaceConfig


def race_page(directory: Path) -> Page:
    """Page of a race, from a run directory."""
    run = read_run(directory, RaceRun)
    result = read_result(directory, run, RaceResult)
    title = f"A race for {result.budget}, {images(result.task)}"
    words = f"{count(len(result.runners), 'network')} trained alike; the better ones went on after every round."
    first, *others = sentences(result)
    answer = [
        tag("p", tag("strong", first)),
        tag("ul", *(tag("li", words) for words in others), class_="members"),
        tag("p", _found_out(result, run), class_="note"),
        next_steps(after_race(directory, read_asked(directory))),
    ]
    return Page(
        title, [*head(run, title, words, [run.config.seed], answer=answer), *_curves(result), *_runners(result)]
    )


def _found_out(result: RaceResult, run: RaceRun) -> str:
    seen = run.config.images
    words = (
        f"Accuracies are of {seen.val:,} validation images, after trainings on {seen.train:,}; they chose the winner, "
    )
    words += f"and so flatter it. The race took {result.seconds / 60:.0f} of {result.minutes:g} min"
    return f"{words}." if result.finished else f"{words}: there was no time for all rounds."


_LINE = "The line joins what is worth having: nothing is cheaper and more accurate."
_ONE = "One is the most accurate, and none is cheaper."


def _curves(result: RaceResult) -> list[Markup]:
    parts = ", ".join(f"{count(part.runners, 'network')} until epoch {part.epochs}" for part in result.rounds)
    words = f"Rounds: {parts}. The learning rate falls over {count(result.epochs, 'epoch')}."
    shown: list[Markup] = []
    if has_curves(result):
        caption = "A line ends where its network dropped out."
        shown.append(figure("curves", "Accuracy by epoch", caption, curves_chart(result)))
    else:
        words += f" No network was trained for {LEAST} epochs: there are no curves to show."
    alike = comparable(result)
    charts = []
    for name, (title, cost, _) in COSTS.items():
        if tells_apart(alike, cost):
            front = worth_having(alike, cost, epochs_of(alike))
            caption = f"After {count(epochs_of(alike), 'epoch')} each. {_LINE if len(front) > 1 else _ONE}"
            charts.append(figure(name, f"Accuracy against {title}", caption, cost_chart(result, name)))
    return [tag("h2", "The race"), tag("p", words), *shown, tag("div", *charts, class_="charts")]


def _runners(result: RaceResult) -> list[Markup]:
    rows = [
        [
            architecture(ran.runner.network),
            WAYS[ran.runner.way],
            "–" if ran.runner.rank is None else str(ran.runner.rank),
            f"{last_round(ran, result.rounds)} of {len(result.rounds)}",
            ", ".join(f"{100 * top1:.2f}" for top1 in ran.accuracies),
            format_size(ran.runner.params),
            format_size(ran.runner.macs),
            *(map(unbroken, format_usage(ran.runner.usage) or ["–", "–"])),
            f"{ran.seconds:.1f}",
        ]
        for ran in result.runners
    ]
    headers = ["network", "chosen", "rank before", "round", "top-1 (%)", "parameters", "MACs", "latency", "memory"]
    explained = ", without training. Round: the last that it ended. Top-1: where its trainings ended, one a seed. "
    explained += "Seconds: of an epoch here."
    words = join(["Rank before: by ", score_in_words(parse_score(result.score)), explained])
    left_out = [f" Not trained for an epoch: {', '.join(result.left_out)}."] if result.left_out else []
    return [
        tag("h2", "Networks"),
        tag("p", words, *left_out),
        table([*headers, "seconds"], rows, class_="numbers"),
    ]


def race_panels(directory: Path) -> list[Panel]:
    """Accuracy by epoch, and against MACs.

    Raises:
        UserError: there is too little to draw.
    """
    result = read_result(directory, read_run(directory, RunFile), RaceResult)
    panels: list[Panel] = []
    if has_curves(result):
        panels.append(("Accuracy by epoch", curves_chart(result)))
    if tells_apart(comparable(result), COSTS["macs"][1]):
        panels.append(("Accuracy against MACs", cost_chart(result, "macs")))
    if not panels:
        raise UserError(f"nothing to draw: no network was trained for {LEAST} epochs, and too few differ in MACs")
    return panels
