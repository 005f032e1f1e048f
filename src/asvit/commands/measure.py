"""The commands that describe, measure and compare networks. Imports torch only in jobs that compute."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asvit.commands.hand_over import print_record
from asvit.commands.options import (
    ComputerOptions,
    DesignTaskOptions,
    MeasureOwnOptions,
    RecipeName,
    RunOptions,
    SideBySideOptions,
    TaskOptions,
    UseOptions,
    split_names,
)
from asvit.commands.show import show_architecture, show_measurements
from asvit.commands.tables import say
from asvit.design.recipes import RECIPES
from asvit.errors import UserError, from_plain_install
from asvit.networks.architecture import Task
from asvit.networks.named import read_architecture, read_network, read_task

COMPARED = ("params", "macs", "latency", "throughput", "memory", "length", "ntk")
"""Columns of networks side by side where none are asked for."""


def describe(
    arch: str,
    /,
    *,
    position_embedding: Annotated[bool, Parameter(negative="--no-position-embedding")] = True,
    json: Annotated[bool, Parameter(negative=())] = False,
    task: TaskOptions = TaskOptions(),
) -> None:
    """Print an architecture's stages and its exact size.

    Parameters
    ----------
    arch
        Published name (seed, small, base, large), text form, or file that a job wrote.
    position_embedding
        Count the learned position embedding.
    json
        Print a JSON record on stdout and nothing else.
    """
    images = task.over(read_task(arch) or Task())
    show_architecture(read_architecture(arch), images, position_embedding=position_embedding, as_json=json)


def measure(
    *archs: str,
    metrics: Annotated[tuple[str, ...], Parameter(negative=())] = ("length,ntk,params,macs",),
    recipe: RecipeName = "paper",
    task: DesignTaskOptions = DesignTaskOptions(),
    measuring: MeasureOwnOptions = MeasureOwnOptions(),
    using: UseOptions = UseOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Measure networks at initialisation, and what they cost in use, with error bars.

    Parameters
    ----------
    archs
        Published names, text forms, files that a job wrote, timm:NAME for any classifier of timm, or
        package.module:callable for a function of your own (the current folder is importable) that returns a network. It
        is called with those of num_classes, in_chans, img_size and image_size (pixels of a side, or (height, width))
        that its signature names.
    metrics
        Several with commas: length, length_with_norms, ntk, curvature, length_of_curvature; scores of others:
        gradient_norm, snip, synflow, naswot, zico, dss, attention_entropy, token_entropy, layer_entropy; counts:
        params, macs, depth, width, expansion, kernel; of the network in use on this device: latency, throughput,
        memory.
    recipe
        Recipe whose repeats, angles and images are taken where they are not given.
    """
    chosen, names, use = RECIPES[recipe], split_names(metrics), using.use_for(split_names(metrics))
    networks, stored = [read_network(text) for text in archs], stored_task(archs, task)
    how = measuring.own(chosen, names)

    from asvit.measure.job import run_measure, task_of

    with redirect_stdout(sys.stderr):  # for what functions of users print
        finished = run_measure(
            networks,
            names,
            recipe=recipe,
            task=task_of(task.given, how, stored=stored, default=chosen.task),
            measuring=how,
            use=use,
            job=run.job,
        )
    measured = finished.result
    if not run.json:
        show_measurements(measured)
        return
    rows = [
        asdict(measurement)
        | {
            "seconds": {name: c.seconds for name, c in cost.items()},
            "work": {name: c.work for name, c in cost.items()},
        }
        for measurement, cost in zip(measured.measurements, measured.costs, strict=True)
    ]
    print_record("measure", {"config": measured.config, "measurements": rows, "refused": measured.refused})


def stored_task(archs: Sequence[str], task: TaskOptions) -> Task | None:
    """What the files among some networks were written for; None where there is none.

    Raises:
        UserError: they were written for different images or classes, and the options do not say which to take.
    """
    stored = list(dict.fromkeys(task.over(found) for text in archs if (found := read_task(text)) is not None))
    if len(stored) > 1:
        raise UserError(
            f"the files were written for {stored[0]}, and for {stored[1]}: say what to measure for, --image-size, "
            "--in-chans and --num-classes"
        )
    return stored[0] if stored else None


def report(
    directory: Path,
    /,
    *,
    beside: SideBySideOptions = SideBySideOptions(),
    using: UseOptions = UseOptions(),
    run: ComputerOptions = ComputerOptions(),
) -> None:
    """Write the report of a finished run directory anew; with --against, beside other networks.

    Parameters
    ----------
    directory
        Run directory of search, grow, design, train, detect train or study.
    """
    with from_plain_install():
        from asvit.report import write_report, write_side_by_side
    result = None
    if beside.against:
        from asvit.design.against import run_against, use_in

        metrics = split_names(beside.metrics) or COMPARED
        with redirect_stdout(sys.stderr):
            result = run_against(
                directory,
                [(name, read_network(name)) for name in dict.fromkeys(beside.against)],
                metrics,
                use=using.use_for(metrics, default=use_in(directory)),
                images=beside.images,
                job=run.job,
            ).result
    elif (beside, using, run) != (SideBySideOptions(), UseOptions(), ComputerOptions()):
        raise UserError("options of a report say how networks are measured --against: expected some networks after it")
    pages = write_report(directory), write_side_by_side(directory)
    if run.json:
        print_record("report", result)
    else:
        for page in filter(None, pages):
            say(str(page))
