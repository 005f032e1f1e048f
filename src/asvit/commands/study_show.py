"""What a study found: tables on a terminal, or the record."""

from rich.table import Table

from asvit.commands.tables import new_table, print_table, say
from asvit.measure.metrics import METRICS
from asvit.measure.words import format_estimate, in_per_cent, or_dash
from asvit.study.contest import ScalingContest, SearchContest
from asvit.study.contest_verdict import sentences_of_rules, sentences_of_searches
from asvit.study.results import StudyResult, Verdict
from asvit.units import format_size


def show_verdict(result: Verdict) -> None:
    """Print the sentence, and a row a score where any is judged."""
    if result.judged:
        print_table(_scores(result))
    else:
        say(result.sentence)


def show_study(result: StudyResult) -> None:
    """Print the verdict, and the pilot."""
    show_verdict(result)
    say(
        f"pilot: variance between topologies {result.pilot} times that between seeds; "
        f"{len(result.trained)} of {result.planned} trainings"
    )


def _scores(result: Verdict) -> Table:
    table = new_table(result.sentence)
    table.add_column("score", overflow="fold")
    for header in ("τ", f"given {result.baseline}", "within bands", "ceiling", "regret", "of five", "seconds"):
        table.add_column(header, justify="right")
    for score in result.scores:
        table.add_row(
            score.name,
            *map(or_dash, (score.tau, score.beyond_baseline, score.within_bands)),
            or_dash(score.ceiling, ".2f"),
            or_dash(score.regret, ".2%"),
            or_dash(score.regret_of_five, ".2%"),
            f"{score.seconds:.2g}",
        )
    return table


def show_search_contest(result: SearchContest) -> None:
    """Print a row a search method, and what follows."""
    table = new_table(f"{result.measurements} measurements a search, by {result.score}")
    table.add_column("method")
    names = list(result.methods[0].extremes)
    headers = ("result", "best", *(f"best {METRICS[name].heading}" for name in names), "distinct", "invalid")
    for header in (*headers, "top-1 (%)"):
        table.add_column(header, justify="right")
    accuracies = {standing.way: standing.top1 for standing in result.standings}
    for method in result.methods:
        extremes = (format_estimate(method.extremes[name]) for name in names)
        counts = (method.distinct, method.invalid)
        table.add_row(
            method.method,
            *map(format_estimate, (method.result, method.best)),
            *extremes,
            *map(format_estimate, counts),
            in_per_cent(accuracies.get(method.method)),
        )
    print_table(table)
    say("result, best: share of all topologies measured by any search that are no better, by the sum of ranks")
    say(" ".join(sentences_of_searches(result)))


def show_scaling_contest(result: ScalingContest) -> None:
    """Print a row a rule and size, and what follows."""
    table = new_table(f"{result.topology} scaled")
    for header, justify in (("budget", "right"), ("rule", "left")):
        table.add_column(header, justify=justify)  # pyright: ignore[reportArgumentType]
    for header in ("networks", "parameters", "MACs", "top-1 (%)"):
        table.add_column(header, justify="right")
    for standing in sorted(result.standings, key=lambda standing: standing.params):
        sizes = map(format_size, (round(standing.params), round(standing.macs)))
        table.add_row(standing.size, standing.way, str(standing.runs), *sizes, in_per_cent(standing.top1))
    print_table(table)
    say(" ".join(sentences_of_rules(result)))
