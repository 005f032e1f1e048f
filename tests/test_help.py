"""What the command line says of itself: help, examples, next steps, and what it answers to typos."""

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import commands
import pytest
from cyclopts import App, CycloptsError

from asvit.commands.app import app
from asvit.commands.help import ALL, complaint
from asvit.commands.welcome import START, latest_runs, show_welcome
from asvit.runs.next_steps import after_evaluation, after_run, training_set_of
from asvit.runs.records import open_run, to_json

ASVIT = Path(sys.executable).parent / "asvit"


def all_commands(parent: App, *chain: str) -> Iterator[tuple[str, ...]]:
    """Every command by its words, groups of commands included."""
    yield chain
    for name in parent:
        if not name.startswith("-"):
            yield from all_commands(parent[name], *chain, name)


COMMANDS = list(all_commands(app))
GOLDEN = json.loads((Path(__file__).parent / "golden" / "commands.json").read_text())
OPTIONS = {
    command: [argument["names"][0] for argument in arguments if argument["names"][0].startswith("--")]
    for command, arguments in GOLDEN.items()
}


@cache
def help_of(*chain: str, everything: bool = False) -> str:
    """What a command says with --help on 80 columns."""
    before = ALL.set(everything)
    with patch.dict(os.environ, {"COLUMNS": "80"}), redirect_stdout(StringIO()) as said:
        app([*chain, "--help"], exit_on_error=False, print_error=False, result_action="return_value")
    ALL.reset(before)
    return said.getvalue()


def test_every_command_is_looked_at():
    assert {(), ("design",), ("detect", "train"), ("study",), ("study", "scaling"), ("doctor",)} <= set(COMMANDS)


@pytest.mark.parametrize("chain", COMMANDS, ids=" ".join)
def test_help_ends_with_examples_that_can_be_run(chain):
    said = help_of(*chain)
    assert max(map(len, said.splitlines())) <= 80
    assert "\x1b" not in said
    assert "[default: ()]" not in said
    assert "[default: False]" not in said
    examples = [line.strip() for line in said.partition("Examples:\n")[2].splitlines()]
    assert examples
    for example in examples:
        program, *words = shlex.split(example)
        assert program == "asvit"
        assert tuple(words[: len(chain)]) == chain
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_help_shows_patterns_as_they_are():
    assert "annotations/*train*.json" in help_of("detect", "train")


def test_help_and_welcome_need_no_torch():
    program = "import sys; from asvit.commands.app import main\n"
    program += "try: main(sys.argv[1:])\nexcept SystemExit as end: assert end.code == 0\n"
    program += "assert 'torch' not in sys.modules"
    for words in ([], ["--help"], ["design", "--help"]):
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "asvit design" in done.stdout


@pytest.mark.parametrize("step", START, ids=lambda step: step[0])
def test_what_a_newcomer_is_told_can_be_run(step):
    for command in step[1].split("; "):
        program, *words = shlex.split(command)
        assert program == "asvit"
        if words[-1] == "--help":
            assert "Examples:" in help_of(*words[:-1])
        else:
            app.parse_args(words, exit_on_error=False, print_error=False)


def begin(folder: Path, job: str, name: str) -> Path:
    with open_run(folder / "runs" / name, job, {}, {}, f"asvit {job} --again"):
        pass
    return folder / "runs" / name


def test_the_latest_run_says_what_can_be_done_with_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    design, training = begin(tmp_path, "design", "my design"), begin(tmp_path, "train", "digits")
    (tmp_path / "runs" / "of another program").mkdir()
    os.utime(training / "run.json", (0, 0))
    for file in training.iterdir():
        os.utime(file, (0, 0))
    assert latest_runs(tmp_path / "runs") == [design, training]
    assert list(after_run(design)) == [("go on where it stopped", "asvit design --again")]

    (design / "family").mkdir()
    (design / "family" / "3M-params.json").write_text("{}")
    (design / "result.json").write_bytes(to_json({"schema": 1}))
    (design / "report.html").write_text("")
    show_welcome()
    said = capsys.readouterr().out
    assert "  runs/my design: design, finished\n  runs/digits: train, not finished\n" in said
    assert "With runs/my design:" in said
    assert "asvit train 'runs/my design/family/3M-params.json' --data path/to/images" in said

    (training / "result.json").write_bytes(to_json({"schema": 1}))
    assert latest_runs(tmp_path / "runs")[0] == training
    assert f"asvit predict {training} path/to/images" in dict(after_run(training)).values()
    (tmp_path / "set" / "Val").mkdir(parents=True)  # the images that it was evaluated on, where they are a folder
    assert (f"asvit predict {training} {tmp_path}/set/Val") in [
        words for _, words in after_evaluation(str(training), f"{tmp_path}/set")
    ]


def test_a_damaged_run_has_no_next_steps(tmp_path, capsys):
    run = begin(tmp_path, "design", "damaged")
    (run / "run.json").write_text("{")
    assert list(after_run(run)) == []
    show_welcome(tmp_path / "runs")
    assert f"{run}: cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize("part", ["train", "training"])
def test_images_of_a_design_are_trained_on_where_they_have_a_part_to_train_on(tmp_path, part):
    (tmp_path / "photos" / "val").mkdir(parents=True)
    photos = str(tmp_path / "photos")
    asked = {"images": photos, "command": f"asvit design --value-range 4095 --images '{photos}' --seed 1"}
    assert training_set_of(asked) == training_set_of({}) == ["--data", "path/to/images"]
    (tmp_path / "photos" / part).mkdir()
    assert training_set_of(asked) == ["--data", photos, "--value-range", "4095"]


