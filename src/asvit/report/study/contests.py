"""Pages and pictures of contests: searches at equal cost, and scaling rules at equal size (Table 7, Fig. 3)."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import altair as alt

from asvit.design.ranking import parse_score
from asvit.measure.metrics import METRICS
from asvit.measure.words import format_estimate, in_per_cent
from asvit.report.charts import COLUMNS, Panel, Row, answering, chart, counting_axis, figure, layered, near, tooltips
from asvit.report.markup import Markup, architecture, join, score_in_words, symbol, table, tag
from asvit.report.parts import Page, folded, head, images, next_steps
from asvit.report.study.record import ContestRun
from asvit.runs.next_steps import after_contest
from asvit.runs.read import RunFile, read_result, read_run
from asvit.runs.records import read_asked
from asvit.study.contest import Contestant, ScalingContest, SearchContest, Standing
from asvit.study.contest_verdict import sentences_of_rules, sentences_of_searches
from asvit.study.results import Trained
from asvit.units import count, format_size


def search_contest_page(directory: Path) -> Page:
    """Page of study search, from a run directory."""
    run = read_run(directory, ContestRun)
    result = read_result(directory, run, SearchContest)
    title = f"Searches compared for {images(result.task)}"
    rivals = f"Algorithm 1 (reinforce) and its rivals, {count(result.measurements, 'measurement')} each, by "
    words = join([rivals, score_in_words(parse_score(result.score)), "."])
    seeds = sorted({contestant.run for contestant in result.contestants})
    explained = "Result and best: share of all topologies that any search measured which are no better, by the sum of "
    explained += "ranks; of what the method hands over, and of the best that it measured. ± is the standard error over "
    explained += f"{count(len(seeds), 'run')}."
    caption = "The best topology so far, mean over runs; 1 is the best of all that was measured."
    return Page(
        title,
        [
            *head(run, title, words, seeds, answer=_answer(sentences_of_searches(result), result, run, directory)),
            tag("h2", "Methods"),
            tag("p", explained),
            _methods(result),
            figure("curves", "Best so far", caption, curves_chart(result)),
            *_trained(result.standings, result.trained),
            _networks(result.contestants, result.trained),
        ],
    )


def _answer(
    sentences: Sequence[str], result: SearchContest | ScalingContest, run: ContestRun, directory: Path
) -> list[Markup]:
    """Whether it is worth it, how that was found out, and what comes next."""
    first, *others = sentences
    known = f"{count(len(result.trained), 'training')} of {run.config.in_words()}; "
    known += "whether it holds for longer ones is not known."
    return [
        tag("p", tag("strong", first)),
        *([tag("ul", *(tag("li", words) for words in others), class_="members")] if others else []),
        *([tag("p", known, class_="note")] if result.trained else []),
        next_steps(after_contest(directory, read_asked(directory))),
    ]


def _methods(result: SearchContest) -> Markup:
    names = list(result.methods[0].extremes)
    extremes = [f"best {symbol(METRICS[name])}" for name in names]
    headers = ["method", "result", "best", *map(Markup, extremes), "topologies", "invalid"]
    rows = [
        [
            method.method,
            *map(format_estimate, (method.result, method.best)),
            *(format_estimate(method.extremes[name]) for name in names),
            *map(format_estimate, (method.distinct, method.invalid)),
        ]
        for method in result.methods
    ]
    return table(headers, rows, class_="numbers")


def curves_chart(result: SearchContest) -> alt.LayerChart:
    """The best topology so far over measurements, by method."""
    rows: list[Row] = [
        {"method": method, "measurement": at, "share": (share := fmean(values)), "text": f"{share:.2%}"}
        for method, runs in result.curves.items()
        for at, values in enumerate(zip(*runs, strict=True), start=1)
    ]
    lines = chart(rows).encode(
        x=alt.X("measurement:Q", title="measurements", scale=alt.Scale(nice=False, zero=False)),
        y=alt.Y("share:Q", title="share that is no better", scale=near(padding=10), axis=alt.Axis(format="~%")),
        color=alt.Color("method:N", title=None, legend=alt.Legend(columns=COLUMNS)),
        tooltip=tooltips(method="method", measurement="measurements", text="share"),
    )
    return layered(lines.mark_line(strokeWidth=2, interpolate="step-after"), answering(lines))


def scaling_contest_page(directory: Path) -> Page:
    """Page of study scaling, from a run directory."""
    run = read_run(directory, ContestRun)
    result = read_result(directory, run, ScalingContest)
    title = f"Scaling rules compared for {images(result.task)}"
    words = "One topology scaled to equal numbers of parameters by Algorithm 2, at random, and by published rules."
    caption = "Blocks against output channels of all blocks (Fig. 3, left); widths of published rules are fitted."
    seeds = sorted({contestant.run for contestant in result.contestants})
    return Page(
        title,
        [
            *head(run, title, words, seeds, answer=_answer(sentences_of_rules(result), result, run, directory)),
            tag("p", "The topology is ", architecture(result.topology), "."),
            figure("plane", "Depth against width", caption, plane_chart(result)),
            *_trained(result.standings, result.trained),
            _networks(result.contestants, result.trained),
        ],
    )


def plane_chart(result: ScalingContest) -> alt.LayerChart:
    """Trajectories and networks of all rules in the plane of depth and width (Fig. 3, left)."""
    rows: list[Row] = [
        {
            "rule": place.way,
            "line": f"{place.way} {place.run}",
            "step": place.step,
            "network": place.network,
            "depth": place.depth,
            "width": place.width,
            "params": format_size(place.params),
        }
        for place in result.places
    ]
    base = chart(rows).encode(
        x=alt.X("width:Q", title="total width (channels, over all blocks)", scale=near()),
        y=alt.Y("depth:Q", title="total depth (blocks)", axis=counting_axis()),
        color=alt.Color("rule:N", title=None, legend=alt.Legend(columns=COLUMNS)),
        detail="line:N",
        order="step:Q",
        tooltip=tooltips(rule="rule", network="network", depth="blocks", width="channels", params="parameters"),
    )
    return layered(base.mark_line(strokeWidth=1.5, opacity=0.7), base.mark_point(filled=True, size=35, opacity=0.9))


def _trained(standings: Sequence[Standing], trained: Sequence[Trained]) -> list[Markup]:
    words = f"Means over runs, with standard errors; {count(len(trained), 'training')}."
    if not trained:
        words = "Nothing was trained: --trainings 1 trains every network below."
    sizes = [standing.size for standing in standings]
    beside_sample = any(standing.beats is not None for standing in standings)
    rows = [
        [
            standing.size or "one block a stage",
            standing.way,
            str(standing.runs),
            format_size(round(standing.params)),
            format_size(round(standing.macs)),
            in_per_cent(standing.top1),
            *([in_per_cent(standing.beats)] if beside_sample else []),
        ]
        for standing in sorted(standings, key=lambda standing: sizes.index(standing.size))
    ]
    headers = ["size", "way", "runs", "parameters", "MACs", "top-1 (%)"]
    headers += ["of a sample beaten (%)"] if beside_sample else []
    return [tag("h2", "Trained"), tag("p", words), table(headers, rows, class_="numbers")]


def _networks(contestants: Sequence[Contestant], trained: Sequence[Trained]) -> Markup:
    def accuracies(network: str) -> str:
        return ", ".join(f"{100 * training.top1:.2f}" for training in trained if training.network == network) or "–"

    rows = [
        [c.way, str(c.run), c.size, architecture(c.network), f"{c.params:,}", accuracies(c.network)]
        for c in contestants
    ]
    headers = ["way", "run", "size", "network", "parameters", "top-1 (%)"]
    return folded(f"All {len(rows)} networks", table(headers, rows, class_="numbers"))


def search_contest_panels(directory: Path) -> list[Panel]:
    """Chart of the best topology so far."""
    result = read_result(directory, read_run(directory, RunFile), SearchContest)
    return [("Best topology so far", curves_chart(result))]


def scaling_contest_panels(directory: Path) -> list[Panel]:
    """Chart of depth against width."""
    result = read_result(directory, read_run(directory, RunFile), ScalingContest)
    return [("Depth against width", plane_chart(result))]
