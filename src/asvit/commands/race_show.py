"""What a race found: a table on a terminal, and the verdict."""

from asvit.commands.tables import new_table, print_table, say
from asvit.measure.words import format_usage
from asvit.study.race.results import RaceResult, last_round
from asvit.study.race.verdict import sentences
from asvit.units import format_size


def show_race(result: RaceResult) -> None:
    """Print a row a runner, the winner first, and what follows."""
    table = new_table(f"a race for {result.budget}, {result.seconds / 60:.0f} of {result.minutes:g} min")
    table.add_column("network", overflow="fold")
    table.add_column("chosen")
    for header in ("parameters", "MACs", "latency", "round", "top-1 (%)"):
        table.add_column(header, justify="right")
    for ran in result.runners:
        latency, *_ = [*format_usage(ran.runner.usage), "–"]
        table.add_row(
            ran.runner.network,
            ran.runner.way,
            *map(format_size, (ran.runner.params, ran.runner.macs)),
            latency,
            f"{last_round(ran, result.rounds)} of {len(result.rounds)}",
            f"{100 * ran.top1:.1f}",
        )
    print_table(table)
    say(" ".join(sentences(result)))
