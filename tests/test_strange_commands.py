"""What is typed wrongly: every option of every command with values that it cannot have, one line for each."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_golden_commands import now

from asvit.commands.app import main
from asvit.commands.stopping import farewell
from asvit.commands.words import leaves
from asvit.errors import LONGEST, UserError, check_number, check_whole, harmless, message_line, shortened

NAMELESS = {
    "empty": "",
    "blank": "  ",
    "NUL": "a\0b",
    "surrogate": "caf\udce9",
    "5,000 characters": "a" * 5000,
    "300 bytes in a path": "runs/" + "é" * 150,
}
"""What no option can mean."""
NO_NUMBERS = {
    "text": "many",
    "nan": "nan",
    "inf": "inf",
    "beyond floats": "1e400",
    "20 digits": "12345678901234567890",
    "negative": "-1",
    "escape code": "\x1b[31m3",
}
NO_WHOLE_NUMBERS = {"fraction": "1.5", "point": "2.0", "exponent": "1e3", "hexadecimal": "0x10"}
NO_SIZES = {name: word for name, word in NO_NUMBERS.items() if name != "20 digits"}
READ = ("--image-size", "--value-range", "--params", "--macs", "--latency", "--memory", "--work-memory", "--score")
"""Options whose words are read as numbers or names with units."""
NEEDED = {
    "--data": "nowhere", "--out": "never", "--params": "3M", "ARCH": "seed", "ARCHS": "seed", "BACKBONE": "seed",
    "CHECKPOINT": "nowhere", "IMAGES": "nowhere.png", "NETWORK": "seed", "DIRECTORY": "nowhere", "TOPOLOGY": "seed",
    "--minutes": "1", "FILE": "nowhere.csv",
}  # fmt: skip
"""Something for arguments that a command cannot go without; of most of them nothing comes."""
CALLED = {"--stage-epochs": "epochs"}
"""Options whose messages call them otherwise."""
TWICE = ("--sides", "--jitter")
"""Options that take two words."""
COMMANDS = now()


def bad_words(option: dict) -> dict[str, str]:
    """Words that an option cannot have, by what is wrong with them."""
    name, kind = option["names"][-1], option["type"]
    if kind.startswith("bool"):
        return {"no flag's": "=maybe"}
    if "int" in kind.replace("typing.", "").split("Literal")[0]:
        return NAMELESS | NO_NUMBERS | NO_WHOLE_NUMBERS
    if "float" in kind:
        return NAMELESS | NO_NUMBERS
    if "Literal" in kind:
        return NAMELESS | {"no choice": "nonsense"}
    return NAMELESS | (NO_SIZES if name in READ else {})


def cases() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Commands, options, and what they are tried with."""
    for command, options in COMMANDS.items():
        for option in options:
            yield command, option["names"][0], bad_words(option)


def some_cases() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Every option with one of the words, another for each; all of them are tried with -m slow."""
    for number, (command, name, words) in enumerate(cases()):
        what = [*words][number % len(words)]
        yield command, name, {what: words[what]}


def said_of(words: list[str], capsys) -> str:
    """The line that a command ends with; nothing else may have come of it."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    assert ended.value.code == 2, words
    assert out == "", words
    (line,) = err.splitlines()
    assert line.startswith("asvit: ")
    assert len(line) <= 400, line
    assert line.isprintable(), line
    return line


def base(command: str, but: str) -> list[str]:
    """A command with all that it needs but one argument."""
    needed = [option for option in COMMANDS[command] if option["required"] or option["names"][0] in ("ARCHS", "IMAGES")]
    words = command.split()
    for option in needed:
        name = option["names"][0]
        if name != but:
            words += [name, NEEDED[name]] if name.startswith("--") else [NEEDED[name]]
    return words


def check_refused(command: str, name: str, bad: dict[str, str], capsys) -> None:
    own = CALLED.get(name, name.strip("-").lower())
    for what, word in bad.items():
        if name.startswith("--"):
            words = [*base(command, name), f"{name}{word}" if word == "=maybe" else f"{name}={word}"]
            words += [word] * (name in TWICE)
        elif name == "IMAGES":  # which come last
            words = [*base(command, name), word]
        else:
            words = [*command.split(), word, *base(command, name)[len(command.split()) :]]
        line = said_of(words, capsys)
        if name not in READ or what in NAMELESS:
            assert own in line.lower().replace("_", "-"), (what, line)


