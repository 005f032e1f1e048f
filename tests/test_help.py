"""What the command line says of itself: help, examples, next steps, and what it answers to typos."""

import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App, CycloptsError

from asvit.commands.app import app
from asvit.commands.help import complaint
from asvit.commands.welcome import START, latest_run, next_steps, show_welcome
from asvit.runs.records import open_run, to_json

ASVIT = Path(sys.executable).parent / "asvit"


def all_commands(parent: App, *chain: str) -> Iterator[tuple[str, ...]]:
    """Every command by its words, groups of commands included."""
    yield chain
    for name in parent:
        if not name.startswith("-"):
            yield from all_commands(parent[name], *chain, name)


COMMANDS = list(all_commands(app))


@pytest.fixture
def help_of(capsys, monkeypatch):
    """What a command says with --help on 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def said(*chain: str) -> str:
        app([*chain, "--help"], exit_on_error=False, print_error=False, result_action="return_value")
        return capsys.readouterr().out

    return said


def test_every_command_is_looked_at():
    assert {(), ("design",), ("detect", "train"), ("study",), ("study", "scaling"), ("doctor",)} <= set(COMMANDS)


@pytest.mark.parametrize("chain", COMMANDS, ids=" ".join)
def test_help_ends_with_examples_that_can_be_run(chain, help_of):
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


def test_help_shows_patterns_as_they_are(help_of):
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
def test_what_a_newcomer_is_told_can_be_run(step, help_of):
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
    assert latest_run(tmp_path / "runs") == design
    assert list(next_steps(design)) == [("Go on with it where it stopped", "asvit design --again")]

    (design / "family").mkdir()
    (design / "family" / "3M-params.json").write_text("{}")
    (design / "result.json").write_bytes(to_json({"schema": 1}))
    (design / "report.html").write_text("")
    show_welcome()
    said = capsys.readouterr().out
    assert "Your latest run, runs/my design" in said
    assert "runs/my design/report.html" in said
    assert "asvit train 'runs/my design/family/3M-params.json' --data path/to/images" in said

    (training / "result.json").write_bytes(to_json({"schema": 1}))
    assert latest_run(tmp_path / "runs") == training
    assert f"asvit predict {training} image.jpg" in dict(next_steps(training)).values()


def test_a_damaged_run_has_no_next_steps(tmp_path, capsys):
    run = begin(tmp_path, "design", "damaged")
    (run / "run.json").write_text("{")
    assert list(next_steps(run)) == []
    show_welcome(tmp_path / "runs")
    assert "latest" not in capsys.readouterr().out


TYPOS = {
    "desing": 'Unknown command "desing". Did you mean "design"? Available commands',
    "design --parms 3M": "Unknown option: --parms. Did you mean --params?",
    "detect trian": 'Did you mean "train"?',
    "study serach": 'Unknown command "serach" of asvit study. Did you mean "search"?',
    "study serach --data digits": 'Unknown command "serach" of asvit study. Did you mean "search"?',
    "--hepl": 'Unknown command "--hepl" of asvit. Did you mean "--help"?',
    "design 3M": "asvit design takes no 3M. See `asvit design --help`",
    "evaluate": "NETWORK requires an argument. See `asvit evaluate --help`",
    "measure seed --repeats two": 'unable to convert "two" into int. See `asvit measure --help`',
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
