"""The verdict of a study as a table on a terminal."""

from asvit.study.correlation import Interval
from asvit.study.results import StudyResult
from asvit.tables import new_table, print_table


def shown(interval: Interval | None) -> str:
    """A statistic with its interval.

    >>> shown(Interval(0.5, 0.25, 0.75)), shown(None)
    ('0.50 [0.25, 0.75]', '–')
    """
    return "–" if interval is None else f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def show_study(result: StudyResult) -> None:
    """Print the sentence, the pilot, and a row a score."""
    pilot, table = result.pilot, new_table(result.sentence)
    table.add_column("score", overflow="fold")
    for header in ("τ", "given #params", "within bands", "ceiling", "regret", "of five", "seconds"):
        table.add_column(header, justify="right")
    for score in result.scores:
        table.add_row(
            score.symbol,
            *map(shown, (score.tau, score.beyond_params, score.within_bands)),
            "–" if score.ceiling is None else f"{score.ceiling:.2f}",
            f"{score.regret:.2%}",
            f"{score.regret_of_five:.2%}",
            f"{score.seconds:.2g}",
        )
    print_table(table)
    print(
        f"pilot: variance between topologies {pilot.ratio:.1f} times that between seeds "
        f"[{pilot.low:.1f}, {pilot.high:.1f}]; {len(result.trained)} of {result.planned} trainings"
    )