@pytest.mark.parametrize(("command", "name", "bad"), [*some_cases()])
def test_no_option_takes_what_it_cannot_mean(command, name, bad, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    check_refused(command, name, bad, capsys)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize(("command", "name", "bad"), [*cases()])
def test_no_option_takes_anything_that_it_cannot_mean(command, name, bad, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    check_refused(command, name, bad, capsys)
    assert os.listdir(tmp_path) == []


IGNORED = {
    "angles of a count": (["measure", "seed", "--metrics", "params", "--angles", "3"], "--angles changes nothing"),
    "kernel images of a length": (["design", "--score", "length", "--kernel-images", "4"], "--kernel-images changes"),
    "parameters of a length": (["search", "--score", "length", "--kernel-parameters", "all"], "measure one of ntk"),
    "values of no images": (["design", "--value-range", "4095"], "give --images"),
    "batch size of no use": (["measure", "seed", "--metrics", "ntk", "--batch-size", "3"], "add one of them"),
    "precision of no use": (["grow", "seed", "--precision", "bfloat16"], "give --latency or --memory"),
    "folder of digits": (["train", "seed", "--data", "digits", "--data-folder", "x"], "hf:NAME or torch:NAME"),
    "schedule twice": (
        ["train", "seed", "--data", "digits", "--stage-epochs", "1", "2", "--epochs", "9"],
        "leave --epochs and --schedule out",
    ),
    "steps of no search": (["design", "--start", "seed", "--steps", "3"], "leave out --start-from, --steps"),
    "report of nothing else": (["report", "nowhere", "--metrics", "ntk"], "expected some networks after it"),
    "part of images": (["study", "--data", "digits", "--no-resident", "--train-images", "9"], "give --resident"),
    "two sizes of a detector": (["detect", "describe", "seed", "--square", "64", "--sides", "64", "96"], "give one"),
    "option said twice": (["search", "--seed", "1", "--seed", "2"], "specified multiple times"),
    "publishing another format": (
        ["export", "seed", "--out", "x", "--to", "torch", "--push-to-hub", "me/it"],
        "expected timm among --to",
    ),
}
ABSURD = {
    "licence of two lines": (["export", "seed", "--out", "x", "--license", "mit\nlibrary_name: x"], "identifier"),
    "licence with a comment": (["export", "seed", "--out", "x", "--license", "mit # no"], "such as apache-2.0"),
    "budget beyond all": (["design", "--params", "999999T"], "expected at most 100G"),
    "latency of years": (["design", "--latency", "99999999s"], "expected at most 3600s"),
    "memory beyond all": (["grow", "seed", "--memory", "999999TB"], "expected at most 100TB"),
    "seed of 64 bits": (["search", "--seed", str(2**63)], "at most 2,147,483,647"),
    "4096 threads": (["design", "--threads", "4096"], "threads is 4,096: expected at least 1 and at most 1,024"),
    "endless training": (["train", "seed", "--data", "digits", "--epochs", "99999999999999"], "at most 100,000"),
    "a side of 100000": (["detect", "train", "seed", "--data", "x", "--square", "100000"], "at most 8,192"),
    "minutes nan": (["train", "seed", "--data", "digits", "--checkpoint-minutes", "nan"], "checkpoint_minutes is nan"),
    "many stages": (["train", "seed", "--data", "digits", "--stage-epochs", *"1" * 30], "expected at most 8"),
    "weight of a score": (["design", "--score", "length:99999999999999999999"], "at most 1,000,000"),
    "narrow range": (["measure", "seed", "--images", ".", "--value-range", "0:1e-320"], "range of values"),
    "device by number": (["design", "--device", "cuda:99999999999999999999"], "expected auto, cpu, cuda"),
    "device of two lines": (["design", "--device", "cpu\n"], "expected auto, cpu, cuda"),
    "device of nothing known": (["design", "--device", "meta"], "expected auto, cpu, cuda"),
    "command with an escape code": (["\x1b[2Jdesign"], "␛[2Jdesign"),
    "option that turns text round": (["design", "--\u202eout"], r"\u202eout"),
    "command of 5,000 characters": (["a" * 5000], "more]"),
}


@pytest.mark.parametrize("case", IGNORED | ABSURD)
def test_what_would_be_ignored_or_never_end_is_refused(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words, complaint = (IGNORED | ABSURD)[case]
    assert complaint in said_of(words, capsys)
    assert os.listdir(tmp_path) == []


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(st.characters(), max_size=300) | st.floats().map(str) | st.integers().map(str))
def test_any_text_in_the_place_of_a_number_is_a_number_or_one_line(text):
    from _pytest.capture import SysCapture

    captured = SysCapture(2)
    captured.start()
    try:
        with pytest.raises(SystemExit) as ended:
            main(["describe", "seed", "--json", f"--num-classes={text}"])
        said = captured.snap()
    finally:
        captured.done()
    if ended.value.code == 0:
        assert 1 <= int(text) <= 1_000_000
    else:
        assert ended.value.code == 2
        (line,) = said.splitlines()
        assert len(line) <= 400


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(st.characters()))
def test_any_message_is_one_harmless_line_of_bounded_length(text):
    line = message_line(text)
    assert len(line) <= LONGEST + 20
    assert len(line.splitlines()) <= 1
    line.encode()  # no surrogates
    assert harmless(line) == line


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.floats() | st.integers() | st.booleans() | st.text(max_size=5) | st.none())
def test_bounds_admit_numbers_within_them_and_nothing_else(value):
    number = isinstance(value, int | float) and not isinstance(value, bool)
    for check, admitted in (
        (check_whole, isinstance(value, int) and number and 1 <= value <= 9),
        (check_number, number and 1 <= value <= 9),
    ):
        if admitted:
            check("it", value, 1, 9)
        else:
            with pytest.raises(UserError, match=r"it is .*: expected"):
                check("it", value, 1, 9)


