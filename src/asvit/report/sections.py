"""The sections of a page, from heading to settings."""

from collections.abc import Iterable
from typing import Any

import altair as alt

from asvit.architecture import Task
from asvit.design.recipes import RECIPES
from asvit.design.search import SearchResult, statistics_of_policy
from asvit.report.growth_charts import depth_and_width_chart, measures_chart
from asvit.report.markup import Markup, architecture, escape_json, join, tag
from asvit.report.read import Grown, Report
from asvit.report.search_charts import PAPER_ENTROPY, entropy_chart, policy_chart, reward_chart, topologies_chart
from asvit.report.tables import family_table, found_table, invalid_list, settings_table, statistics_table
from asvit.space import space_entropy

PAPER = RECIPES["paper"]


def title(report: Report) -> Markup:
    """What was designed, and for what."""
    return join([_subject(report.run.job), " for ", _images(report.task)])


def _subject(job: str) -> str:
    return "Seed topology" if job == "search" else "Vision Transformer family"


def _images(task: Task) -> str:
    height, width = task.image_size
    channels = "1 channel" if task.in_chans == 1 else f"{task.in_chans} channels"
    classes = "1 class" if task.num_classes == 1 else f"{task.num_classes:,} classes"
    return f"{height}×{width} images, {channels}, {classes}"


def head(report: Report) -> list[Markup]:
    """What was designed, how, and how to repeat it."""
    run, around = report.run, report.run.environment
    seeds = [search.seed for search in report.searches] or [run.config.seed]
    facts = [
        f"recipe {run.config.recipe}",
        f"seed{'s' * (len(seeds) > 1)} {_range(seeds, 'd')}",
        around.device if around.threads is None else f"{around.device}, {_count(around.threads, 'thread')}",
        f"asvit {around.asvit}",
        f"torch {around.torch}",
        f"Python {around.python}",
    ]
    done = {"search": "searched", "grow": "grown", "design": "searched and grown"}[run.job]
    repeat = tag("button", "Copy", type="button")
    return [
        tag("h1", title(report)),
        tag("p", f"As-ViT, {done} without training: by length distortion and NTK condition number at initialisation."),
        tag("p", " · ".join(facts), class_="facts"),
        tag("div", tag("pre", _words(run.command)), repeat, class_="command"),
        *_shorter(report),
    ]


def _words(command: str) -> Markup:
    """A command that a narrow screen breaks between its words, not within an option."""
    return Markup(" ".join(tag("span", word) for word in command.split(" ")))


def _shorter(report: Report) -> list[Markup]:
    """What is less than in the paper, if anything."""
    config = report.run.config
    words = [f"The {config.recipe} recipe is shorter than the paper's."]
    if config.recipe == "paper":
        words = []
    if any(len(search.steps) < PAPER.steps for search in report.searches):
        steps = _range([len(search.steps) for search in report.searches], "d")
        last = _range([search.steps[-1].entropy for search in report.searches], ".1f")
        words.append(
            f"This search took {steps} steps instead of {PAPER.steps}; its policy's entropy went from "
            f"{space_entropy():.1f} to {last} nats, the paper's to {PAPER_ENTROPY}."
        )
    ours = (config.measure.repeats, config.measure.angles, config.measure.kernel_images)
    if any(less < paper for less, paper in zip(ours, (PAPER.repeats, PAPER.angles, PAPER.kernel_images), strict=True)):
        counts = (_count(number, noun) for number, noun in zip(ours, ("repeat", "angle", "image"), strict=True))
        words.append(
            f"A measurement took {', '.join(counts)}, the paper's {PAPER.repeats}, {PAPER.angles} "
            f"and {PAPER.kernel_images}."
        )
    return [tag("p", " ".join(words), class_="note")] if words else []


def _range(values: list[Any], form: str) -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low}–{high}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def sections(report: Report) -> list[Markup]:
    """Those that apply to the job."""
    parts: list[Markup] = []
    if report.grown is not None:
        parts += _family(report, report.grown)
    if report.searches:
        parts += _search(report)
    if report.grown is not None:
        parts += _growth(report, report.grown)
    if report.searches:
        parts += _statistics(report)
    return parts


def _family(report: Report, grown: Grown) -> list[Markup]:
    words = "The last grown network within each budget, and, where its width was fitted, the one it was fitted from. "
    return [tag("h2", "Family"), tag("p", words, _errors(report)), family_table(grown)]