@pytest.mark.parametrize(
    ("job", "first"),
    [
        ("search", "asvit describe {run}/seed.json"),
        ("detect", "asvit detect evaluate {run} --data path/to/coco"),
        ("study", "{run}/report.html"),
        ("study-search", "{run}/report.html"),
        ("study-scaling", "{run}/report.html"),
    ],
)
def test_every_finished_job_has_a_next_step(tmp_path, job, first):
    run = begin(tmp_path, job, "it")
    (run / "result.json").write_bytes(to_json({"schema": 1, "trained": []}))
    assert next(after_run(run))[1] == first.format(run=run)


TYPOS = {
    "desing": 'Unknown command "desing". Did you mean "design"? Available commands',
    "design --parms 3M": "Unknown option: --parms. Did you mean --params?",
    "detect trian": 'Did you mean "train"?',
    "study serach": 'Unknown command "serach" of asvit study. Did you mean "search"?',
    "study serach --data digits": 'Unknown command "serach" of asvit study. Did you mean "search"?',
    "--hepl": 'Unknown command "--hepl" of asvit. Did you mean "--help"?',
    "design 3M": "asvit design takes no 3M. See `asvit design --help`",
    "evaluate": "asvit evaluate needs NETWORK. See `asvit evaluate --help`",
    "measure seed --value-range": "--value-range of asvit measure needs a value. See `asvit measure --help`",
    "race --data digits --params 3M": "asvit race needs --minutes. See `asvit race --help`",
}


@pytest.mark.parametrize("command", TYPOS)
def test_a_typo_is_answered_with_what_was_meant(command):
    with pytest.raises(CycloptsError) as caught:
        app(shlex.split(command), exit_on_error=False, print_error=False)
    said = complaint(caught.value)
    assert TYPOS[command] in said
    assert "\n" not in said


def on_a_terminal(words: list[str], **variables: str) -> str:
    """What a command prints to a terminal."""
    ours, theirs = pty.openpty()
    environment = {name: x for name, x in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    subprocess.run([ASVIT, *words], stdout=theirs, env=environment | {"TERM": "xterm-256color"} | variables, check=True)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 2**16)
        except OSError:  # all is read
            break
        said += part
    os.close(ours)
    return said.decode()


def test_colours_are_for_terminals_that_want_them():
    colour = re.compile(r"\x1b\[[0-9;]*(3[0-7]|38;5;\d+)m")
    assert colour.search(on_a_terminal(["--help"]))
    assert not colour.search(on_a_terminal(["--help"], NO_COLOR="1"))


@pytest.mark.parametrize("chain", [chain for chain in COMMANDS if " ".join(chain) in OPTIONS], ids=" ".join)
def test_the_first_help_fits_a_screen_and_help_all_has_every_option(chain):
    command = " ".join(chain)
    first, everything = help_of(*chain), help_of(*chain, everything=True)
    assert len(first.splitlines()) <= 60
    assert [name for name in OPTIONS[command] if name not in everything] == []
    more = f"All options: asvit {command} --help-all" in first
    assert more == any(name not in first for name in OPTIONS[command])


def test_the_help_of_a_design_begins_with_budget_and_images():
    said = help_of("design")
    places = [said.index(words) for words in ("--params", "--image-size", "--recipe", "--base-stride", "--out")]
    assert places == sorted(places)
    assert "--repeats" not in said
    assert "CHECKPOINT IMAGES..." in help_of("predict")


def test_help_all_is_a_word_of_the_command_line():
    done = subprocess.run([ASVIT, "design", "--help-all"], capture_output=True, text=True, check=True)
    assert "--repeats" in done.stdout


def test_completion_is_installed_for_a_shell(tmp_path):
    around = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/bash"}
    subprocess.run([ASVIT, "--install-completion"], capture_output=True, text=True, check=True, env=around)
    (script,) = (tmp_path / ".local/share/bash-completion/completions").iterdir()
    assert "--image-size" in script.read_text()


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["describe", "timm:resnet18"], "`asvit measure timm:resnet18 --metrics params,macs` says what it costs"),
        (["describe", "smal"], "unknown architecture 'smal': did you mean small?"),
        (["measure", "seed", "--metrics", "lenght"], "unknown metrics lenght: did you mean length?"),
        (["train", "timm:resnet19", "--data", "digits"], "timm has no model named 'resnet19': did you mean resnet18?"),
        (
            ["predict", "nowhere", "a.png"],
            "there is no nowhere: expected a run directory or a checkpoint of `asvit train`",
        ),
    ],
)
def test_near_names_are_suggested_and_missing_files_named(tmp_path, command, hint):
    done = commands.run(command, tmp_path)
    assert done.returncode == 2
    assert hint in done.stderr
    assert "Errno" not in done.stderr


def test_a_training_that_has_not_finished_says_so(tmp_path):
    with open_run(tmp_path / "run", "train", {"recipe": "smoke"}, {}, "asvit train --again"):
        pass
    done = commands.run(["predict", "run", "a.png"], tmp_path)
    assert done.stderr == "asvit: run has not finished: repeat `asvit train --again`\n"


def test_a_command_without_a_run_directory_promises_nothing(tmp_path):
    program = "import os, signal; from asvit.commands import app\n"
    program += "app.show_welcome = lambda: os.kill(os.getpid(), signal.SIGTERM)\napp.main([])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (143, "asvit: terminated\n")
