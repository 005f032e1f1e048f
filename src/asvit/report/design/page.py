"""The page of a search, growth or design."""

from pathlib import Path

from asvit.complexity.usage import Usage
from asvit.design.recipes import RECIPES
from asvit.design.record import DesignReport, Grown, read_design
from asvit.design.search import SearchResult, statistics_of_policy
from asvit.design.words import undecided, undecided_in_words
from asvit.measure.metrics import METRICS
from asvit.measure.words import how_used
from asvit.networks.architecture import Architecture
from asvit.networks.space import TABLE_1
from asvit.report.charts import LEAST, figure
from asvit.report.design.beside import published_beside
from asvit.report.design.growth_charts import depth_and_width_chart, growth_points, measures_chart
from asvit.report.design.next import steps_after
from asvit.report.design.plane import better_corner, trade_off, trade_off_heading
from asvit.report.design.search_charts import (
    PAPER_ENTROPY,
    entropy_chart,
    policy_chart,
    reward_chart,
    space_of,
    topologies_chart,
)
from asvit.report.design.tables import family_table, found_table, in_words, invalid_list, statistics_table
from asvit.report.design.verdict import headline, how_found, is_it_good, what_it_is
from asvit.report.markup import Markup, architecture, join, score_in_words, tag
from asvit.report.network import how_to_read, network_figure, network_legend
from asvit.report.parts import Page, folded, head, images, next_steps, span
from asvit.units import count

PAPER = RECIPES["paper"]


def design_page(directory: Path) -> Page:
    """Page of search, grow or design, from a run directory."""
    report = read_design(directory)
    title = f"{headline(report)} for {images(report.task)}"
    seeds = [search.seed for search in report.searches] or [report.run.config.seed]
    answer = [what_it_is(report), is_it_good(report), next_steps(steps_after(report, directory)), *_shorter(report)]
    parts = head(report.run, title, how_found(report), seeds, answer=answer)
    return Page(title, [*parts, *_drawings(report), *_sections(report)])


def _shorter(report: DesignReport) -> list[Markup]:
    """What is less than in the paper, if anything."""
    config = report.run.config
    words = [f"The {config.recipe} recipe is shorter than the paper's."]
    if config.recipe == "paper":
        words = []
    if any(len(search.steps) < PAPER.steps for search in report.searches):
        steps = span([len(search.steps) for search in report.searches], "d")
        first = report.searches[0]
        left = undecided_in_words(first.steps[-1].entropy, space_of(first))
        words.append(
            f"This search took {steps} steps instead of {PAPER.steps}, and left its policy {left}; the paper's ended "
            f"at {100 * undecided(PAPER_ENTROPY, TABLE_1):.0f} %."
        )
    ours = (config.measure.repeats, config.measure.angles, config.measure.kernel_images)
    if any(less < paper for less, paper in zip(ours, (PAPER.repeats, PAPER.angles, PAPER.kernel_images), strict=True)):
        counts = (count(number, noun) for number, noun in zip(ours, ("repeat", "angle", "image"), strict=True))
        words.append(
            f"A measurement took {', '.join(counts)}, the paper's {PAPER.repeats}, {PAPER.angles} "
            f"and {PAPER.kernel_images}."
        )
    return [tag("p", " ".join(words), class_="note")] if words else []


def _drawings(report: DesignReport) -> list[Markup]:
    """The networks drawn, all to one scale, and what their text forms mean."""
    drawn: dict[str, str] = {}
    if report.grown is not None:
        drawn[report.grown.growth.steps[0].architecture] = "The start of growth"
        drawn |= {member.architecture: f"Within {member.budget}" for member in report.grown.family}
    elif isinstance(report.result, SearchResult):
        drawn[report.result.architecture] = "The seed network"
    networks = {text: Architecture.parse(text) for text in drawn}
    figures = [
        network_figure(f"network-{number}", networks[text], report.task, caption, beside=list(networks.values()))
        for number, (text, caption) in enumerate(drawn.items())
    ]
    text, network = list(networks.items())[-1]
    heading = join(["What the numbers of ", architecture(text), " mean"])
    legend = folded(heading, network_legend(network), shown=True)
    title = "The network" if len(networks) == 1 else "The networks"
    return [tag("h2", title), tag("p", how_to_read()), tag("div", *figures, class_="charts"), legend]


def _sections(report: DesignReport) -> list[Markup]:
    """Sections that apply to the job."""
    parts: list[Markup] = []
    if report.grown is not None:
        parts += _family(report, report.grown)
    parts += published_beside(report)
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
    explained = tag("p", in_words(grown.measures), class_="facts")
    return [tag("h2", "Family"), tag("p", words, _errors(report)), *used, family_table(grown), explained]


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
    searches, steps = report.searches, len(report.searches[0].steps)
    measured = report.topologies_measured
    words = "The search draws topologies from a policy, which gives every choice a probability, and raises the "
    words += "probability of what measured better (Algorithm 1). Its result is the topology of highest probability in "
    words += "the end; beside it, the measured topology with the smallest sum of ranks by "
    policy = f"Mean over {len(searches)} runs of the probability" if len(searches) > 1 else "Probability"
    charts, too_few = [], []
    if steps >= LEAST:
        caption = "From the uniform policy, which knows nothing (100 %), to a decided one (0 %); Fig. 5 of the paper."
        charts.append(figure("entropy", "How undecided the policy is", caption, entropy_chart(searches)))
        caption = "How much better each topology measured than the one before (Algorithm 1, line 5)."
        charts.append(figure("reward", "Reward", caption, reward_chart(searches)))
    else:
        too_few.append(f"A search of {count(steps, 'step')} has no curve to show.")
    if sum(measurement.valid for _, measurement in measured) >= LEAST:
        corner = better_corner(*trade_off(report.measures))
        caption = f"Good ones are in the {corner}. Point at one for its topology."
        chart = topologies_chart(searches, report.task, report.measures)
        charts.append(figure("topologies", "Measured topologies", caption, chart))
    caption = f"{policy} of every value of every choice: kernels K, attention splits S and expansions E of the "
    caption += "stages, and heads; the likeliest in bold."
    charts.append(figure("policy", "Final policy", caption, policy_chart(searches)))
    return [
        tag("h2", "Search"),
        tag("p", words, score_in_words(report.score), ". ", _errors(report), " ".join(["", *too_few])),
        found_table(report),
        tag("p", in_words(report.measures), class_="facts"),
        invalid_list(measured, "topologies"),
        tag("div", *charts, class_="charts"),
    ]


def _growth(report: DesignReport, grown: Grown) -> list[Markup]:
    steps, task = grown.growth.steps, report.task
    measured = grown.measured
    width = f" at 1/{grown.width_divisor} of its width" if grown.width_divisor > 1 else ""
    words = [f"Growth took {count(len(steps) - 1, 'step')} from ", architecture(steps[0].architecture)]
    words += [f", each by the choice that measured best (Algorithm 2), and stopped because {grown.growth.stopped}. "]
    words += [f"Every network was measured{width}. ", _errors(report)]
    charts = []
    if len(steps) >= LEAST:
        caption = "Numbers are steps (Fig. 3, left)."
        charts.append(figure("depth-width", "Depth against width", caption, depth_and_width_chart(grown, task)))
    if growth_points(grown) >= LEAST:
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
