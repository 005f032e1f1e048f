"""JSON that is read back, as strangers may have left it: a record, or one line that says what is wrong."""

import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutants import changed, leaves
from pages import detected
from strange import in_one_line
from test_report import write_run as write_design
from test_side_by_side import record, rows
from test_train_report import result_of
from test_train_report import write_run as write_training

from asvit.commands.app import main
from asvit.design.record import read_design
from asvit.errors import UserError
from asvit.measure.compared import SIDE_BY_SIDE
from asvit.networks.named import read_architecture, read_task
from asvit.report import write_report, write_side_by_side
from asvit.runs import json_files
from asvit.runs.json_files import decode_json, read_json
from asvit.runs.next_steps import after_run
from asvit.runs.records import RESULT, RUN, open_run, read_record, recorded

ARCHITECTURE = {"schema": 1, "job": "grow", "architecture": "8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,88"}
TASK = {"image_size": [64, 64], "in_chans": 3, "num_classes": 10}


@dataclass(frozen=True)
class Simple:
    number: int
    share: float
    names: tuple[str, ...]


BYTES = {
    "nothing": b"",
    "not UTF-8": b'{"schema": 1, "architecture": "\xff"}',
    "not UTF-8 at all": b"\xff\xfe{\x00}\x00",
    "UTF-16": '{"schema": 1}'.encode("utf-16"),
    "binary": bytes(range(256)) * 8,
    "null": b"null",
    "a number": b"1",
    "a text": b'"small"',
    "a list": b"[]",
    "cut off": b'{"schema": 1, "architecture": "8,2',
    "two": b'{"schema": 1}{"schema": 1}',
    "single quotes": b"{'schema': 1}",
    "a comment": b'{"schema": 1 /* one */}',
    "NaN": b'{"schema": NaN}',
    "Infinity": b'{"schema": 1, "width": Infinity}',
    "1e400": b'{"schema": 1, "width": 1e400}',
    "-1e400": b'{"schema": 1, "width": -1e400}',
    "5,000 digits": b'{"schema": 1, "width": ' + b"9" * 5000 + b"}",
    "lists nested deeply": b"[" * 100_000,
    "objects nested deeply": b'{"schema": ' * 50_000,
    "nested deeply in a field": b'{"schema": 1, "architecture": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "half of a surrogate": b'{"schema": 1, "architecture": "\\ud800"}',
    "no schema": b"{}",
    "another schema": b'{"schema": 2}',
    "schema as text": b'{"schema": "1"}',
    "schema true": b'{"schema": null}',
    "a page": b"<!doctype html><title>not JSON</title>",
    "a pickle": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.",
}
"""Contents that no reader of ours takes."""


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_record(tmp_path, capsys, name):
    file = tmp_path / "network.json"
    file.write_bytes(BYTES[name])
    refused_by_command(capsys, ["describe", str(file)], str(file))
    (tmp_path / "run").mkdir()
    shutil.copy(file, tmp_path / "run" / RUN)
    refused_by_command(capsys, ["report", str(tmp_path / "run")], RUN)
    assert list(after_run(tmp_path / "run")) == []  # `asvit` alone says nothing of such a run, and ends well
    refused = pytest.raises(UserError, match=RUN)
    with refused, open_run(tmp_path / "run", "design", {"recipe": "quick"}, {}, ""):
        pass
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.suffix != ".lock") == [".lock", RUN]


