"""Damaged files of every kind that is read: read, or refused in one line. `benchmarks/fuzz.py` tries many more."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutants import leaves, nearly, with_checksums
from readers import READERS, kept, kind_of, mutant_of, outcome, small

FOUND = Path(__file__).parent / "found"
FILES = sorted(path for path in FOUND.glob("*/*"))


WHOLE = [pytest.param(name, marks=[pytest.mark.slow] if name == "records" else []) for name in READERS]
"""Records of all jobs take long to draw; they are among those that the tests of pages draw."""


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_read(tmp_path, name):
    """All but URLs that are none, and commands on what is not there."""
    said = [outcome(READERS[name], tmp_path, case) for case in READERS[name].whole().items()]
    refused = sum(line != "read" for line in said)
    assert refused == 0 if name not in ("urls", "commands") else 0 < refused < len(said)


@pytest.mark.parametrize("name", READERS)
def test_mutants_are_read_or_refused_in_one_line(tmp_path, name):
    reader, said = READERS[name], []

    @settings(
        max_examples=reader.examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow],
    )
    @given(st.randoms(use_true_random=False))
    def check(rng: random.Random) -> None:
        said.append(outcome(reader, tmp_path, mutant_of(reader.whole(), rng)))

    check()
    assert len(said) >= reader.examples
    assert any(line != "read" for line in said)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_brought_about_a_fault_is_read_or_refused(tmp_path, capfd, path):
    outcome(READERS[path.parent.name], tmp_path, kept(path))
    assert capfd.readouterr().err == ""
    assert path.stat().st_size < 10_000


def test_files_are_kept_small_and_come_back():
    for case in (("a.tif", b"II*"), ("b-c.json", b"x" * 100_000)):
        name, content = small(case)
        assert len(content) < 10_000
        path = FOUND / "nothing" / f"0123abcd-{name}"
        assert path.name.endswith(".xz") is (len(case[1]) > 10_000)


def test_kinds_of_messages_leave_out_what_is_of_one_file():
    said = kind_of("cannot read /tmp/x/a.json: $.x is 12, not 'y'; expected JSON")
    assert said == "cannot read FILE: $.x is N, not …"


def test_a_mutant_of_json_differs_and_is_json():
    document = {"a": [1, 2.5, "x"], "b": {"c": None}}
    assert leaves(document) == [("a",), ("a", 0), ("a", 1), ("a", 2), ("b",), ("b", "c")]
    found = [nearly(document, random.Random(i)) for i in range(50)]
    assert document == {"a": [1, 2.5, "x"], "b": {"c": None}}
    assert sum(one != document for one in found) > 40


def test_checksums_of_a_picture_are_those_of_its_content():
    whole = READERS["pictures"].whole()["plain.png"]
    assert with_checksums(whole) == whole
    broken = whole[:20] + b"\x07" + whole[21:]
    assert with_checksums(broken) not in (whole, broken)
