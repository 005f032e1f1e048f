"""CSV files as spreadsheets keep them, and URLs with passwords: read as they were, or refused; shown to nobody."""

import csv
import io
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asvit.commands.app import main
from asvit.commands.said import SAID, repeat_command
from asvit.errors import UserError
from asvit.runs.tables import marked, read_table, table_text, unmarked
from asvit.runs.urls import hide_passwords, shown_url, without_passwords
from asvit.study.plan import PlanSettings, planned
from asvit.study.queue import Queue
from asvit.study.results import Trained, as_csv, read_csv
from asvit.study.sample import sample_topologies

PROVENANCE = {"image_size": "32x32", "epochs": "2", "settings": "0123456789ab"}
TRAINED = [
    Trained("8,2,3|4,1,2|4,1,4|4,1,6|32", seed, 0.5 + seed / 10, 1.25, 3.5, "cpu", "0.1.0", "2.15.0")
    for seed in range(3)
]
GOOD = as_csv(TRAINED, PROVENANCE, ()).decode()


def with_delimiter(delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(csv.reader(io.StringIO(GOOD)))
    return text.getvalue()


SAME = {
    "as it was": GOOD.encode(),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "semicolons": with_delimiter(";").encode(),
    "tabs": with_delimiter("\t").encode(),
    "semicolons and a mark": b"\xef\xbb\xbf" + with_delimiter(";").encode(),
    "Windows' ends of lines": GOOD.replace("\n", "\r\n").encode(),
    "no end of the last line": GOOD.rstrip("\n").encode(),
    "empty lines at the end": GOOD.encode() + b"\n\n",
    "spaces around names": GOOD.replace("network,seed", " network , seed ").encode(),
    "a line twice": GOOD.encode() + GOOD.splitlines()[1].encode() + b"\n",
    "a column more": "".join(f"{line},x\n" for line in GOOD.splitlines()).encode(),
    "everything quoted": "".join(
        ",".join(f'"{field}"' for field in row) + "\n" for row in csv.reader(io.StringIO(GOOD))
    ).encode(),
}
"""Files that hold the same trainings."""


@pytest.mark.parametrize("name", SAME)
def test_tables_that_hold_the_same(tmp_path, name):
    (tmp_path / "topologies.csv").write_bytes(SAME[name])
    assert read_csv(tmp_path / "topologies.csv", PROVENANCE) == TRAINED


def cell(column: str, value: str) -> str:
    """The good table with a value in its second row."""
    rows = list(csv.DictReader(io.StringIO(GOOD)))
    rows[1][column] = value
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def without(column: str) -> str:
    rows = [{k: v for k, v in row.items() if k != column} for row in csv.DictReader(io.StringIO(GOOD))]
    return table_text(list(rows[0]), rows).decode()


BAD = {
    "nothing": (b"", "has no columns network, seed, top1"),
    "a line of names only": (GOOD.splitlines()[0], "has no trainings"),
    "no line of names": (GOOD.partition("\n")[2], "has no columns network, seed"),
    "not UTF-8": (GOOD.replace("cpu", "prozeß").encode("latin-1"), "can't decode byte"),
    "UTF-16, as Excel's Unicode text": (GOOD.encode("utf-16"), "can't decode byte"),
    "a spreadsheet": (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xff\xff", "can't decode byte"),
    "zeros": (bytes(1000), "has no columns"),
    "a quote without end": (GOOD + '"8,2,3', "unexpected end of data"),
    "a gigantic field": (GOOD + "x" * 200_000, "field larger than field limit"),
    "a line too short": (GOOD + "a,b\n", "line 5 has 2 fields"),
    "a line too long": (GOOD.replace("\n", ",x\n").replace(",x\n", "\n", 1), "fields, its first line"),
    "no network": (without("network"), "has no column network, but columns seed"),
    "no accuracy": (without("top1"), "has no column top1, but columns network"),
    "no settings": (without("settings"), "has no column settings"),
    "two columns of one name": (GOOD.replace("loss", "seconds", 1), "has no column loss"),
    "a column twice": (GOOD.replace("\n", ",1\n").replace(",1\n", ",seed\n", 1), "two columns of one name"),
    "accuracy in per cent": (cell("top1", "53.2"), "line 3: top1 is 53.2: expected an accuracy as a share"),
    "accuracy with a sign": (cell("top1", "53.2%"), "Expected `float`"),
    "accuracy above 1": (cell("top1", "1.0000001"), "top1 is 1.0000001"),
    "accuracy below 0": (cell("top1", "-0.1"), "top1 is -0.1"),
    "accuracy NaN": (cell("top1", "nan"), "line 3"),
    "accuracy infinite": (cell("top1", "inf"), "line 3"),
    "accuracy 1e400": (cell("top1", "1e400"), "line 3"),
    "accuracy with a comma": (cell("top1", "0,5"), "with points in its numbers"),
    "no accuracy in a line": (cell("top1", ""), "Expected `float`"),
    "accuracy a word": (cell("top1", "good"), "Expected `float`"),
    "loss NaN": (cell("loss", "nan"), "line 3"),
    "loss below 0": (cell("loss", "-1"), "loss is -1"),
    "negative seconds": (cell("seconds", "-3"), "seconds is -3"),
    "infinite seconds": (cell("seconds", "inf"), "line 3"),
    "a negative seed": (cell("seed", "-1"), "seed is -1"),
    "a fraction of a seed": (cell("seed", "1.5"), "Expected `int`"),
    "a seed of a word": (cell("seed", "one"), "Expected `int`"),
    "other settings": (cell("settings", "another"), "line 3: settings is another, but this study's is"),
    "settings of a megabyte": (cell("settings", "x" * 100_000), "settings is xxx"),
    "another result of the same": (cell("seed", "0"), "line 3: seed 0 of 8,2,3"),
}
"""Tables that no study can go on with, and what has to be said."""


@pytest.mark.parametrize("name", BAD)
def test_tables_that_are_refused(tmp_path, name):
    content, said = BAD[name]
    (tmp_path / "topologies.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as refused:
        read_csv(tmp_path / "topologies.csv", PROVENANCE)
    assert said in str(refused.value)
    assert "topologies.csv" in str(refused.value)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("path", [".", "nothing.csv", "/dev/zero"])
def test_no_table_in_its_place(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="cannot read"):
        read_csv(Path(path), PROVENANCE)


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "  @x", "'=1", "''=1", "＝1", "＠x",
            "=cmd|' /C calc'!A0", '=HYPERLINK("http://x")']  # fmt: skip
"""Texts that a spreadsheet would run."""


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_written_harmless_and_read_as_they_were(tmp_path, text):
    trained = Trained(TRAINED[0].network, 0, 0.5, 1.0, 2.0, text, text, text)
    content = as_csv([trained], PROVENANCE | {"settings": text}, ())
    (row,) = csv.DictReader(io.StringIO(content.decode(), newline=""))
    assert {row[name][0] for name in ("device", "asvit", "torch", "settings")} == {"'"}
    (tmp_path / "a.csv").write_bytes(content)
    assert read_csv(tmp_path / "a.csv", PROVENANCE | {"settings": text}) == [trained]


def test_negative_numbers_are_numbers():
    assert table_text(["a", "=b"], [{"a": -1.5, "=b": "x"}]) == b"a,'=b\n-1.5,x\n"


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12), min_size=2, max_size=2
    )
)
def test_any_text_is_read_as_it_was(tmp_path_factory, texts):
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(table_text(["first", "last"], [dict(zip(("first", "last"), texts, strict=True))]))
    assert [unmarked(str(marked(text))) for text in texts] == texts
    if any(texts):
        assert read_table(file, ["first", "last"], "a table") == [(2, {"first": texts[0], "last": texts[1]})]