def test_messages_keep_their_ends():
    line = shortened("begin " + "x" * 2000 + " end", 100)
    assert line.startswith("begin x")
    assert line.endswith("x end")
    assert "[1,910 more]" in line


def test_what_counts_as_a_whole_number_is_found_in_the_type():
    assert int in leaves(tuple[int, ...] | None)
    assert int not in leaves(bool | None)


def test_another_jobs_directory_is_refused_in_one_short_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    with pytest.raises(SystemExit):
        main(["measure", "seed", "--metrics", "params", "--recipe", "smoke", "--out", "run"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["search", "--recipe", "smoke", "--out", "run"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2
    assert "was begun with the command measure, not search: repeat its command, or choose another --out" in line
    assert len(line) < 300


SEARCH = ("search", "--recipe", "smoke", "--steps", "2000", "--threads", "1", "--out", "run")


def interrupted(how: int, imports: int, cwd: Path) -> list[str]:
    """What a command says that a signal reaches while it loads modules, so many after it has begun to listen."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever shell the tests run in
    words = [sys.executable, "-X", "importtime", "-m", "asvit", *SEARCH]
    with subprocess.Popen(words, cwd=cwd, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if line.rstrip().endswith(" asvit.commands.stopping"):
                break
        for _ in range(imports):
            process.stderr.readline()
        process.send_signal(how)
        said = [line for line in process.stderr.read().splitlines() if not line.startswith("import time:")]
        assert process.stdout.read() == ""
        assert process.wait() == 128 + how, said
    return said


@pytest.mark.parametrize(("how", "imports"), [(signal.SIGINT, 1), (signal.SIGTERM, 150), (signal.SIGINT, 900)])
def test_a_signal_while_modules_are_loaded_is_one_line(how, imports, tmp_path):
    assert interrupted(how, imports, tmp_path) == [f"asvit: {'stopped' if how == signal.SIGINT else 'terminated'}"]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("imports", [5, 50, 300, 500, 700, 1100, 1400])
def test_a_signal_at_any_moment_is_one_line(how, imports, tmp_path):
    assert interrupted(how, imports, tmp_path)[-1].startswith("asvit: ")
    assert [path.name for path in tmp_path.rglob("*") if path.name == ".pid" or path.name.endswith(".tmp")] == []


def test_what_is_said_after_a_signal():
    assert farewell(signal.SIGTERM).startswith("terminated")


def test_a_signal_in_a_destructor_is_not_lost():
    """Python ignores exceptions there, in hooks that are told of them too."""
    program = """
import os, signal, sys, time, weakref
from asvit.commands.stopping import listen
from asvit.runs.signals import Stopped, try_again

class Thing:
    pass

listen()
try_again()
thing = Thing()
watched = weakref.ref(thing, lambda gone: os.kill(os.getpid(), signal.SIGTERM))
try:
    del thing
    for _ in range(3000):
        time.sleep(0.01)
except Stopped as stopped:
    sys.exit(128 + stopped.number)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "")


def test_a_signal_when_all_is_done_ends_in_no_other_code(tmp_path):
    """Python, when it takes modules down, no longer answers signals as before."""
    program = "import os, signal, sys\nfrom asvit.__main__ import main\n"
    program += "class Last:\n    def __del__(self, kill=os.kill, pid=os.getpid()): kill(pid, signal.SIGTERM)\n"
    program += "last, sys.argv = Last(), ['asvit', *sys.argv[1:]]\nmain()"
    for words, code in (([], 0), (["describe", "nonsense"], 2)):
        done = subprocess.run([sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert done.stderr.count("asvit: ") == bool(code)
        assert ("asvit design" in done.stdout) is not bool(code)


@pytest.mark.parametrize(("signals", "code", "last"), [(1, 0, "put away\n"), (2, 143, "")])
def test_a_signal_at_the_end_lets_python_put_its_things_away_and_a_second_one_does_not(signals, code, last):
    program = "import atexit, os, signal, sys\nfrom asvit.__main__ import main\n"
    program += f"def at_end():\n    for _ in range({signals}): os.kill(os.getpid(), signal.SIGTERM)\n"
    program += "    sys.stderr.write('put away\\n')\n"
    program += "import asvit.commands.app as app\n"
    program += "app.show_welcome = lambda: atexit.register(at_end)\nsys.argv[1:] = []\nmain()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, last or "asvit: terminated\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_a_full_disk_does_not_take_is_one_line(tmp_path):
    words = [sys.executable, "-m", "asvit", "describe", "small", "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.stderr == "asvit: there is no room left to write: make room, then repeat the command\n"
    assert done.returncode == 2
