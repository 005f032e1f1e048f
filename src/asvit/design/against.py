"""Measure a designed family side by side with other networks, as its run did: what `asvit report --against` runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from asvit.complexity.speed import computing_threads, processor_name
from asvit.design.record import DesignReport, read_design
from asvit.design.results import RESULTS
from asvit.design.search import SearchResult
from asvit.errors import UserError
from asvit.measure.compared import SIDE_BY_SIDE, SideBySide
from asvit.measure.job import equipped, prepare
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Measuring, Use
from asvit.measure.side_by_side import Entrant, measure_side_by_side
from asvit.measure.subject import subject_of
from asvit.networks.architecture import Task
from asvit.networks.named import Network, TimmModel, parse_network
from asvit.runs.devices import use_threads
from asvit.runs.job import Finished, Job
from asvit.runs.json_files import converted
from asvit.runs.progress import ProgressDisplay
from asvit.runs.read import Config, RunFile, read_run
from asvit.runs.records import RUN, RunDirectory, alone_in, environment, read_asked, write_record
from asvit.runs.working import recorded_threads
from asvit.units import ValueRange


def run_against(
    directory: Path,
    against: Sequence[tuple[str, Network]],
    metrics: Sequence[str],
    *,
    use: Use,
    images: Path | None,
    job: Job,
) -> Finished[SideBySide]:
    """Measure as the run did, on its device and threads unless others are given, and write the result beside it.

    Args:
        directory: run directory of search, grow or design.
        against: other networks, each with the name that it was asked for by.
        metrics: names of the metrics to measure.
        use: batch size and precision while latency and memory are measured.
        images: folder of images for the kernel, where the run had one.
        job: device and threads, and the command.

    Raises:
        UserError: the run designed nothing, or saw other photographs.
    """
    config, seen = config_of(directory), converted(read_asked(directory), SeenImages, str(directory / RUN))
    report = read_design(directory)
    entrants = [*designed(report), *(Entrant(name, subject_of(network, report.task)) for name, network in against)]
    settings = report.run.config.measure
    measuring = Measuring(
        settings=settings,
        images=images or (None if seen.images is None else Path(seen.images)),
        value_range=seen.value_range,
        work_memory=config.work_memory,
    )
    where = Job(device=config.device if job.device == "auto" else job.device, seed=report.run.config.seed)
    measurer = prepare(measuring, report.task, where, metrics=metrics, use=use)
    if measurer.photographs.digest != config.photographs:
        raise UserError(
            f"the kernel of {directory} saw other images than those in {measuring.images or 'scikit-image'}: give "
            "--images with the folder that its command names, as it was then"
        )
    use_threads(job.threads or recorded_threads(directory))
    with alone_in(directory), ProgressDisplay() as display:
        run = RunDirectory(directory, "report")
        total = measurer.settings.repeats * len(entrants)

        def show(done: int, name: str) -> None:
            display.update("side by side", done, total, count=f"{done} of {total}", facts=name)

        with equipped(run.ledger, [measurer]):
            rows = measure_side_by_side(measurer, entrants, show)
        result = SideBySide(
            task=report.task,
            settings=settings,
            use=use,
            seed=measurer.seed,
            photographs=measurer.photographs.digest,
            environment=place_of(measurer, [network for _, network in against]),
            command=job.command,
            rows=rows,
        )
        write_record(directory / SIDE_BY_SIDE, run.job, result)
    return Finished(run, result)


@dataclass(frozen=True)
class SeenImages:
    """The images that a run's kernel saw, as far as they do not come with a package."""

    images: str | None = None
    """Their folder."""
    value_range: ValueRange | None = None
    """Values of arrays that became 0 and 1; None: as their type says."""


@dataclass(frozen=True)
class MeasuredConfig(Config):
    """Configuration of a job that designs, as far as others are to be measured in the same way."""

    device: str
    work_memory: int | None
    photographs: str
    """Digest of the images that the kernel saw."""
    in_use: Use = field(default_factory=Use)
    """How networks were used while latency or memory was measured."""


def config_of(directory: Path) -> MeasuredConfig:
    """Configuration of the run in a directory.

    Raises:
        UserError: it is of no job that designs.
    """
    job = read_run(directory, RunFile).job
    if job not in RESULTS:
        raise UserError(
            f"{directory} is of the job {job!r}, which designs nothing: expected one of {', '.join(RESULTS)}"
        )
    return converted(read_asked(directory)["config"], MeasuredConfig, str(directory / RUN))


def use_in(directory: Path) -> Use:
    """How networks were used in a run that measured latency or memory; the defaults in another."""
    return config_of(directory).in_use


def designed(report: DesignReport) -> list[Entrant]:
    """Networks of a run: the members of its family, or the topology that a search found."""
    task: Task = report.task
    if isinstance(report.result, SearchResult):
        architecture = report.result.architecture
        return [Entrant(architecture, subject_of(parse_network(architecture), task), "a seed topology")]
    return [
        Entrant(member.architecture, subject_of(parse_network(member.architecture), task), str(member.budget))
        for member in report.result.family
    ]


def place_of(measurer: Measurer, against: Sequence[Network]) -> dict[str, str | int | None]:
    """Versions and hardware that the measurements depend on."""
    place = environment(device=processor_name(measurer.device), threads=computing_threads(measurer.device))
    with_timm = any(isinstance(network, TimmModel) for network in against)
    return place | ({"timm": version("timm")} if with_timm else {})
