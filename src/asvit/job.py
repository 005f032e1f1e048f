"""What every job does before and around its work: device, threads, images, run directory, words to the user."""

import json
import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from asvit.budget import parse_memory
from asvit.complexity.speed import computing_threads
from asvit.errors import UserError
from asvit.measure.ledger import Ledger
from asvit.measure.measurer import Measurer
from asvit.measure.meter import UsageMeter
from asvit.measure.metrics import parse_metrics
from asvit.measure.photos import BuiltIn, Folder
from asvit.measure.settings import Carefulness, Use
from asvit.measure.subject import TIMM, Subject, parse_subject
from asvit.measure.work import device_name
from asvit.networks.architecture import Task
from asvit.networks.callables import names_callable
from asvit.networks.space import BASE_STRIDE, LEAST_WINDOW, STAGES
from asvit.options import MeasureOptions, RunOptions, UseOptions
from asvit.records import (
    Json,
    RunDirectory,
    default_path,
    environment,
    open_run,
    read_architecture,
    recorded,
    without_password,
)

DEVICES = "auto, cpu, cuda, cuda:i or mps"


def prepare(
    recipe: Carefulness,
    task: Task,
    measuring: MeasureOptions,
    run: RunOptions,
    *,
    metrics: Sequence[str] = ("length", "ntk"),
    use: Use = Use(),
) -> Measurer:
    """Choose the device and read the images that the kernel will see, before anything is written."""
    measurer = Measurer(
        measuring.settings(recipe),
        task,
        metrics=metrics,
        seed=run.seed,
        photographs=BuiltIn() if measuring.images is None else Folder(measuring.images),
        device=choose_device(run.device),
        work_memory=None if measuring.work_memory is None else parse_memory(measuring.work_memory),
        use=use,
    )
    _ = measurer.draws  # refuses unreadable images now
    return measurer


def choose_device(name: str) -> torch.device:
    """Device of a name; ``auto`` is the first CUDA GPU where there is one, else the CPU: mps has to be asked for."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"unknown device {name!r}: expected {DEVICES}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"there is no device {name}: this machine has {torch.cuda.device_count()} CUDA devices, try cpu"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("there is no device mps: expected a Mac with Apple's GPU and a torch built for it; try cpu")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"cannot compute on {name}: expected {DEVICES}")
    return device


def subject_named(text: str, task: Task) -> Subject:
    """What an argument of `measure` names."""
    named = text.startswith(TIMM) or names_callable(text)
    return parse_subject(text if named else str(read_architecture(text)), task)


def split_names(groups: Sequence[str]) -> tuple[str, ...]:
    """Names out of options with several each.

    >>> split_names(["length,ntk", "params"])
    ('length', 'ntk', 'params')
    """
    return tuple(name.strip() for group in groups for name in group.split(","))


def use_for(metrics: Sequence[str], options: UseOptions, default: Use = Use()) -> Use:
    """How networks are used; refused where no metric of the network in use is asked for.

    >>> use_for(["latency"], UseOptions(batch_size=8))
    Use(batch_size=8, precision='float32')
    >>> use_for(["latency"], UseOptions(batch_size=4), default=Use(batch_size=8, precision="bfloat16"))
    Use(batch_size=4, precision='bfloat16')
    """
    given = [name for name, value in vars(options).items() if value is not None]
    if given and not any(metric.in_use for metric in parse_metrics(metrics)):
        raise UserError(
            f"--{min(given).replace('_', '-')} says how latency, throughput and memory are measured, and no one asked "
            "for them: add one of them to --metrics"
        )
    return options.use(default)


@contextmanager
def working_in(
    job: str, recipe_name: str, config: Json, run: RunOptions, device: torch.device
) -> Iterator[RunDirectory]:
    """Work alone in a job's run directory, on as many threads as the run that is continued."""
    config = json.loads(json.dumps(config))
    path = run.out or default_path(job, recipe_name, config)
    use_threads(run.threads or recorded_threads(path))
    around = environment(device=device_name(device), threads=computing_threads(device))
    with open_run(path, job, config, around, repeat_command()) as directory:
        tell(f"run directory: {path}")
        yield directory


@contextmanager
def working(
    job: str,
    recipe_name: str,
    config: Json,
    run: RunOptions,
    measurers: Sequence[Measurer],
    meters: Sequence[UsageMeter] = (),
) -> Iterator[RunDirectory]:
    """Work in the job's run directory, with its ledger behind the measurers and meters."""
    with working_in(job, recipe_name, config, run, measurers[0].device) as directory:
        in_chans = measurers[0].task.in_chans
        if isinstance(measurers[0].photographs, BuiltIn) and in_chans != 3:
            tell(f"the built-in photographs have three channels: their grey values are repeated over {in_chans}")
        ledger = Ledger(directory.ledger)
        for one in (*measurers, *meters):
            one.remember_in(ledger)
        try:
            yield directory
        finally:
            ledger.close()


def use_threads(threads: int | None) -> None:
    """Compute with some threads on the CPU; None: with as many as torch chooses."""
    if threads is not None:
        torch.set_num_threads(threads)


def recorded_threads(path: Path) -> int | None:
    """Threads of the run that began in a folder: with as many, a CPU gives the same bits again."""
    earlier = recorded(path)
    return None if earlier is None else earlier["environment"]["threads"]


def repeat_command(*, recipe: str | None = None) -> str:
    """The command that is running, or the same with another recipe; without --json, which changes no result."""
    words = [without_password(word) for word in sys.argv[1:] if word != "--json"]
    if recipe is not None:
        words = [*without_option(without_option(words, "--recipe"), "--out"), "--recipe", recipe]
    return shlex.join(["asvit", *words])


def without_option(words: Sequence[str], option: str) -> list[str]:
    """A command without an option and its value.

    >>> without_option(["design", "--out", "run", "--seed=1"], "--out"), without_option(["--seed=1"], "--seed")
    (['design', '--seed=1'], [])
    """
    kept, skip = [], False
    for word in words:
        if not skip and word != option and not word.startswith(f"{option}="):
            kept.append(word)
        skip = word == option
    return kept


def tell(message: str) -> None:
    """One line to the user, on stderr."""
    print(message, file=sys.stderr, flush=True)


def say_few_tokens(task: Task, base_stride: int) -> None:
    """A word on it where the paper's stride leaves few tokens of small images."""
    tokens = min(task.image_size) / (2 ** (STAGES - 1) * base_stride)
    if base_stride == BASE_STRIDE and tokens < LEAST_WINDOW:
        height, width = task.image_size
        tell(
            f"at {height}x{width} a base stride of {base_stride} leaves the last stage {math.ceil(tokens)} tokens a "
            "side: --base-stride 1 or 2 leaves more"
        )
