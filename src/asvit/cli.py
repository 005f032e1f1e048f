"""The command line: one sub-command a job. Imports torch only in jobs that compute."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter

from asvit.design.recipes import StartFrom
from asvit.detect_cli import detect
from asvit.errors import UserError, hush
from asvit.export_options import CardOptions, DrawOptions, ExportOptions
from asvit.options import (
    BudgetOptions,
    DeviceOptions,
    GrowthOptions,
    MeasureOptions,
    RecipeName,
    RunOptions,
    ScoreOptions,
    SearchOptions,
    TaskOptions,
    parse_image_size,
)
from asvit.study_cli import study
from asvit.train_options import (
    Averaged,
    ClassifierLoadingOptions,
    ClassifierRunningOptions,
    DataOptions,
    TrainOptions,
    TrainRecipeName,
)

app = App(name="asvit", help="Design Vision Transformers without training them (As-ViT, ICLR 2022).")
app.command(detect)
app.command(study)


@app.command
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
    from asvit.describe import describe_architecture

    describe_architecture(arch, task.task(), position_embedding=position_embedding, as_json=json)


@app.command
def measure(
    *archs: str,
    metrics: Annotated[tuple[str, ...], Parameter(negative=())] = ("length,ntk,params,macs",),
    recipe: RecipeName = "paper",
    task: TaskOptions = TaskOptions(),
    measuring: MeasureOptions = MeasureOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Measure networks at initialisation, with error bars.

    Parameters
    ----------
    archs
        Published names, text forms, files that a job wrote, or timm:NAME for any classifier of timm.
    metrics
        Several with commas: length, ntk, curvature, length_of_curvature; scores of others: gradient_norm, snip,
        synflow, naswot, zico, dss, attention_entropy, token_entropy; counts: params, macs, depth, expansion, kernel.
    recipe
        Repeats, angles and images where they are not given.
    """
    from asvit import jobs

    names = tuple(name.strip() for group in metrics for name in group.split(","))
    jobs.run_measure(archs, names, recipe, task, measuring, run)


