"""The command line: every command under its name. Imports torch only in jobs that compute."""

import errno
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import CycloptsError, Parameter

from asvit.commands.completion import CompletingFiles
from asvit.commands.design import design, grow, search
from asvit.commands.detect import detect
from asvit.commands.doctor import doctor
from asvit.commands.export import export
from asvit.commands.help import ALL, HELP_ALL, InParagraphs, complaint, examples, helped, shown_default
from asvit.commands.measure import describe, measure, report
from asvit.commands.race import race
from asvit.commands.said import SAID, joined_image_size
from asvit.commands.stopping import NO_ROOM, farewell, listen
from asvit.commands.study import study
from asvit.commands.tables import show_any_character
from asvit.commands.train import evaluate, predict, train
from asvit.commands.welcome import show_welcome
from asvit.commands.words import look_at_words
from asvit.errors import UserError, message_line
from asvit.runs.signals import Stopped
from asvit.runs.urls import hide_passwords

app = CompletingFiles(
    name="asvit",
    help="Design Vision Transformers without training them (As-ViT, ICLR 2022).",
    help_format="plaintext",
    help_formatter=InParagraphs(),
    help_epilogue=examples("asvit design --params 3M", "asvit design --help"),
    default_parameter=Parameter(show_default=shown_default),
    config=look_at_words,
    suppress_keyboard_interrupt=False,
)
app.command(detect)
app.command(study)
EXAMPLES = {
    describe: ("asvit describe small", 'asvit describe "8,2,3|4,1,2|4,1,4|4,1,6|32" --image-size 96 --json'),
    measure: (
        "asvit measure seed small --metrics length,ntk,params --recipe quick",
        "asvit measure seed timm:resnet18 --images path/to/images",
    ),
    search: ("asvit search --recipe quick", "asvit search --runs 5 --image-size 96 --score length:2,ntk"),
    grow: (
        'asvit grow "8,2,3|4,1,2|4,1,4|4,1,6|32" --params 3M --params 10M',
        "asvit grow runs/search/result.json --macs 5G",
    ),
    design: ("asvit design", "asvit design --image-size 96 --num-classes 12 --params 3M --params 10M"),
    train: (
        "asvit train seed --data digits --recipe digits",
        "asvit train runs/design/family/3M-params.json --data path/to/images",
    ),
    evaluate: (
        "asvit evaluate runs/digits --data digits",
        "asvit evaluate timm:resnet18 --data path/to/imagenet --batch-size 128",
    ),
    race: (
        "asvit race --data digits --params 150k --minutes 5 --base-stride 2",
        "asvit race --data path/to/images --params 3M --minutes 60",
    ),
    predict: ("asvit predict runs/digits four.png --top 3",),
    export: ("asvit export runs/digits --out digits", "asvit export runs/digits --to onnx torch --out digits-graphs"),
    doctor: ("asvit doctor", "asvit doctor --json"),
    report: ("asvit report runs/digits", "asvit report runs/design --against small timm:resnet18"),
}
"""Examples at the end of the help of every command."""
SIZES = ("params", "macs", "latency", "memory", "image-size", "in-chans", "num-classes", "images", "base-stride")
FIRST = {
    design: (*SIZES, "recipe", "score", "race", "data", "device", "out"),
    grow: (*SIZES[:-1], "recipe", "score", "seed", "device", "out"),
    search: (*SIZES[4:], "recipe", "runs", "score", "seed", "device", "out"),
    train: (
        *("data", "in-chans", "value-range", "recipe", "plan", "image-size", "epochs", "batch-size", "schedule"),
        *("workers", "device", "out"),
    ),
    race: (
        *("data", "params", "macs", "latency", "minutes", "entrants", "against", "recipe", "image-size", "base-stride"),
        *("workers", "device", "out"),
    ),
    measure: ("metrics", "recipe", "image-size", "in-chans", "num-classes", "images", "batch-size", "device", "out"),
}
"""Options that the help of a command shows, in the order of use, where it has too many for one screen."""
ARGUMENTS = {measure: "ARCHS...", predict: "CHECKPOINT IMAGES..."}
"""Arguments of commands that take any number of them."""
for command, lines in EXAMPLES.items():
    app.command(command, **helped(command.__name__, *lines, first=FIRST.get(command, ()), usage=ARGUMENTS.get(command)))
app.register_install_completion_command()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0, 2 for bad input with one line on stderr, 130 after Ctrl-C, 143 on SIGTERM."""
    listen()
    show_any_character()
    arguments = sys.argv[1:] if arguments is None else arguments
    SAID.set(tuple(arguments))
    try:
        run(arguments)
    except UserError as error:
        fail(str(error), 2)
    except CycloptsError as error:
        fail(complaint(error), 2)
    except KeyboardInterrupt as interrupt:
        number = interrupt.number if isinstance(interrupt, Stopped) else signal.SIGINT
        fail(farewell(number), 128 + number)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        fail(NO_ROOM, 2)
    sys.exit(0)


def run(arguments: Sequence[str]) -> None:
    """Run the command that some words say."""
    if not arguments:
        show_welcome()
        return
    if HELP_ALL in arguments:
        ALL.set(True)
        arguments = ["--help" if word == HELP_ALL else word for word in arguments]
    app(joined_image_size(arguments), exit_on_error=False, print_error=False, result_action="return_value")


def fail(message: str, code: int) -> NoReturn:
    """End with one line on stderr."""
    print(f"asvit: {message_line(hide_passwords(message, SAID.get()))}", file=sys.stderr)
    sys.exit(code)
