"""The command line: one sub-command a job. Imports torch only in jobs that compute."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Parameter

from asvit.design.recipes import StartFrom
from asvit.detect_cli import detect
from asvit.errors import UserError, hush
from asvit.extras import from_plain_install
from asvit.help import InParagraphs, complaint, examples, shown_default
from asvit.networks.architecture import Task
from asvit.options import (
    BudgetOptions,
    DeviceOptions,
    GrowthOptions,
    MeasureOptions,
    RecipeName,
    RunOptions,
    ScoreOptions,
    SearchOptions,
    SideBySideOptions,
    TaskOptions,
    UseOptions,
    joined_image_size,
)
from asvit.study_cli import study
from asvit.train_cli import evaluate, export, predict, train
from asvit.welcome import show_welcome

app = App(
    name="asvit",
    help="Design Vision Transformers without training them (As-ViT, ICLR 2022).",
    help_format="plaintext",
    help_formatter=InParagraphs(),
    help_epilogue=examples("asvit design --params 3M", "asvit design --help"),
    default_parameter=Parameter(show_default=shown_default),
)
app.command(detect)
app.command(study)


@app.command(
    help_epilogue=examples(
        "asvit describe small",
        'asvit describe "8,2,3|4,1,2|4,1,4|4,1,6|32" --image-size 96 --json',
    )
)
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
    from asvit.records import read_task

    asked = task.task(read_task(arch) or Task())
    describe_architecture(arch, asked, position_embedding=position_embedding, as_json=json)


@app.command(
    help_epilogue=examples(
        "asvit measure seed small --metrics length,ntk,params --recipe quick",
        "asvit measure seed timm:resnet18 --images path/to/images",
    )
)
def measure(
    *archs: str,
    metrics: Annotated[tuple[str, ...], Parameter(negative=())] = ("length,ntk,params,macs",),
    recipe: RecipeName = "paper",
    task: TaskOptions = TaskOptions(),
    measuring: MeasureOptions = MeasureOptions(),
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
        Several with commas: length, ntk, curvature, length_of_curvature; scores of others: gradient_norm, snip,
        synflow, naswot, zico, dss, attention_entropy, token_entropy; counts: params, macs, depth, expansion, kernel;
        of the network in use on this device: latency, throughput, memory.
    recipe
        Repeats, angles and images where they are not given.
    """
    from asvit import jobs
    from asvit.job import split_names

    jobs.run_measure(archs, split_names(metrics), recipe, task, measuring, using, run)


@app.command(
    help_epilogue=examples(
        "asvit search --recipe quick",
        "asvit search --runs 5 --image-size 96 --score length:2,ntk",
    )
)
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


@app.command(
    help_epilogue=examples(
        'asvit grow "8,2,3|4,1,2|4,1,4|4,1,6|32" --params 3M --params 10M',
        "asvit grow runs/search/result.json --macs 5G",
    )
)
def grow(
    network: str,
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
    """Grow a network in depth and width without training (Algorithm 2) and pick a member for every budget.

    Parameters
    ----------
    network
        Topology such as 8,2,3|4,1,2|4,1,4|4,1,6|32 or the result file of a search, which start with one block a stage
        and C = 32; or a text form with depths and width, an architecture file or a published name, grown as it is.
    recipe
        How carefully to measure and how far to grow.
    """
    from asvit import jobs

    jobs.run_grow(network, recipe, budget, task, measuring, scoring, growing, run)


@app.command(
    help_epilogue=examples(
        "asvit design",
        "asvit design --image-size 96 --num-classes 12 --params 3M --params 10M",
    )
)
def design(
    *,
    recipe: RecipeName = "quick",
    start_from: StartFrom | None = None,
    start: str | None = None,
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
    start
        Do not search: grow this network with its own depths and width (seed: one block a stage, C = 32). Published
        name, text form, or file that a job wrote.
    """
    from asvit import jobs

    jobs.run_design(recipe, start_from, start, budget, task, measuring, scoring, searching, growing, run)


app.command(
    train,
    help_epilogue=examples(
        "asvit train seed --data digits --recipe digits",
        "asvit train runs/design/family/3M-params.json --data path/to/images",
    ),
)
app.command(
    evaluate,
    help_epilogue=examples(
        "asvit evaluate runs/digits --data digits",
        "asvit evaluate timm:resnet18 --data path/to/imagenet --batch-size 128",
    ),
)
app.command(predict, help_epilogue=examples("asvit predict runs/digits four.png --top 3"))
app.command(
    export,
    help_epilogue=examples(
        "asvit export runs/digits --out digits", "asvit export runs/digits --to onnx torch --out digits-graphs"
    ),
)


@app.command(help_epilogue=examples("asvit doctor", "asvit doctor --json"))
def doctor(*, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Say what this machine has, which extras are installed and what could be better.

    Parameters
    ----------
    json
        Print a JSON record on stdout and nothing else.
    """
    from asvit.doctor import run_doctor

    run_doctor(as_json=json)


@app.command(
    help_epilogue=examples("asvit report runs/digits", "asvit report runs/design --against small timm:resnet18")
)
def report(
    directory: Path,
    /,
    *,
    beside: SideBySideOptions = SideBySideOptions(),
    using: UseOptions = UseOptions(),
    run: DeviceOptions = DeviceOptions(),
) -> None:
    """Write the report of a finished run directory anew; with --against, beside other networks.

    Parameters
    ----------
    directory
        Run directory of search, grow, design, train, detect train or study.
    """
    if beside.against:
        with from_plain_install():
            from asvit import side_by_side_jobs

        side_by_side_jobs.run_against(directory, beside, using, run)
        return
    if (beside, using, run) != (SideBySideOptions(), UseOptions(), DeviceOptions()):
        raise UserError("options of a report say how networks are measured --against: expected some networks after it")
    with from_plain_install():
        from asvit.report import write_report, write_side_by_side

    print(write_report(directory))
    if (page := write_side_by_side(directory)) is not None:
        print(page)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0, 2 for bad input with one line on stderr, 130 after Ctrl-C, 143 on SIGTERM."""
    signal.signal(signal.SIGTERM, _terminate)
    hush()
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        show_welcome()
        sys.exit(0)
    try:
        app(joined_image_size(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except UserError as error:
        fail(" ".join(str(error).split()), 2)
    except CycloptsError as error:
        fail(complaint(error), 2)
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
