"""Results as tables on a terminal."""

import math
from collections.abc import Mapping, Sequence

from asvit.budget import format_cost, format_size
from asvit.complexity.speed import Usage
from asvit.design.family import Member
from asvit.design.search import SearchRun, Statistic
from asvit.measure.ledger import Cost
from asvit.measure.measurer import Estimate, Measurement
from asvit.measure.metrics import METRICS
from asvit.tables import new_table, print_table


def format_estimate(estimate: Estimate) -> str:
    """Mean and standard error, both to the error's second digit; three digits where there is no error.

    >>> format_estimate(Estimate.of([1.0, 3.0])), format_estimate(Estimate.of([0.12345]))
    ('2.0 ± 1.0', '0.123')
    >>> format_estimate(Estimate.of([3379.3, 1127.6])), format_estimate(Estimate.of([3e20, 1e20]))
    ('2300 ± 1100', '2e+20 ± 1e+20')
    """
    mean, error = estimate.mean, estimate.standard_error
    if not error:
        return f"{mean:.3g}"
    if abs(mean) >= 1e7:
        return f"{mean:.3g} ± {error:.2g}"
    digits = 1 - math.floor(math.log10(error))
    return f"{round(mean, digits):.{max(digits, 0)}f} ± {round(error, digits):.{max(digits, 0)}f}"


def format_measure(metric: str, estimate: Estimate) -> str:
    """A measure's estimate; counts as sizes.

    >>> format_measure("params", Estimate.of([2327816.0])), format_measure("ntk", Estimate.of([0.12345]))
    ('2.33M', '0.123')
    >>> format_measure("memory", Estimate.of([123456789.0]))
    '123.46MB'
    """
    shown = METRICS[metric]
    return format_size(round(estimate.mean)) + shown.unit if shown.counted else format_estimate(estimate)


def in_per_cent(share: Estimate | None) -> str:
    """A share, such as an accuracy.

    >>> in_per_cent(Estimate.of([0.5, 0.75])), in_per_cent(Estimate.of([0.48])), in_per_cent(None)
    ('62 ± 12', '48.00', '–')
    """
    if share is None:
        return "–"
    found = Estimate.of([100 * value for value in share.values])
    return f"{found.mean:.2f}" if not found.standard_error else format_estimate(found)


def or_dash(value: object, form: str = "") -> str:
    """What there is, or a dash.

    >>> or_dash(0.123, ".1%"), or_dash(None)
    ('12.3%', '–')
    """
    return "–" if value is None else format(value, form)


def show_measurements(
    measurements: Sequence[Measurement], costs: Sequence[Mapping[str, Cost]], metrics: Sequence[str]
) -> None:
    """Print a row a network, a column a metric; seconds of all repeats at the end."""
    table = new_table()
    table.add_column("network", overflow="fold")
    for metric in metrics:
        table.add_column(METRICS[metric].symbol, justify="right")
    table.add_column("seconds", justify="right")
    for measurement, cost in zip(measurements, costs, strict=True):
        if measurement.valid:
            cells = [format_measure(metric, measurement.estimates[metric]) for metric in metrics]
        else:
            cells = ["invalid"] + [""] * (len(metrics) - 1)
        table.add_row(measurement.subject, *cells, f"{sum(c.seconds for c in cost.values()):.1f}")
    print_table(table)
    for measurement in measurements:
        if not measurement.valid:
            print(f"{measurement.subject} is invalid: {measurement.invalid}")


def show_searches(runs: Sequence[SearchRun], metrics: Sequence[str]) -> None:
    """Print what each search found: the policy's topology and the best ranked measured one."""
    table = new_table("search")
    table.add_column("")
    table.add_column("topology", overflow="fold")
    for metric in metrics:
        table.add_column(METRICS[metric].symbol, justify="right")
    for run in runs:
        for title, name in (("most probable", run.most_probable), ("best ranked", run.best_ranked)):
            if name is None:
                table.add_row(title, "no valid topology")
                continue
            found = run.measurements[name]
            values = (format_measure(m, found.estimates[m]) if found.valid else "invalid" for m in metrics)
            table.add_row(title, name, *values)
        table.add_section()
    print_table(table)


def show_statistics(statistics: Mapping[str, Statistic]) -> None:
    """Print Table 3: mean and normalised standard deviation of each choice over the searches' topologies."""
    table = new_table("most probable topologies")
    for column in ("choice", "mean", "std / mean"):
        table.add_column(column, justify="right")
    for name, statistic in statistics.items():
        table.add_row(name, f"{statistic.mean:.1f}", f"{statistic.relative_std:.1f}")
    print_table(table)


def format_usage(usage: Usage | None) -> list[str]:
    """Latency with its spread, and memory; nothing where they were not measured.

    >>> format_usage(Usage(0.0078, 0.00021, 2 * 10**8, 1, "float32", "laptop", 2)), format_usage(None)
    (['7.80 ± 0.21 ms', '200MB'], [])
    """
    if usage is None:
        return []
    digits = max(0, 2 - math.floor(math.log10(1000 * usage.latency)))
    latency = f"{1000 * usage.latency:.{digits}f} ± {1000 * usage.spread:.{digits}f} ms"
    return [latency, format_cost("memory", usage.memory)]


def how_used(usage: Usage) -> str:
    """Batch, precision and device that latency and memory hold for.

    >>> how_used(Usage(0.0078, 0.00021, 2 * 10**8, 1, "float32", "laptop", 2))
    '1 image at a time, float32, laptop, 2 threads'
    """
    threads = "" if usage.threads is None else f", {usage.threads} thread{'s' * (usage.threads != 1)}"
    images = f"{usage.batch_size} image{'s' * (usage.batch_size != 1)}"
    return f"{images} at a time, {usage.precision}, {usage.device}{threads}"


def show_family(members: Sequence[Member], metrics: Sequence[str]) -> None:
    """Print a row a member."""
    table = new_table("family")
    for column, justify in (("budget", "right"), ("architecture", "left"), ("parameters", "right"), ("MACs", "right")):
        table.add_column(column, justify=justify, overflow="fold")  # pyright: ignore[reportArgumentType]
    in_use = () if members[0].usage is None else ("latency", "memory")
    for column in (*in_use, "used"):
        table.add_column(column, justify="right")
    for metric in metrics:
        table.add_column(METRICS[metric].symbol, justify="right")
    for member in members:
        found = member.measurement
        values = (format_measure(m, found.estimates[m]) if found.valid else "invalid" for m in metrics)
        sizes = [format_size(member.params), format_size(member.macs), *format_usage(member.usage)]
        table.add_row(str(member.budget), member.architecture, *sizes, f"{member.share:.1%}", *values)
    print_table(table)
    if members[0].usage is not None:
        print(f"latency and memory: {how_used(members[0].usage)}")
