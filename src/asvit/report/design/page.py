"""The page of a search, growth or design."""

from pathlib import Path

from asvit.complexity.usage import Usage
from asvit.design.recipes import RECIPES
from asvit.design.record import DesignReport, Grown, read_design
from asvit.design.search import SearchResult, statistics_of_policy
from asvit.measure.metrics import METRICS
from asvit.measure.words import how_used
from asvit.report.charts import figure
from asvit.report.design.growth_charts import depth_and_width_chart, measures_chart
from asvit.report.design.plane import better_corner, trade_off, trade_off_heading
from asvit.report.design.search_charts import (
    PAPER_ENTROPY,
    entropy_chart,
    policy_chart,
    reward_chart,
    topologies_chart,
    uniform_entropy,
)
from asvit.report.design.tables import family_table, found_table, invalid_list, statistics_table
from asvit.report.markup import Markup, architecture, tag
from asvit.report.parts import Page, count, head, images, span

PAPER = RECIPES["paper"]


def design_page(directory: Path) -> Page:
    """Page of search, grow or design, from a run directory."""
    report = read_design(directory)
    run = report.run
    title = f"{'Seed topology' if run.job == 'search' else 'Vision Transformer family'} for {images(report.task)}"
    done = " and ".join(["searched"] * bool(report.searches) + ["grown"] * (report.grown is not None))
    words = f"As-ViT, {done} without training: by {_in_words(report)} at initialisation."
    seeds = [search.seed for search in report.searches] or [run.config.seed]
    return Page(title, [*head(run, title, words, seeds), *_shorter(report), *_sections(report)])


def _in_words(report: DesignReport) -> str:
    """The score's measures, with weights where they differ from 1."""
    weighed = [
        METRICS[objective.name].title + ("" if objective.weight == 1 else f" (weight {objective.weight:g})")
        for objective in report.score
    ]
    *before, last = weighed
    return f"{', '.join(before)} and {last}" if before else last


def _shorter(report: DesignReport) -> list[Markup]:
    """What is less than in the paper, if anything."""
    config = report.run.config
    words = [f"The {config.recipe} recipe is shorter than the paper's."]
    if config.recipe == "paper":
        words = []
    if any(len(search.steps) < PAPER.steps for search in report.searches):
        steps = span([len(search.steps) for search in report.searches], "d")
        last = span([search.steps[-1].entropy for search in report.searches], ".1f")
        words.append(
            f"This search took {steps} steps instead of {PAPER.steps}; its policy's entropy went from "
            f"{uniform_entropy(report.searches[0]):.1f} to {last} nats, the paper's to {PAPER_ENTROPY}."
        )
    ours = (config.measure.repeats, config.measure.angles, config.measure.kernel_images)
    if any(less < paper for less, paper in zip(ours, (PAPER.repeats, PAPER.angles, PAPER.kernel_images), strict=True)):
        counts = (count(number, noun) for number, noun in zip(ours, ("repeat", "angle", "image"), strict=True))
        words.append(
            f"A measurement took {', '.join(counts)}, the paper's {PAPER.repeats}, {PAPER.angles} "
            f"and {PAPER.kernel_images}."
        )
    return [tag("p", " ".join(words), class_="note")] if words else []


def _sections(report: DesignReport) -> list[Markup]:
    """Sections that apply to the job."""
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


def _family(report: DesignReport, grown: Grown) -> list[Markup]:
    words = "The last grown network within each budget, and, where its width was fitted, the one it was fitted from. "
    usage = grown.family[0].usage  # all members have one, or none
    used = [] if usage is None else [tag("p", _in_use(usage))]
    return [tag("h2", "Family"), tag("p", words, _errors(report)), *used, family_table(grown)]


def _in_use(usage: Usage) -> str:
    """What the latencies and the memory of a family mean."""
    return (
        f"Latency is the median over passes, ± half the range between their quartiles; memory is the peak of weights, "
        f"images and the activations that live at a time: {how_used(usage)}."
    )


def _errors(report: DesignReport) -> str:
    repeats = report.run.config.measure.repeats
    if repeats == 1:
        return "A single repeat has no error bars."
    return f"± is the standard error over {repeats} repeats, each with weights, circle and images of its own."


def _search(report: DesignReport) -> list[Markup]:
    searches = report.searches
    measured = report.topologies_measured
    words = "The result of Algorithm 1 is the topology of highest probability under the final policy; beside it, the "
    words += f"measured topology with the smallest sum of ranks by {_in_words(report)}. "
    policy = f"Mean over {len(searches)} runs of the probability" if len(searches) > 1 else "Probability"
    charts = [
        figure("entropy", "Policy entropy", "How undecided the policy is (Fig. 5).", entropy_chart(searches)),
        figure("reward", "Reward", "Of each sampled topology (Algorithm 1, line 5).", reward_chart(searches)),
    ]
    if any(measurement.valid for _, measurement in measured):
        corner = better_corner(*trade_off(report.measures))
        caption = f"Good ones are in the {corner}. Point at one for its topology."
        chart = topologies_chart(searches, report.task, report.measures)
        charts.append(figure("topologies", "Measured topologies", caption, chart))
    caption = f"{policy} of every value of Table 1, the likeliest in bold."
    charts.append(figure("policy", "Final policy", caption, policy_chart(searches)))
    return [
        tag("h2", "Search"),
        tag("p", words, _errors(report)),
        found_table(report),
        invalid_list(measured, "topologies"),
        tag("div", *charts, class_="charts"),
    ]


def _growth(report: DesignReport, grown: Grown) -> list[Markup]:
    steps, task = grown.growth.steps, report.task
    measured = grown.measured
    width = f" at 1/{grown.width_divisor} of its width" if grown.width_divisor > 1 else ""
    words = [f"Algorithm 2 took {count(len(steps) - 1, 'step')} from ", architecture(steps[0].architecture)]
    words += [f" and stopped because {grown.growth.stopped}. Every network was measured{width}. ", _errors(report)]
    caption = "Numbers are steps (Fig. 3, left)."
    charts = [figure("depth-width", "Depth against width", caption, depth_and_width_chart(grown, task))]
    if any(measurement.valid for _, measurement in measured):
        if len(report.measures) > 1:
            x, y = trade_off(report.measures)
            caption = f"Good ones are in the {better_corner(x, y)} (Fig. 3, right)."
            heading = trade_off_heading(report.measures)
            charts.append(figure("trade-off", heading, caption, measures_chart(grown, task, x, y)))
        caption = "Numbers are steps, diamonds the family, grey the candidates of all steps."
        for name in report.measures:
            title = METRICS[name].title
            chart = measures_chart(grown, task, "params", name)
            charts.append(figure(f"{name}-params", title[0].upper() + title[1:], caption, chart))
    return [
        tag("h2", "Growth"),
        tag("p", *words),
        invalid_list(measured, "networks"),
        tag("div", *charts, class_="charts"),
    ]


def _statistics(report: DesignReport) -> list[Markup]:
    result = report.result
    if isinstance(result, SearchResult) and len(result.runs) > 1:
        statistics = result.statistics
        subject = f"the most probable topologies of {len(report.searches)} runs"
    else:
        statistics = statistics_of_policy(report.searches[0].probabilities)
        subject = "the topologies that the final policy would sample, in closed form"
    words = f"Of {subject}, as in the paper's Table 3; the standard deviation is over the mean."
    return [tag("h2", "Statistics of the choices"), tag("p", words), statistics_table(statistics)]
