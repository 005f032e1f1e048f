"""The job behind `asvit report --against`: measures a designed family beside other networks, and draws the page."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import msgspec

from asvit.complexity.speed import computing_threads, processor_name
from asvit.design.results import RESULTS
from asvit.design.search import SearchResult
from asvit.errors import UserError
from asvit.job import prepare, recorded_threads, repeat_command, split_names, subject_named, use_for, use_threads
from asvit.measure.ledger import Ledger
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Carefulness, Use
from asvit.measure.side_by_side import SIDE_BY_SIDE, Entrant, SideBySide, measure_side_by_side
from asvit.measure.subject import TIMM, parse_subject
from asvit.networks.architecture import Task
from asvit.options import DeviceOptions, MeasureOptions, RunOptions, SideBySideOptions, UseOptions
from asvit.progress import ProgressDisplay
from asvit.records import LEDGER, RUN, SCHEMA, alone_in, environment, read_file, to_json, write_record
from asvit.report import write_report, write_side_by_side
from asvit.report.design.record import DesignReport, read_design
from asvit.report.read import RunFile, read_run

METRICS = ("params", "macs", "latency", "throughput", "memory", "length", "ntk")
"""Columns where none are asked for."""


def run_against(directory: Path, beside: SideBySideOptions, using: UseOptions, run: DeviceOptions) -> None:
    """`asvit report --against`: measures as the run did, on its device and threads unless others are given."""
    job = read_run(directory, RunFile).job
    if job not in RESULTS:
        raise UserError(
            f"{directory} is of the job {job!r}, which designs nothing: expected one of {', '.join(RESULTS)}"
        )
    report = read_design(directory)
    metrics = split_names(beside.metrics) or METRICS
    config = read_file(directory / RUN)["config"]
    use = use_for(metrics, using, default=Use(**config.get("in_use", {})))
    asked = [Entrant(name, subject_named(name, report.task)) for name in dict.fromkeys(beside.against)]
    entrants = [*designed(report), *asked]
    settings = report.run.config.measure
    for entrant in asked:
        entrant.subject.check(settings.initialisation)
    measurer = prepare(
        Carefulness(repeats=settings.repeats, angles=settings.angles, kernel_images=settings.kernel_images),
        report.task,
        MeasureOptions(**asdict(settings), images=beside.images, work_memory=str(config["work_memory"])),
        RunOptions(device=config["device"] if run.device == "auto" else run.device, seed=report.run.config.seed),
        metrics=metrics,
        use=use,
    )
    if measurer.photographs.digest != config["photographs"]:
        raise UserError(
            f"the kernel of {directory} saw other photographs: give --images with the folder of the run's command"
        )
    use_threads(run.threads or recorded_threads(directory))
    with alone_in(directory), ProgressDisplay() as display:
        ledger = Ledger(directory / LEDGER)
        measurer.remember_in(ledger)
        total = measurer.settings.repeats * len(entrants)

        def show(done: int, name: str) -> None:
            display.update("side by side", done, total, count=f"{done} of {total}", facts=name)

        rows = measure_side_by_side(measurer, entrants, show)
        ledger.close()
    result = SideBySide(
        task=report.task,
        settings=settings,
        use=use,
        seed=measurer.seed,
        photographs=measurer.photographs.digest,
        environment=place_of(measurer, asked),
        command=repeat_command(),
        rows=rows,
    )
    write_record(directory / SIDE_BY_SIDE, "report", result)
    pages = write_report(directory), write_side_by_side(directory)
    if run.json:
        print(to_json({"schema": SCHEMA, "job": "report", **msgspec.to_builtins(result)}).decode(), end="")
    else:
        print(*pages, sep="\n")


def designed(report: DesignReport) -> list[Entrant]:
    """The family, or what a search found."""
    task: Task = report.task
    if isinstance(report.result, SearchResult):
        found = report.result.architecture
        return [Entrant(found, parse_subject(found, task), "a seed topology")]
    return [
        Entrant(member.architecture, parse_subject(member.architecture, task), str(member.budget))
        for member in report.result.family
    ]


def place_of(measurer: Measurer, asked: Sequence[Entrant]) -> dict[str, str | int | None]:
    """Versions and hardware that the measurements depend on."""
    place = environment(device=processor_name(measurer.device), threads=computing_threads(measurer.device))
    with_timm = any(entrant.subject.name.startswith(TIMM) for entrant in asked)
    return place | ({"timm": version("timm")} if with_timm else {})