SECRET = "s3cr3t"
URLS = {
    "plain": f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/db",
    "no user": f"postgresql+psycopg://:{SECRET}@127.0.0.1:1/db",
    "in the place of the user": f"postgresql+psycopg://{SECRET}@127.0.0.1:1/db",
    "an @ in it": f"postgresql+psycopg://me:{SECRET}@{SECRET}@127.0.0.1:1/db",
    "an @ before it": f"postgresql+psycopg://me:@{SECRET}@127.0.0.1:1/db",
    "an @ in the user": f"postgresql+psycopg://me@corp:{SECRET}@127.0.0.1:1/db",
    "many @": f"postgresql+psycopg://me:@{SECRET}@@{SECRET}@127.0.0.1:1/db",
    "a slash in it": f"postgresql+psycopg://me:a/{SECRET}@127.0.0.1:1/db",
    "a slash in the user": f"postgresql+psycopg://m/e:{SECRET}@127.0.0.1:1/db",
    "slashes and @": f"postgresql+psycopg://me:a@b/{SECRET}@127.0.0.1:1/db",
    "a question mark in it": f"postgresql+psycopg://me:a?{SECRET}@127.0.0.1:1/db",
    "a question mark and no host": f"postgresql+psycopg://me:a?{SECRET}",
    "a hash in it": f"postgresql+psycopg://me:#{SECRET}@127.0.0.1:1/db",
    "a space in it": f"postgresql+psycopg://me:a {SECRET}@127.0.0.1:1/db",
    "a tab in it": f"postgresql+psycopg://me:a\t{SECRET}@127.0.0.1:1/db",
    "a line feed in it": f"postgresql+psycopg://me:a\n{SECRET}@127.0.0.1:1/db",
    "colons in it": f"postgresql+psycopg://me:a:{SECRET}:b@127.0.0.1:1/db",
    "braces in it": f"postgresql+psycopg://me:{{{SECRET}}}@127.0.0.1:1/db",
    "a per cent sign in it": f"postgresql+psycopg://me:%{SECRET}@127.0.0.1:1/db",
    "encoded": f"postgresql+psycopg://me:{quote('@/' + SECRET, safe='')}@127.0.0.1:1/db",
    "in the query": f"postgresql+psycopg://me@127.0.0.1:1/db?password={SECRET}",
    "in the query alone": f"postgresql+psycopg:///db?host=127.0.0.1&port=1&user=me&password={SECRET}",
    "the name of something in the query": f"postgresql+psycopg://me@127.0.0.1:1/db?{SECRET}",
    "of a key, in the query": f"postgresql+psycopg://me@127.0.0.1:1/db?sslpassword={SECRET}&sslmode=disable",
    "no host": f"postgresql+psycopg://me:{SECRET}@/db",
    "no host and no @": f"postgresql+psycopg://me:{SECRET}/db",
    "a port that is no number": f"postgresql+psycopg://me:{SECRET}@127.0.0.1:port/db",
    "a port beyond": f"postgresql+psycopg://me:{SECRET}@127.0.0.1:99999/db",
    "a host that is none": f"postgresql+psycopg://me:{SECRET}@ho st/db",
    "IPv6": f"postgresql+psycopg://me:{SECRET}@[::1]:1/db",
    "half of IPv6": f"postgresql+psycopg://me:{SECRET}@[::1/db",
    "no scheme": f"me:{SECRET}@127.0.0.1/db",
    "one slash": f"postgresql+psycopg:/me:{SECRET}@127.0.0.1/db",
    "no slashes": f"postgresql+psycopg:me:{SECRET}@127.0.0.1/db",
    "no colon": f"postgresql+psycopg//me:{SECRET}@127.0.0.1/db",
    "an unknown driver": f"nonsense+driver://me:{SECRET}@127.0.0.1/db",
    "of SQLite": f"sqlite://me:{SECRET}@127.0.0.1/db",
    "libpq's words": f"host=127.0.0.1 port=1 user=me password={SECRET}",
    "quoted": f'"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/db"',
    "a space before": f" postgresql+psycopg://me:{SECRET}@127.0.0.1:1/db",
    "a dash before": f"-postgresql+psycopg://me:{SECRET}@127.0.0.1:1/db",
    "dashes before what is no scheme": f"--://me:{SECRET}@127.0.0.1:1/db",
    "the password alone": SECRET,
    "the password alone, with a dash": f"-{SECRET}",
}
"""URLs with a password, some of them broken."""


