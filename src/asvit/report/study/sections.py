"""What pages of scores have in common: the table of scores, accuracy against each of them, and all networks."""

from collections.abc import Iterable

from asvit.measure.metrics import METRICS
from asvit.measure.words import or_dash
from asvit.report.charts import LEAST, figure
from asvit.report.markup import Markup, architecture, join, symbol, table, tag
from asvit.report.parts import folded, settings, unbroken
from asvit.report.study.charts import ROW_HEIGHT, accuracy_chart, correlation_chart
from asvit.report.symbols import typeset_html
from asvit.runs.differences import flat
from asvit.study.noise import Variance
from asvit.study.results import Scored, Verdict
from asvit.units import count


def noise_section(rows: Iterable[tuple[str, Variance]]) -> list[Markup]:
    """Standard deviations between and within networks, a named row each."""

    def row(name: str, variance: Variance) -> list[str]:
        deviations = (f"{100 * max(v, 0) ** 0.5:.2f}" for v in (variance.between, variance.within))
        return [name, str(variance.topologies), *deviations, str(variance)]

    words = "Standard deviations of top-1 accuracy in points: between networks, and between seeds of one network. "
    words += "The ratio is that of the variances, with its 95 % interval."
    headers = ["", "networks", "between networks", "between seeds", "ratio"]
    return [tag("h2", "Noise"), tag("p", words), table(headers, [row(*named) for named in rows], class_="numbers")]


def scores_section(result: Verdict) -> list[Markup]:
    """The table of all scores, where they come from, and how they were measured."""
    judged = [tag("p", "None is judged: the first sentence of this page says why.")]
    if result.judged:
        judged = _judged(result)
    return [
        tag("h2", "Scores"),
        *judged,
        folded("Where the scores come from", tag("ul", *map(_source, result.scores))),
        settings(flat(result.measuring).items(), "How they were measured"),
    ]


def _judged(result: Verdict) -> list[Markup]:
    plain = METRICS[result.baseline].symbol
    words = "Kendall τ between a score and accuracy, with 95 % bootstrap intervals over networks; signs are such "
    words += f"that a positive τ is a good one. Given {plain}: partial τ. Within bands: among thirds of equal {plain}. "
    words += f"Over {plain}: difference of both τ. Ceiling: τ of a perfect score, for the noise of training and of the "
    words += "score's repeats. Regret: accuracy lost by taking the network with the highest score, or the mean of the "
    words += "five highest, instead of the best. Seconds: of measuring one network, beside trainings. "
    words += "Of: networks for which the score is valid."
    headers = ["score", "of", "τ", f"given {plain}", "within bands", f"over {plain}"]
    headers += ["ceiling", "regret", "of five", "seconds"]
    others = [score for score in result.scores if score not in result.judged]
    rows = [_cells(score) for score in [*result.judged, *others]]
    return [
        tag("p", words),
        table(headers, rows, class_="numbers"),
        figure(
            "correlations",
            "Rank correlation",
            f"The dashed line is that of {plain}.",
            correlation_chart(result),
            height=ROW_HEIGHT * len(result.judged),
        ),
    ]


def _cells(score: Scored) -> list[str]:
    symbols = [symbol(METRICS[name]) for name in score.name.split("+")]
    return [
        join([symbols[0], *(Markup(f" + {other}") for other in symbols[1:])]),
        str(score.topologies),
        *(
            unbroken(or_dash(tau))
            for tau in (score.tau, score.beyond_baseline, score.within_bands, score.over_baseline)
        ),
        or_dash(score.ceiling, ".2f"),
        or_dash(score.regret, ".2%"),
        or_dash(score.regret_of_five, ".2%"),
        f"{score.seconds:.2g}",
    ]


def _source(score: Scored) -> Markup:
    return tag("li", typeset_html(f"{score.symbol}: {score.title}, {score.better} is better ({score.source})"))


def figures_section(result: Verdict) -> list[Markup]:
    """Accuracy against every score of which something can be said (Fig. 2)."""
    shown = result.judged or [score for score in result.scores if score.topologies >= LEAST]
    names = [score.name for score in shown if score.name in METRICS]
    if not names:
        return []
    charts = [
        figure(
            name.replace("_", "-"),
            METRICS[name].title[0].upper() + METRICS[name].title[1:],
            "",
            accuracy_chart(result, name),
        )
        for name in names
    ]
    words = "Every point is a network; point at one for its text form. Bars are standard errors (Fig. 2)."
    return [tag("h2", "Accuracy against scores"), tag("p", words), tag("div", *charts, class_="charts")]


def networks_section(result: Verdict) -> list[Markup]:
    """All networks, the most accurate first."""
    ordered = sorted(result.points, key=lambda point: -point.top1)
    rows = [
        [architecture(p.topology), f"{100 * p.top1:.2f}", str(p.trainings), f"{p.params:,}", or_dash(p.macs, ",")]
        for p in ordered
    ]
    headers = ["network", "top-1 (%)", "trainings", "parameters", "MACs"]
    content = table(headers, rows, class_="numbers")
    return [folded(f"All {count(len(rows), 'network')}, the most accurate first", content)]
