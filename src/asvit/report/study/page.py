"""The page of a study."""

from pathlib import Path

from asvit.measure.metrics import METRICS
from asvit.measure.words import or_dash
from asvit.report.charts import LEAST, figure
from asvit.report.markup import Markup, architecture, join, symbol, table, tag
from asvit.report.parts import Page, folded, head, images, next_steps, settings, unbroken
from asvit.report.study.charts import ROW_HEIGHT, accuracy_chart, correlation_chart
from asvit.report.study.record import StudyReport, read_study
from asvit.report.symbols import typeset_html
from asvit.runs.differences import flat
from asvit.runs.next_steps import after_study
from asvit.runs.records import read_asked
from asvit.study.noise import Variance
from asvit.study.results import Scored, StudyResult
from asvit.units import count

PAPER_TOPOLOGIES, PAPER_EPOCHS = 87, 300


def study_page(directory: Path) -> Page:
    """Page of study, from a run directory."""
    report = read_study(directory)
    run, result = report.run, report.result
    title = f"Do the measures predict accuracy? {images(result.task)}"
    words = "Sampled topologies, one block a stage and C = 32, trained, and ranked by measures taken before."
    answer = [
        tag("p", tag("strong", typeset_html(result.sentence))),
        tag("p", _shorter(report), class_="note"),
        next_steps(after_study(read_asked(directory))),
    ]
    return Page(
        title,
        [
            *head(run, title, words, [run.config.seed], answer=answer),
            *_scores(result),
            *_figures(result),
            *_noise(result),
            *_topologies(result),
        ],
    )


def _shorter(report: StudyReport) -> str:
    config, result = report.run.config, report.result
    done = len(result.trained)
    words = f"{len(result.points)} topologies in {count(done, 'training')}"
    words += f" of {result.planned} planned; " if done < result.planned else "; "
    words += f"{config.in_words()}. The paper trained {PAPER_TOPOLOGIES} for {PAPER_EPOCHS} epochs of ImageNet."
    return words


def _noise(result: StudyResult) -> list[Markup]:
    def row(name: str, variance: Variance) -> list[str]:
        deviations = (f"{100 * max(v, 0) ** 0.5:.2f}" for v in (variance.between, variance.within))
        return [name, str(variance.topologies), *deviations, str(variance)]

    words = "Standard deviations of top-1 accuracy in points: between topologies, and between seeds of one topology. "
    words += "The ratio is that of the variances, with its 95 % interval."
    headers = ["", "topologies", "between topologies", "between seeds", "ratio"]
    rows = [row("pilot", result.pilot), row("all trained repeatedly", result.variance)]
    return [tag("h2", "Noise"), tag("p", words), table(headers, rows, class_="numbers")]


def _scores(result: StudyResult) -> list[Markup]:
    judged = [tag("p", "None is judged: the first sentence of this page says why.")]
    if result.judged:
        judged = _judged(result)
    return [
        tag("h2", "Scores"),
        *judged,
        folded("Where the scores come from", tag("ul", *map(_source, result.scores))),
        settings(flat(result.measuring).items(), "How they were measured"),
    ]


def _judged(result: StudyResult) -> list[Markup]:
    words = "Kendall τ between a score and accuracy, with 95 % bootstrap intervals over topologies; signs are such "
    words += "that a positive τ is a good one. Given #params: partial τ. Within bands: among thirds of equal #params. "
    words += "Over #params: difference of both τ. Ceiling: τ of a perfect score, for the noise of training and of the "
    words += "score's repeats. Regret: accuracy lost by taking the topology with the highest score, or the mean of the "
    words += "five highest, instead of the best. Seconds: of measuring one topology, beside trainings. "
    words += "Of: topologies for which the score is valid."
    headers = ["score", "of", "τ", "given #params", "within bands", "over #params"]
    headers += ["ceiling", "regret", "of five", "seconds"]
    others = [score for score in result.scores if score not in result.judged]
    rows = [_cells(score) for score in [*result.judged, *others]]
    return [
        tag("p", words),
        table(headers, rows, class_="numbers"),
        figure(
            "correlations",
            "Rank correlation",
            "The dashed line is that of #params.",
            correlation_chart(result),
            height=ROW_HEIGHT * len(result.judged),
        ),
    ]


def _cells(score: Scored) -> list[str]:
    symbols = [symbol(METRICS[name]) for name in score.name.split("+")]
    return [
        join([symbols[0], *(Markup(f" + {other}") for other in symbols[1:])]),
        str(score.topologies),
        *(unbroken(or_dash(tau)) for tau in (score.tau, score.beyond_params, score.within_bands, score.over_params)),
        or_dash(score.ceiling, ".2f"),
        or_dash(score.regret, ".2%"),
        or_dash(score.regret_of_five, ".2%"),
        f"{score.seconds:.2g}",
    ]


def _source(score: Scored) -> Markup:
    return tag("li", typeset_html(f"{score.symbol}: {score.title}, {score.better} is better ({score.source})"))


def _figures(result: StudyResult) -> list[Markup]:
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
    words = "Every point is a topology; point at one for its text form. Bars are standard errors (Fig. 2)."
    return [tag("h2", "Accuracy against scores"), tag("p", words), tag("div", *charts, class_="charts")]


def _topologies(result: StudyResult) -> list[Markup]:
    ordered = sorted(result.points, key=lambda point: -point.top1)
    rows = [
        [architecture(p.topology), f"{100 * p.top1:.2f}", str(p.trainings), f"{p.params:,}", f"{p.macs:,}"]
        for p in ordered
    ]
    headers = ["topology", "top-1 (%)", "trainings", "parameters", "MACs"]
    return [folded(f"All {len(rows)} topologies, the most accurate first", table(headers, rows, class_="numbers"))]