@app.command
def search(
    *,
    runs: int = 1,
    recipe: RecipeName = "quick",
    start_from: StartFrom | None = None,
    task: TaskOptions = TaskOptions(),
    measuring: MeasureOptions = MeasureOptions(),
    scoring: ScoreOptions = ScoreOptions(),
    searching: SearchOptions = SearchOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Search a seed topology without training (Algorithm 1).

    Parameters
    ----------
    runs
        Independent searches, with seeds from --seed up, for statistics like the paper's Table 3.
    recipe
        How long to search and how carefully to measure.
    start_from
        Topology to hand on to growth: the policy's most probable (paper), or the measured one with the smallest sum of
        ranks (default: the recipe's).
    """
    from asvit import jobs

    jobs.run_search(runs, recipe, start_from, task, measuring, scoring, searching, run)


@app.command
def grow(
    topology: str,
    /,
    *,
    recipe: RecipeName = "quick",
    budget: BudgetOptions = BudgetOptions(),
    task: TaskOptions = TaskOptions(),
    measuring: MeasureOptions = MeasureOptions(),
    scoring: ScoreOptions = ScoreOptions(),
    growing: GrowthOptions = GrowthOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Grow a topology in depth and width without training (Algorithm 2) and pick a member for every budget.

    Parameters
    ----------
    topology
        Text form such as 8,2,3|4,1,2|4,1,4|4,1,6|32, a published name, or the result file of a search.
    recipe
        How carefully to measure and how far to grow.
    """
    from asvit import jobs

    jobs.run_grow(topology, recipe, budget, task, measuring, scoring, growing, run)


@app.command
def design(
    *,
    recipe: RecipeName = "quick",
    start_from: StartFrom | None = None,
    budget: BudgetOptions = BudgetOptions(),
    task: TaskOptions = TaskOptions(),
    measuring: MeasureOptions = MeasureOptions(),
    scoring: ScoreOptions = ScoreOptions(),
    searching: SearchOptions = SearchOptions(),
    growing: GrowthOptions = GrowthOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Design a family of Vision Transformers: search a topology, grow it, fit a member to every budget.

    Parameters
    ----------
    recipe
        quick: minutes on a laptop. paper: the paper's 500 steps and 5 repeats. smoke: seconds, for tests.
    start_from
        Grow the policy's most probable topology (paper), or the measured one with the smallest sum of ranks (default:
        the recipe's; best-ranked after a short search, whose policy is undecided).
    """
    from asvit import jobs

    jobs.run_design(recipe, start_from, budget, task, measuring, scoring, searching, growing, run)


@app.command
def train(
    arch: str,
    /,
    *,
    data: DataOptions,
    recipe: TrainRecipeName = "imagenet",
    plan: Annotated[bool, Parameter(negative=())] = False,
    training: TrainOptions = TrainOptions(),
    loading: ClassifierLoadingOptions = ClassifierLoadingOptions(),
    running: ClassifierRunningOptions = ClassifierRunningOptions(),
    run: RunOptions = RunOptions(),
) -> None:
    """Train a classifier, with coarse tokens first (Section 4); under torchrun, on many GPUs and machines.

    Parameters
    ----------
    arch
        Published name, text form, file that a job wrote, or timm:NAME.
    recipe
        imagenet: the paper's. imagenette, cifar10: for small sets of photographs. digits: two minutes. smoke: seconds.
    plan
        Print what every stage of the schedule costs and what it saves, and train nothing.
    """
    from asvit import train_jobs

    train_jobs.run_train(arch, recipe, plan, data, training, loading, running, run)


@app.command
def evaluate(
    network: str,
    /,
    *,
    data: DataOptions,
    split: Literal["train", "val"] = "val",
    averaged: Averaged = True,
    batch_size: int = 64,
    image_size: str | None = None,
    loading: ClassifierLoadingOptions = ClassifierLoadingOptions(),
    run: DeviceOptions = DeviceOptions(),
) -> None:
    """Score a trained network: accuracy, loss, calibration, confusion, throughput.

    Parameters
    ----------
    network
        Checkpoint file, run directory of train (its best checkpoint), or timm:NAME with timm's pretrained weights.
    split
        val or train.
    batch_size
        Images at a time.
    image_size
        Other than trained: side in pixels, or height x width.
    """
    from asvit import train_jobs

    size = None if image_size is None else parse_image_size(image_size)
    train_jobs.run_evaluate(network, split, averaged, batch_size, size, data, loading, run)


@app.command
def predict(
    checkpoint: Path,
    /,
    *images: Path,
    top: int = 5,
    averaged: Averaged = True,
    run: DeviceOptions = DeviceOptions(),
) -> None:
    """Print classes and probabilities of images.

    Parameters
    ----------
    checkpoint
        Checkpoint file, or run directory of train (its best checkpoint).
    images
        Image files.
    top
        Classes to print.
    """
    from asvit import train_jobs

    train_jobs.run_predict(checkpoint, images, top, averaged, run)


@app.command
def export(
    network: str,
    /,
    *,
    options: ExportOptions,
    drawing: DrawOptions = DrawOptions(),
    about: CardOptions = CardOptions(),
) -> None:
    """Hand a classifier over to timm, onnxruntime or torch.export, with a model card; every file is checked.

    Parameters
    ----------
    network
        Run directory of train (its best checkpoint), checkpoint file, or an architecture: published name, text form, or
        file that a job wrote.
    """
    from asvit import export_jobs

    export_jobs.run_export(network, options, drawing, about)


@app.command
def report(directory: str, /) -> None:
    """Write the report of a finished run directory anew.

    Parameters
    ----------
    directory
        Run directory of search, grow, design, train, detect train or study.
    """
    from asvit.report import write_report

    print(write_report(Path(directory)))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0, 2 for bad input with one line on stderr, 130 after Ctrl-C, 143 on SIGTERM."""
    signal.signal(signal.SIGTERM, _terminate)
    hush()
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (UserError, CycloptsError) as error:
        fail(" ".join(str(error).split()), 2)
    except KeyboardInterrupt:
        fail("stopped; the same command goes on from what was kept", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)


def fail(message: str, code: int) -> NoReturn:
    """End with one line on stderr."""
    print(f"asvit: {message}", file=sys.stderr)
    sys.exit(code)


def _terminate(signal_number: int, frame: Any) -> NoReturn:
    fail("terminated; the same command goes on from what was kept", 128 + signal_number)