def _errors(report: Report) -> str:
    repeats = report.run.config.measure.repeats
    if repeats == 1:
        return "A single repeat has no error bars."
    return f"± is the standard error over {repeats} repeats, each with weights, circle and images of its own."


def _search(report: Report) -> list[Markup]:
    searches = report.searches
    measured = report.topologies_measured
    words = "The result of Algorithm 1 is the topology of highest probability under the final policy; beside it, the "
    words += "measured topology with the smallest sum of ranks by both measures. "
    policy = f"Mean over {len(searches)} runs of the probability" if len(searches) > 1 else "Probability"
    charts = [
        _figure("entropy", "Policy entropy", "How undecided the policy is (Fig. 5).", entropy_chart(searches)),
        _figure("reward", "Reward", "Of each sampled topology (Algorithm 1, line 5).", reward_chart(searches)),
    ]
    if any(measurement.valid for _, measurement in measured):
        caption = "Good ones are in the upper left. Point at one for its topology."
        chart = topologies_chart(searches, report.task)
        charts.append(_figure("topologies", "Measured topologies", caption, chart))
    caption = f"{policy} of every value of Table 1, the likeliest in bold."
    charts.append(_figure("policy", "Final policy", caption, policy_chart(searches)))
    return [
        tag("h2", "Search"),
        tag("p", words, _errors(report)),
        found_table(report),
        invalid_list(measured, "topologies"),
        tag("div", *charts, class_="charts"),
    ]


def _growth(report: Report, grown: Grown) -> list[Markup]:
    steps, task = grown.growth.steps, report.task
    measured = grown.measured
    width = f" at 1/{grown.width_divisor} of its width" if grown.width_divisor > 1 else ""
    words = [f"Algorithm 2 took {_count(len(steps) - 1, 'step')} from ", architecture(steps[0].architecture)]
    words += [f" and stopped because {grown.growth.stopped}. Every network was measured{width}. ", _errors(report)]
    caption = "Numbers are steps (Fig. 3, left)."
    charts = [_figure("depth-width", "Depth against width", caption, depth_and_width_chart(grown, task))]
    if any(measurement.valid for _, measurement in measured):
        caption = "Better is up and left (Fig. 3, right)."
        charts.append(_figure("trade-off", "Both measures", caption, measures_chart(grown, task, "ntk", "length")))
        caption = "Numbers are steps, diamonds the family, grey the candidates of all steps."
        for name, heading in (("length", "Length distortion"), ("ntk", "NTK condition number")):
            chart = measures_chart(grown, task, "params", name)
            charts.append(_figure(f"{name}-params", heading, caption, chart))
    return [
        tag("h2", "Growth"),
        tag("p", *words),
        invalid_list(measured, "networks"),
        tag("div", *charts, class_="charts"),
    ]


def _statistics(report: Report) -> list[Markup]:
    result = report.result
    if isinstance(result, SearchResult) and len(result.runs) > 1:
        statistics = result.statistics
        of = f"the most probable topologies of {len(report.searches)} runs"
    else:
        statistics = statistics_of_policy(report.searches[0].probabilities)
        of = "the topologies that the final policy would sample, in closed form"
    words = f"Of {of}, as in the paper's Table 3; the standard deviation is over the mean."
    return [tag("h2", "Statistics of the choices"), tag("p", words), statistics_table(statistics)]


def settings(everything: Iterable[tuple[str, object]]) -> Markup:
    """All that was asked for and all versions, folded away."""
    return tag("details", tag("summary", "All settings and versions"), settings_table(everything))


def _figure(name: str, title: str, caption: str, chart: alt.LayerChart) -> Markup:
    """A chart as wide as its column; the script of the page draws what the element after its place says."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    padding = {"left": 5, "top": 5, "right": 20, "bottom": 5}  # right: half of a label at the end of its axis
    specification = chart.properties(width="container", height=280, autosize=fit, padding=padding).to_dict()
    # Neither is needed to draw: an address that is never loaded, and altair's own theme.
    del specification["$schema"], specification["config"]
    return tag(
        "figure",
        tag("figcaption", tag("strong", title), caption),
        tag("div", class_="chart", id=f"chart-{name}"),
        Markup(f'<script type="application/json" data-chart="{name}">{escape_json(specification)}</script>'),
    )
