"""Describe an architecture: its stages as a table, its size in closed form. Needs no torch."""

from dataclasses import asdict

from asvit.budget import format_size
from asvit.networks.architecture import Task
from asvit.records import SCHEMA, read_architecture, to_json
from asvit.tables import new_table, print_table


def describe_architecture(text: str, task: Task, *, position_embedding: bool, as_json: bool) -> None:
    """Print the stages and totals of what ``text`` names, for a table reader or as JSON."""
    architecture = read_architecture(text)
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
        print(to_json(record).decode(), end="")
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
