"""Run directories: files appear whole, one process at a time, one configuration."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from asvit.errors import UserError
from asvit.networks.named import read_architecture, read_task
from asvit.runs.records import (
    default_path,
    open_run,
    read_file,
    read_record,
    recorded,
    to_json,
    write_file,
    write_record,
)

CONFIG = {"recipe": "quick", "search": {"steps": 60}, "budgets": ["30M"]}
ENVIRONMENT = {"torch": "2.15", "threads": 2}


@dataclass(frozen=True)
class Found:
    name: str
    value: float


def test_records_round_trip_to_the_last_digit(tmp_path):
    found = Found("κ", 0.1 + 0.2)
    write_record(tmp_path / "result.json", "search", found)
    assert read_record(tmp_path / "result.json", Found) == found
    assert to_json(found) == to_json(Found("κ", 0.30000000000000004))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b'{"schema": 1, "na', "expected a JSON file"), (b'{"schema": 99}', "schema 1"), (b"[]", "schema 1")],
)
def test_damaged_files_are_user_errors(tmp_path, content, complaint):
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(UserError, match=complaint):
        read_file(tmp_path / "result.json")


def test_a_record_with_missing_fields_is_a_user_error(tmp_path):
    write_file(tmp_path / "result.json", to_json({"schema": 1, "name": "x"}))
    with pytest.raises(UserError, match="damaged"):
        read_record(tmp_path / "result.json", Found)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_file(path, b"old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(UserError, match=r"No space left on device; make room or choose another --out"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_job_goes_on_and_another_configuration_is_refused_with_the_difference(tmp_path):
    path = tmp_path / "run"
    with open_run(path, "design", {**CONFIG, "search": {"steps": 7}}, ENVIRONMENT, "asvit design"):
        pass
    with open_run(path, "design", CONFIG, ENVIRONMENT, "asvit design"):  # nothing was left behind: it begins anew
        assert recorded(path)["config"] == CONFIG
        (path / "seed.json").write_text("{}")
    with open_run(path, "design", CONFIG, ENVIRONMENT, "asvit design --again"):
        assert recorded(path)["command"] == "asvit design"
    for config, environment, complaint in [
        ({**CONFIG, "search": {"steps": 100}}, ENVIRONMENT, r"begun with --steps 60, not 100: repeat"),
        (CONFIG, {**ENVIRONMENT, "torch": "2.16"}, "begun with the version of torch 2.15, not 2.16"),
    ]:
        with pytest.raises(UserError, match=complaint), open_run(path, "design", config, environment, ""):
            pass


def test_two_processes_in_one_directory(tmp_path):
    path = tmp_path / "run"
    program = (
        "import sys; from pathlib import Path; from asvit.runs.records import open_run\n"
        f"with open_run(Path({str(path)!r}), 'design', {CONFIG!r}, {ENVIRONMENT!r}, ''):\n"
        "    print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(UserError, match=f"process {other.pid}"), open_run(path, "design", CONFIG, ENVIRONMENT, ""):
            pass
        other.kill()  # no chance to clean up: the lock must be free all the same
        other.wait()
    with open_run(path, "design", CONFIG, ENVIRONMENT, ""):
        pass


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    refused = pytest.raises(UserError, match=r"holds thesis\.tex but no run\.json")
    with refused, open_run(tmp_path, "design", CONFIG, ENVIRONMENT, ""):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot use"), open_run(tmp_path / "file" / "run", "design", CONFIG, {}, ""):
        pass


def test_the_default_folder_is_named_after_the_configuration():
    assert default_path("design", "quick", CONFIG) == default_path("design", "quick", dict(reversed(CONFIG.items())))
    assert default_path("design", "quick", CONFIG) != default_path("design", "quick", {**CONFIG, "budgets": ["31M"]})


def test_architectures_from_names_texts_and_files(tmp_path):
    text = "8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,88"
    write_record(tmp_path / "a.json", "design", {"architecture": text})
    assert read_architecture(str(tmp_path / "a.json")) == read_architecture("small") == read_architecture(text)
    write_record(tmp_path / "b.json", "design", {"family": []})
    for bad, complaint in [
        (str(tmp_path / "b.json"), "names no single architecture"),
        (str(tmp_path / "c.json"), "cannot read"),
        (str(tmp_path), "is a folder"),
        ("medium", "unknown architecture 'medium'"),
    ]:
        with pytest.raises(UserError, match=complaint):
            read_architecture(bad)


def test_a_published_name_is_meant_even_beside_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    (tmp_path / "other").mkdir()
    assert read_architecture("small").width == 88
    assert read_task("small") is None
    with pytest.raises(UserError, match="other is a folder"):
        read_architecture("other")
