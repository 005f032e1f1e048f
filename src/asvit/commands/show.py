"""Results as tables on a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from asvit.commands.tables import new_table, print_table, say, say_json
from asvit.design.family import Member
from asvit.design.search import SearchRun, Statistic
from asvit.measure.metrics import METRICS
from asvit.measure.words import format_measure, format_usage, how_used
from asvit.networks.architecture import Architecture, Task
from asvit.networks.drawing import legend
from asvit.runs.records import SCHEMA, to_json
from asvit.units import format_size

if TYPE_CHECKING:
    from asvit.measure.job import Measured


def show_measurements(measured: "Measured") -> None:
    """Print a row a network, a column a metric; seconds of all repeats at the end."""
    metrics, measurements = measured.metrics, measured.measurements
    table = new_table()
    table.add_column("network", overflow="fold")
    for metric in metrics:
        table.add_column(METRICS[metric].heading, justify="right")
    table.add_column("seconds", justify="right")
    for measurement, cost in zip(measurements, measured.costs, strict=True):
        if measurement.valid:
            cells = [format_measure(metric, measurement.estimates[metric]) for metric in metrics]
        else:
            cells = ["invalid"] + [""] * (len(metrics) - 1)
        table.add_row(measurement.subject, *cells, f"{sum(c.seconds for c in cost.values()):.1f}")
    for name in measured.refused:
        table.add_row(name, "not measured")
    print_table(table)
    for measurement in measurements:
        if not measurement.valid:
            say(f"{measurement.subject} is invalid: {measurement.invalid}")
    for name, reason in measured.refused.items():
        say(f"{name} is not measured: {reason}")


def show_searches(runs: Sequence[SearchRun], metrics: Sequence[str]) -> None:
    """Print what each search found: the policy's topology and the best ranked measured one."""
    table = new_table("search")
    table.add_column("")
    table.add_column("topology", overflow="fold")
    for metric in metrics:
        table.add_column(METRICS[metric].heading, justify="right")
    for run in runs:
        for title, name in (("most probable", run.most_probable), ("best ranked", run.best_ranked)):
            if name is None:
                table.add_row(title, "no valid topology")
                continue
            measurement = run.measurements[name]
            values = (format_measure(m, measurement.estimates[m]) if measurement.valid else "invalid" for m in metrics)
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


def show_family(members: Sequence[Member], metrics: Sequence[str]) -> None:
    """Print a row a member."""
    table = new_table("family")
    for column, justify in (("budget", "right"), ("architecture", "left"), ("parameters", "right"), ("MACs", "right")):
        table.add_column(column, justify=justify, overflow="fold")  # pyright: ignore[reportArgumentType]
    in_use = () if members[0].usage is None else ("latency", "memory")
    for column in (*in_use, "used"):
        table.add_column(column, justify="right")
    for metric in metrics:
        table.add_column(METRICS[metric].heading, justify="right")
    for member in members:
        measurement = member.measurement
        values = (format_measure(m, measurement.estimates[m]) if measurement.valid else "invalid" for m in metrics)
        sizes = [format_size(member.params), format_size(member.macs), *format_usage(member.usage)]
        table.add_row(str(member.budget), member.architecture, *sizes, f"{member.share:.1%}", *values)
    print_table(table)
    if members[0].usage is not None:
        say(f"latency and memory: {how_used(members[0].usage)}")


def show_architecture(architecture: Architecture, task: Task, *, position_embedding: bool, as_json: bool) -> None:
    """Print an architecture's stages and totals for some images, as a table or as JSON."""
    params = architecture.params(task, position_embedding=position_embedding)
    macs = architecture.macs(task)
    stages = list(architecture.stages(task))
    if as_json:
        record = {
            "schema": SCHEMA,
            "architecture": str(architecture),
            "params": params,
            "macs": macs,
            "image_size": task.image_size,
            "in_chans": task.in_chans,
            "num_classes": task.num_classes,
            "position_embedding": position_embedding,
            "stages": [{**asdict(stage), "tokens": stage.tokens} for stage in stages],
        }
        say_json(to_json(record).decode())
        return
    height, width = task.image_size
    table = new_table(str(architecture))
    table.caption_justify = "left"
    for column in ("stage", "resolution", "tokens", "dim", "depth", "kernel", "window", "heads", "expansion"):
        table.add_column(column, justify="right")
    for number, s in enumerate(stages, start=1):
        sides = f"{s.resolution[0]}x{s.resolution[1]}", f"{s.window[0]}x{s.window[1]}"
        cells = (number, sides[0], s.tokens, s.dim, s.depth, s.kernel, sides[1], s.heads, s.expansion)
        table.add_row(*map(str, cells))
    embedding = "with" if position_embedding else "without"
    table.caption = (
        f"{params:,} parameters ({format_size(params)}, {embedding} position embedding), "
        f"{macs:,} MACs ({format_size(macs)}) at {height}x{width}x{task.in_chans}, {task.num_classes} classes"
    )
    print_table(table)
    written = new_table("what the text form says")
    written.show_header = False
    written.add_column("", justify="right")
    written.add_column("", overflow="fold")
    for field, meaning in legend(architecture):
        written.add_row(field, meaning)
    print_table(written)
