"""Measure networks, one after the other, into a run directory: what `asvit measure` runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from asvit.errors import NotAdmitted, UserError
from asvit.measure.estimates import Measurement
from asvit.measure.ledger import Cost, Ledger
from asvit.measure.measurer import Measurer
from asvit.measure.meter import UsageMeter
from asvit.measure.photos import BuiltIn, Folder, classes_in
from asvit.measure.probe import ALIKE
from asvit.measure.settings import Measuring, Settings, Use
from asvit.measure.subject import Subject, subject_of
from asvit.measure.work import processes_within
from asvit.networks.architecture import Task
from asvit.networks.named import Network
from asvit.runs.devices import choose_device
from asvit.runs.job import Finished, Job
from asvit.runs.pool import Pool
from asvit.runs.progress import ProgressDisplay, tell
from asvit.runs.records import Json, RunDirectory
from asvit.runs.working import working_in
from asvit.units import count


@dataclass(frozen=True)
class Measured:
    """Result of `asvit measure`: the configuration, and measurements and costs of every network."""

    config: Json
    metrics: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    costs: tuple[Mapping[str, Cost], ...]
    """Time and work that each network's repeats took, by metric."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Networks that could not be measured, by name, with the reason."""


def run_measure(
    networks: Sequence[Network],
    metrics: Sequence[str],
    *,
    recipe: str,
    task: Task,
    measuring: Measuring,
    use: Use = Use(),
    job: Job = Job(),
) -> Finished[Measured]:
    """Measure some networks by the same draws.

    Args:
        networks: one or more.
        metrics: names out of :data:`~asvit.measure.metrics.METRICS`.
        recipe: name of the recipe, for the records.
        task: images and classes.
        measuring: settings of the measures, images for the kernel, and memory.
        use: batch size and precision of the network in use, where a metric asks for it.
        job: device, run directory and random seed.

    A network that cannot be measured does not keep the others from it: the result says why it could not.

    Raises:
        UserError: there is no network, none of them can be measured, or an image cannot be read.
    """
    if not networks:
        raise UserError("no architecture to measure: expected one or more, such as `asvit measure small timm:resnet18`")
    subjects = [subject_of(network, task) for network in networks]
    measurer = prepare(measuring, task, job, metrics=metrics, use=use)
    refused = refusals(subjects, measurer.settings)
    keys = [subject.name if subject.name in refused else subject.key for subject in subjects]
    config = measure_config(recipe, measurer) | {"metrics": list(metrics), "subjects": keys}
    if any(metric.in_use for metric in measurer.metrics):
        config |= {"use": asdict(use)}
    with working("measure", config, job, [measurer]) as directory, ProgressDisplay() as display:
        measured: list[Subject] = []
        measurements: list[Measurement] = []
        measurer.begin(subject for subject in subjects if subject.name not in refused)
        for done, subject in enumerate(subjects, start=1):
            if subject.name not in refused:
                try:
                    measurements.append(measurer(subject))
                    measured.append(subject)
                except NotAdmitted as error:
                    refused[subject.name] = str(error)
            display.update("measure", done, len(subjects), count=f"{done} of {len(subjects)}", facts=subject.name)
        refuse_all(refused, len(measured))
        directory.write_result({"measurements": measurements, "refused": refused})
        costs = tuple(measurer.costs(subject) for subject in measured)
    return Finished(directory, Measured(config, tuple(metrics), tuple(measurements), costs, refused))


def refusals(subjects: Sequence[Subject], settings: Settings) -> dict[str, str]:
    """Networks that cannot be measured, by name, with the reason.

    Raises:
        UserError: none of them can be.
    """
    refused = {}
    for subject in subjects:
        try:
            subject.check(settings.initialisation)
        except NotAdmitted as error:
            refused[subject.name] = str(error)
    refuse_all(refused, len(subjects) - len(refused))
    return refused


def refuse_all(refused: Mapping[str, str], others: int) -> None:
    """Refuse a job of which no network is left."""
    if refused and not others:
        name, reason = next(iter(refused.items()))
        raise NotAdmitted(reason if len(refused) == 1 else f"none can be measured; the first, {name}: {reason}")


def prepare(
    measuring: Measuring,
    task: Task,
    job: Job,
    *,
    metrics: Sequence[str] = ("length", "ntk"),
    seed: int | None = None,
    use: Use = Use(),
) -> Measurer:
    """A measurer on the job's device, with the images that the kernel will see, before anything is written.

    Args:
        measuring: settings of the measures, images for the kernel, and memory.
        task: images and classes.
        job: device and random seed.
        metrics: names of the metrics to measure.
        seed: random seed in place of the job's.
        use: batch size and precision of the network in use.
    """
    measurer = Measurer(
        measuring.settings,
        task,
        metrics=metrics,
        seed=job.seed if seed is None else seed,
        photographs=photographs_in(measuring, task),
        device=choose_device(job.device),
        work_memory=measuring.work_memory,
        use=use,
    )
    refuse_alike(measurer)
    return measurer


NEED_DIFFERENT = {"ntk", "naswot"}
"""Metrics that are invalid for every network where two images are equal: their kernels are singular."""