def refused_by_command(capsys, arguments: list[str], *said: str) -> str:
    """A command ends with one line on stderr, and exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert err.startswith("asvit: ")
    assert err.count("\n") == 1
    assert len(err) < 700
    for words in said:
        assert words in err
    return err


def architecture(**changes) -> dict:
    return {name: value for name, value in (ARCHITECTURE | {"task": TASK} | changes).items() if value is not ...}


FILES = {
    "no architecture": (architecture(architecture=...), "names no single architecture"),
    "architecture null": (architecture(architecture=None), "Expected `str`, got `null`"),
    "architecture a number": (architecture(architecture=8), "Expected `str`"),
    "architecture a list": (architecture(architecture=["8,2,3"]), "Expected `str`"),
    "architecture empty": (architecture(architecture=""), "unknown architecture ''"),
    "architecture a name": (architecture(architecture="medium"), "unknown architecture 'medium'"),
    "architecture of a megabyte": (architecture(architecture="8,2,3|" * 200_000), "a text of 1200000 characters"),
    "5,000 digits": (architecture(architecture="8,2,3," + "9" * 5000), "characters"),
    "no heads": (architecture(architecture="8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2"), "cannot read"),
    "negative": (architecture(architecture="8,2,3,-3|4,1,2,1|4,1,4,4|4,1,6,2|32,88"), "cannot read"),
    "a fraction": (architecture(architecture="8,2,3,1.5|4,1,2,1|4,1,4,4|4,1,6,2|32,88"), "cannot read"),
    "no blocks": (architecture(architecture="8,2,3,0|4,1,2,1|4,1,4,4|4,1,6,2|32,88"), "at least one block"),
    "no such kernel": (architecture(architecture="9,2,3,1|4,1,2,1|4,1,4,4|4,1,6,2|32,88"), "K1 is 9"),
    "no such heads": (architecture(architecture="8,2,3,1|4,1,2,1|4,1,4,4|4,1,6,2|33,88"), "heads is 33"),
    "no width": (architecture(architecture="8,2,3,1|4,1,2,1|4,1,4,4|4,1,6,2|32,0"), "0 channels"),
    "no such stride": (architecture(architecture="8,2,3,1|4,1,2,1|4,1,4,4|4,1,6,2|32,88|3"), "base stride is 3"),
    "task null": (architecture(task=None), "got `null`"),
    "task a list": (architecture(task=[]), "got `array`"),
    "task a text": (architecture(task="64x64"), "got `str`"),
    "size a text": (architecture(task=TASK | {"image_size": "64"}), "Expected `array`"),
    "one side": (architecture(task=TASK | {"image_size": [64]}), "length 2"),
    "three sides": (architecture(task=TASK | {"image_size": [64, 64, 3]}), "length 2"),
    "sides null": (architecture(task=TASK | {"image_size": [None, None]}), "got `null`"),
    "a side of 0": (architecture(task=TASK | {"image_size": [0, 64]}), "0x64"),
    "a negative side": (architecture(task=TASK | {"image_size": [-64, 64]}), "-64x64"),
    "a gigantic side": (architecture(task=TASK | {"image_size": [10**30, 64]}), "expected sides from 8"),
    "a fraction of a side": (architecture(task=TASK | {"image_size": [64.5, 64]}), "Expected `int`"),
    "no channels": (architecture(task=TASK | {"in_chans": 0}), "in_chans is 0"),
    "negative classes": (architecture(task=TASK | {"num_classes": -10}), "num_classes is -10"),
    "classes a text": (architecture(task=TASK | {"num_classes": "10"}), "got `str`"),
    "classes true": (architecture(task=TASK | {"num_classes": True}), "got `bool`"),
}
"""Architecture files that are JSON, and what has to be said."""


@pytest.mark.parametrize("name", FILES)
def test_architecture_files(tmp_path, capsys, name):
    content, said = FILES[name]
    file = tmp_path / "network.json"
    file.write_text(json.dumps(content))
    refused_by_command(capsys, ["describe", str(file)], str(file), said)


def test_a_byte_order_mark_is_skipped(tmp_path):
    file = tmp_path / "network.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(architecture()).encode())
    assert read_architecture(str(file)).width == 88
    assert read_task(str(file)).num_classes == 10


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def huge(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(2**40)  # of holes: takes no room


PLACES = {
    "a folder": (folder, "Is a directory"),
    "a named pipe": (pipe, "no regular file"),
    "a device": (device, "no regular file"),
    "a link to itself": (loop, "Too many levels of symbolic links"),
    "a link to nothing": (dangling, "No such file"),
    "a terabyte": (huge, "1,099,511,627,776 bytes, more than 67,108,864"),
}
"""What may lie in the place of a file."""


@pytest.mark.parametrize("name", PLACES)
def test_no_file_in_its_place(tmp_path, capsys, name):
    make, said = PLACES[name]
    make(tmp_path / "network.json")
    with pytest.raises(UserError, match=said):
        read_json(tmp_path / "network.json", dict, "a record")
    (tmp_path / "run").mkdir()
    make(tmp_path / "run" / RUN)
    refused_by_command(capsys, ["report", str(tmp_path / "run")], said)
    (tmp_path / "run" / RUN).rmdir() if name == "a folder" else (tmp_path / "run" / RUN).unlink()
    write_training(tmp_path / "run", result_of(1, 1))
    (tmp_path / "run" / RESULT).unlink()
    make(tmp_path / "run" / RESULT)
    refused_by_command(capsys, ["report", str(tmp_path / "run")], said)


RUNS = {
    "no job": ("job", ...),
    "job null": ("job", None),
    "job a number": ("job", 1),
    "another job": ("job", "cook"),
    "no config": ("config", ...),
    "config null": ("config", None),
    "config a list": ("config", []),
    "config empty": ("config", {}),
    "no environment": ("environment", ...),
    "environment null": ("environment", None),
    "threads a text": ("environment", {"threads": "2"}),
    "threads a fraction": ("environment", {"threads": 1.5}),
    "no command": ("command", ...),
    "command a number": ("command", 5),
    "images a number": ("images", 5),
}
"""Parts of ``run.json``, and what is in their place."""


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("job", ["train", "design"])
def test_run_json(tmp_path, capsys, name, job):
    key, value = RUNS[name]
    write_training(tmp_path, result_of(1, 1)) if job == "train" else write_design(tmp_path, job)
    content = json.loads((tmp_path / RUN).read_text())
    content[key] = value
    (tmp_path / RUN).write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))
    refused_by_command(capsys, ["report", str(tmp_path)], str(tmp_path))


def mutants(content: dict, count: int) -> list[tuple[tuple, object, dict]]:
    """Records with a value changed, the same ones in every run."""
    rng, places = random.Random(0), [path for path in leaves(content) if path[0] != "schema"]
    return [changed(content, rng, places) for _ in range(count)]


def design(folder: Path) -> None:
    write_design(folder, "design")


def search(folder: Path) -> None:
    write_design(folder, "search")


def training(folder: Path) -> None:
    write_training(folder, result_of(2, 1, 2))


def side_by_side(folder: Path) -> None:
    write_design(folder, "grow")
    record(folder, rows())


MUTATED = {
    "design": (design, RESULT, write_report),
    "search": (search, RESULT, write_report),
    "training": (training, RESULT, write_report),
    "detection": (detected, RESULT, write_report),
    "run of a design": (design, RUN, write_report),
    "run of a training": (training, RUN, write_report),
    "side by side": (side_by_side, SIDE_BY_SIDE, write_side_by_side),
}


@pytest.mark.parametrize("count", [5, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MUTATED)
def test_mutated_records_make_a_page_or_one_line(tmp_path, monkeypatch, name, count):
    """The page itself, which only writes what was put together, is left out: it takes long."""
    monkeypatch.setattr("asvit.report.page._write", lambda path, page: path)
    write, file, draw = MUTATED[name]
    write(tmp_path)
    content = json.loads((tmp_path / file).read_text())
    draw(tmp_path)
    refused = 0
    for path, value, mutant in mutants(content, count):
        (tmp_path / file).write_text(json.dumps(mutant))
        try:
            draw(tmp_path)
        except UserError as error:
            refused += 1
            in_one_line(error) or pytest.fail(f"{path} {value}: {error}")
    assert refused >= count // 5


@pytest.mark.parametrize("name", ["design", "search"])
def test_mutated_designs_are_read_or_refused(tmp_path, name):
    write, file, _ = MUTATED[name]
    write(tmp_path)
    content = json.loads((tmp_path / file).read_text())
    whole, refused = read_design(tmp_path), 0
    for _, _, mutant in mutants(content, 60):
        (tmp_path / file).write_text(json.dumps(mutant))
        try:
            assert type(read_design(tmp_path)) is type(whole)
        except UserError:
            refused += 1
    assert refused >= 25


def test_epochs_without_end_make_no_list_of_them(tmp_path):
    training(tmp_path)
    content = json.loads((tmp_path / RESULT).read_text())
    for epochs in ([10**15, 1, 2], [10**15, -(10**15) + 3, 2], [0, 0, 5]):
        for stage, count in zip(content["stages"], epochs, strict=True):
            stage["epochs"] = count
        (tmp_path / RESULT).write_text(json.dumps(content))
        with pytest.raises(UserError, match="its epochs are not those of its stages"):
            write_report(tmp_path)


def test_pictures_lie_in_the_run_directory(tmp_path):
    training(tmp_path)
    (tmp_path.parent / "secret.txt").write_text("secret")
    content = json.loads((tmp_path / RESULT).read_text())
    for place, said in [("../secret.txt", "lies outside"), ("/etc/passwd", "lies outside"), (".", "Is a directory")]:
        mistake = {"file": "a.png", "true": "cat", "said": "owl", "probability": 0.9, "picture": place}
        (tmp_path / RESULT).write_text(json.dumps(content | {"mistakes": [mistake]}))
        with pytest.raises(UserError, match=said):
            write_report(tmp_path)


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
BRANCH = LEAF | st.lists(LEAF, max_size=4) | st.dictionaries(st.text(max_size=10), LEAF, max_size=4)
JSON = BRANCH | st.lists(BRANCH, max_size=4) | st.dictionaries(st.text(max_size=10), BRANCH, max_size=4)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(JSON)
def test_any_json_is_a_record_or_one_line(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps({"schema": 1, "architecture": content, "task": content, "number": content}))
    for read in (read_architecture, read_task, lambda path: read_record(Path(path), Simple)):
        with pytest.raises(UserError):
            read(str(file))


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_one_line(content):
    try:
        assert decode_json(content, object, "it", "anything") is not decode_json
    except UserError as error:
        in_one_line(error, "it") or pytest.fail(str(error))


def test_what_was_recorded_is_read_as_it_was(tmp_path):
    with open_run(tmp_path / "run", "design", {"recipe": "quick", "seed": 0}, {"threads": 2}, "asvit design"):
        assert recorded(tmp_path / "run")["environment"] == {"threads": 2}
    assert json_files.MOST_BYTES == 2**26
