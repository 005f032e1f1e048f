"""Tables of a search, growth or design, and lists beside them."""

from collections.abc import Mapping, Sequence

from asvit.design.record import DesignReport, Grown
from asvit.design.search import Statistic
from asvit.measure.estimates import Measurement
from asvit.measure.metrics import METRICS
from asvit.measure.words import format_measure, format_usage
from asvit.report.design.search_charts import marked_as
from asvit.report.markup import Markup, architecture, join, symbol, table, tag
from asvit.report.parts import MOST_SHOWN, folded, unbroken
from asvit.units import format_size

TABLE_3: Mapping[str, tuple[float, float]] = {
    "K1": (7.3, 0.1),
    "K2": (4, 0),
    "K3": (4, 0),
    "K4": (4, 0),
    "E1": (3.3, 0.4),
    "E2": (3.9, 0.4),
    "E3": (4.2, 0.3),
    "E4": (5.2, 0.2),
    "S1": (4, 0.6),
    "S2": (2.7, 0.5),
    "S3": (1.5, 0.3),
    "heads": (42.7, 0.5),
}
"""The paper's Table 3: mean and standard deviation over mean of every choice."""


def _symbols(measures: Sequence[str]) -> list[Markup]:
    return [symbol(METRICS[name]) for name in measures]


def _estimates(measurement: Measurement, measures: Sequence[str]) -> list[str]:
    if not measurement.valid:
        return [f"invalid: {measurement.invalid}", *("–" for _ in measures[1:])]
    return [unbroken(format_measure(name, measurement.estimates[name])) for name in measures]


def in_words(measures: Sequence[str]) -> Markup:
    """What the symbols of measures stand for, and which direction is taken for better.

    >>> in_words(["length"])
    'L<sup>E</sup> is the length distortion (higher is taken for better).'
    """
    explained = []
    for name in measures:
        metric = METRICS[name]
        comes = [
            "; " if explained else "",
            symbol(metric),
            f" is the {metric.title} ({metric.better} is taken for better)",
        ]
        explained += comes
    return join([*explained, "."])


def family_table(grown: Grown) -> Markup:
    """A row a budget."""
    rows = (
        [
            str(member.budget),
            architecture(member.architecture),
            format_size(member.params),
            format_size(member.macs),
            *map(unbroken, format_usage(member.usage)),
            f"{member.share:.1%}",
            *_estimates(member.measurement, grown.measures),
            unbroken("full width" if member.measured_at == 1 else f"1/{member.measured_at} width"),
            "itself" if member.grown == member.architecture else architecture(member.grown),
        ]
        for member in grown.family
    )
    in_use = [] if grown.family[0].usage is None else ["latency", "memory"]
    sizes = ["budget", "architecture", "parameters", "MACs", *in_use, "budget used"]
    headers = [*sizes, *_symbols(grown.measures), "measured at", "fitted from"]
    return table(headers, rows, class_="cards")


def found_table(report: DesignReport) -> Markup:
    """What every search found: its most probable topology and the best ranked one side by side."""
    rows = []
    for search in report.searches:
        for name in dict.fromkeys([search.most_probable, search.best_ranked]):
            if name is None:
                empty = ["" for _ in (*report.measures, "sampled in")]
                rows.append([str(search.seed), "best ranked", "none: no measured topology is valid", *empty])
                continue
            steps = sum(step.topology == name for step in search.steps)
            rows.append(
                [
                    str(search.seed),
                    marked_as(search, name)["marked"],
                    architecture(name),
                    *_estimates(search.measurements[name], report.measures),
                    f"{steps} of {len(search.steps)} steps",
                ]
            )
    headers = ["seed", "which", "topology", *_symbols(report.measures), "sampled in"]
    return table(headers, rows, class_="cards")


def statistics_table(statistics: Mapping[str, Statistic]) -> Markup:
    """Table 3 of this job beside the paper's."""
    rows = (
        [name, f"{ours.mean:.1f}", f"{ours.relative_std:.2g}", *(f"{value:g}" for value in TABLE_3[name])]
        for name in TABLE_3
        for ours in [statistics[name]]
    )
    return table(["choice", "mean", "std / mean", "paper: mean", "paper: std / mean"], rows, class_="numbers")


def invalid_list(measured: Sequence[tuple[str, Measurement]], what: str) -> Markup:
    """How many measured networks were invalid, which, and why."""
    invalid = [(name, measurement.invalid) for name, measurement in measured if not measurement.valid]
    if not invalid:
        return tag("p", f"All {len(measured)} {what} measured were valid.")
    items = (tag("li", architecture(name), f": {reason}") for name, reason in invalid)
    summary = f"{len(invalid)} of {len(measured)} {what} measured were invalid and never ranked"
    return folded(summary, tag("ul", *items), shown=len(invalid) <= MOST_SHOWN)