def refuse_alike(measurer: Measurer) -> None:
    """Refuse images that make every network invalid, before any is measured, and such as cannot be read.

    Raises:
        UserError: two images of a draw are equal, and a metric needs different ones.
    """
    draws = measurer.draws  # which reads them
    if NEED_DIFFERENT.isdisjoint(metric.name for metric in measurer.metrics):
        return
    for draw in draws:
        if (pair := draw.alike) is None:
            continue
        first, second = pair
        if (draw.images - draw.images[:1]).abs().max() <= ALIKE:
            found = f"all images that the kernel sees are alike, such as {first} and {second}"
        else:
            found = f"two of the images that the kernel sees are equal, {first} and {second}"
        raise UserError(
            f"{found}: of them every network's kernel is singular; expected different images, take out one of each "
            "two, or choose another folder for --images"
        )


def photographs_in(measuring: Measuring, task: Task) -> BuiltIn | Folder:
    """Images that the kernel sees: of a folder, or the photographs that come with scikit-image.

    Raises:
        UserError: they do not have the channels of the task.
    """
    if measuring.images is None:
        return BuiltIn()
    folder = Folder(measuring.images, measuring.value_range)
    for remark in folder.contents(task.in_chans).remarks:
        tell(remark)
    return folder


def task_of(given: Mapping[str, Any], measuring: Measuring, *, stored: Task | None, default: Task) -> Task:
    """Images and classes that networks are for.

    Args:
        given: fields of a task that were asked for.
        measuring: names the folder whose images say how many channels they have and, where it is a training set, how
            many classes.
        stored: what a file that names the network was written for; None: there is none.
        default: the rest.

    >>> task_of({"in_chans": 1}, Measuring(), stored=None, default=Task(num_classes=10))
    Task(image_size=(224, 224), in_chans=1, num_classes=10)
    """
    if stored is not None or measuring.images is None:
        return replace(stored or default, **given)
    folder = Folder(measuring.images, measuring.value_range)
    found = {"in_chans": folder.contents(given.get("in_chans")).channels, "num_classes": classes_in(measuring.images)}
    read_off = {name: value for name, value in found.items() if value is not None and name not in given}
    nouns = {"in_chans": "channel", "num_classes": "class"}
    news = [count(value, nouns[name]) for name, value in read_off.items() if value != getattr(default, name)]
    if news:
        tell(f"read off {measuring.images}: {', '.join(news)}")
    return replace(default, **read_off, **given)


@contextmanager
def working(
    name: str,
    config: Json,
    job: Job,
    measurers: Sequence[Measurer],
    meters: Sequence[UsageMeter] = (),
    *,
    data: str | None = None,
    processes: int | None = None,
) -> Iterator[RunDirectory]:
    """Work in the job's run directory, with its ledger behind the measurers and meters, and processes side by side.

    Args:
        name: name of the command.
        config: all that was asked.
        job: run directory, threads and command.
        measurers: what measures networks.
        meters: what measures them in use.
        data: where images are that the job trains on.
        processes: processes of one thread that measure on a CPU; None: as many as torch has threads.
    """
    photographs = measurers[0].photographs
    seen = {"images": str(photographs.path), "value_range": photographs.value_range} if photographs.path else {}
    beside = {key: place for key, place in {**seen, "data": data}.items() if place is not None}
    with working_in(name, config, job, measurers[0].device, beside=beside) as directory:
        in_chans = measurers[0].task.in_chans
        if isinstance(photographs, Folder):
            tell(photographs.summary)
        if isinstance(photographs, BuiltIn) and in_chans != 3:
            tell(f"the built-in photographs have three channels: their grey values are repeated over {in_chans}")
        with equipped(directory.ledger, measurers, meters, processes=processes):
            yield directory


@contextmanager
def equipped(
    ledger: Path, measurers: Sequence[Measurer], meters: Sequence[UsageMeter] = (), *, processes: int | None = None
) -> Iterator[None]:
    """Measure with a ledger in a file and, on a CPU, with processes side by side; whatever happens, both are closed.

    Args:
        ledger: path of the file.
        measurers: what measures networks, on one device.
        meters: what measures them in use.
        processes: processes of one thread; None: as many as torch has threads.
    """
    kept, pool = Ledger(ledger), pool_for(measurers[0], processes)
    try:
        for instrument in (*measurers, *meters):
            instrument.remember_in(kept)
        for measurer in measurers:
            measurer.work_with(pool)
        yield
    finally:
        for measurer in measurers:
            measurer.work_with(None)
        if pool is not None:
            pool.close()
        kept.close()


NEEDED = ("asvit.measure.measurer", "asvit.networks.model", "skimage", "torch.fx.experimental.symbolic_shapes")
"""Modules that a process needs to measure; torch loads the last one, and sympy with it, when it draws a network."""


def pool_for(measurer: Measurer, processes: int | None = None) -> Pool | None:
    """Processes that measure side by side, within the memory asked for; None on a GPU, and where one would do.

    Args:
        measurer: what measures.
        processes: processes of one thread; None: as many as torch has threads.
    """
    if measurer.device.type != "cpu":
        return None
    within = processes_within(measurer.asked_memory, processes or torch.get_num_threads())
    return Pool(within, modules=NEEDED) if within > 1 else None


def measure_config(recipe: str, measurer: Measurer) -> Json:
    """Everything that measurements depend on, for ``run.json``."""
    return {
        "recipe": recipe,
        "task": asdict(measurer.task),
        "seed": measurer.seed,
        "measure": asdict(measurer.settings),
        "photographs": measurer.photographs.digest,
        "device": str(measurer.device),
        "work_memory": measurer.asked_memory if measurer.device.type == "cpu" else measurer.work_memory,
    }