@pytest.mark.parametrize("name", URLS)
def test_passwords_are_shown_nowhere(capsys, name):
    url = URLS[name]
    assert SECRET not in shown_url(url)
    ways = (["--storage", url], [f"--storage={url}"], ["--storage", *url.split()], f"--storage={url}".split())
    for words in (["study", *way, "--seed", "1"] for way in ways):
        SAID.set(tuple(words))
        assert SECRET not in repeat_command()
        assert SECRET not in " ".join(without_passwords(words))
        assert SECRET not in hide_passwords(f"unknown: {' '.join(words)}", words)
    with pytest.raises(SystemExit) as ended:
        main(["study", "--storge", "x", "--storage", url])
    assert ended.value.code == 2
    assert SECRET not in "".join(capsys.readouterr())


@pytest.mark.parametrize("name", URLS)
def test_a_storage_with_a_password_is_refused_without_it(name):
    plan = planned(PlanSettings(topologies=7, seeds=2, repeated=6, seed=0), sample_topologies(7, seed=0))
    with pytest.raises(UserError) as refused:
        Queue(URLS[name], "study", plan, {}, heartbeat=60)
    assert SECRET not in str(refused.value)
    assert len(str(refused.value)) < 700
    assert "\n" not in str(refused.value)


def test_what_is_no_secret_stays():
    words = ["study", "x@y", "--data", "http://host/images", "--storage", "sqlite:////a/b@c.sqlite3", "small"]
    assert without_passwords(words) == words
    assert shown_url("sqlite:///study.sqlite3") == "sqlite:///study.sqlite3"


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.text(":/@?#%& =", max_size=4))
def test_no_part_of_any_password_is_shown(before, after):
    for url in (
        f"postgresql://me:{before}{SECRET}{after}@host/db",
        f"postgresql://me:{after}{SECRET}{before}@host:5/db",
    ):
        assert SECRET not in shown_url(url)
        assert SECRET not in " ".join(without_passwords(["study", "--storage", url]))
