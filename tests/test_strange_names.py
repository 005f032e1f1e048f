"""Names that steer: of classes, files and licences, on a terminal, on pages and in model cards."""

import html
import io
import json
import re
import sys
import unicodedata
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from asvit.commands.hand_over import print_record
from asvit.commands.tables import in_ascii, new_table, print_table, say, show_any_character
from asvit.errors import WRITTEN_OUT, UserError, harmless
from asvit.export.card import in_markdown, in_python, in_yaml, model_card, write_card
from asvit.export.release import drawn
from asvit.export.settings import ExportSettings
from asvit.export.written import Written
from asvit.networks.architecture import Architecture, Task
from asvit.report.markup import escape, tag
from asvit.report.training.answers import Answered
from asvit.report.training.mistakes import confusion_table
from asvit.runs.progress import ProgressDisplay, tell
from asvit.training.results import Confused

NAMES = {
    "open": ("door [open]", "door [open]"),
    "closed": ("door [closed]", "door [closed]"),
    "end of markup": ("n/a [/]", "n/a [/]"),
    "bold": ("[bold]x[/bold]", "[bold]x[/bold]"),
    "link": ("[link=https://x.org]y[/link]", "[link=https://x.org]y[/link]"),
    "emoji code": (":cat:", ":cat:"),
    "line feed": ("two\nlines", "two␊lines"),
    "carriage return": ("over\rwritten", "over␍written"),
    "tab": ("a\tb", "a␉b"),
    "escape code": ("\x1b[31mred", "␛[31mred"),
    "title of a terminal": ("\x1b]0;own\x07", "␛]0;own␇"),
    "eight-bit control": ("\x9b31mred", r"\u009b31mred"),
    "delete": ("a\x7fb", r"a\u007fb"),
    "right to left": ("\u202egnp.exe", r"\u202egnp.exe"),
    "isolate": ("\u2066a\u2069", r"\u2066a\u2069"),
    "zero width": ("ca\u200bt", r"ca\u200bt"),
    "byte order mark": ("\ufeffcat", r"\ufeffcat"),
    "line separator": ("a\u2028b", r"a\u2028b"),
    "surrogate": ("caf\udce9", r"caf\udce9"),
    "HTML": ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    "entity": ("a &amp; b", "a &amp; b"),
    "quotes": ("\"a\" 'b'", "\"a\" 'b'"),
    "Markdown link": ("[x](javascript:alert)", "[x](javascript:alert)"),
    "Markdown picture": ("![x](https://x.org/y.png)", "![x](https://x.org/y.png)"),
    "code": ("`rm -rf`", "`rm -rf`"),
    "table": ("a|b", "a|b"),
    "YAML": ("a: b # c", "a: b # c"),
    "backslash": (r"C:\new", r"C:\new"),
    "accents": ("café κ 猫", "café κ 猫"),
    "Persian with a joiner": ("می\u200cخواهم", "می\u200cخواهم"),
}
"""Names of classes, and how they are shown."""


def shown_rows(capsys) -> list[str]:
    return [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip(" ─-")]


@pytest.mark.parametrize("case", NAMES)
def test_a_name_is_shown_as_it_is_and_steers_nothing(case, capsys):
    name, shown = NAMES[case]
    table = new_table()
    table.add_column(name)
    table.add_row(name)
    print_table(table)
    assert shown_rows(capsys) == [shown, shown]
    say(f"x.png: {name} 99.0%")
    tell(f"left out: {name}")
    out, err = capsys.readouterr()
    assert out == f"x.png: {shown} 99.0%\n"
    assert err == f"left out: {shown}\n"


def test_names_that_differ_are_shown_differently():
    shown = [harmless(name) for name, _ in NAMES.values()]
    assert len(set(shown)) == len(NAMES)


@pytest.mark.parametrize("case", NAMES)
def test_a_name_on_a_page_is_text(case):
    name, shown = NAMES[case]
    assert html.unescape(escape(name)) == shown
    attribute = re.fullmatch(r'<img alt="([^"]*)"></img>', tag("img", alt=name))
    assert attribute is not None
    assert html.unescape(attribute[1]) == shown


def test_a_confusion_matrix_shows_all_names():
    names = tuple(name for name, _ in NAMES.values())
    page = "".join(confusion_table(Answered(names, [Confused(i, i, 1) for i in range(len(names))])))
    assert "<script>" not in page
    for _, shown in NAMES.values():
        assert html.escape(shown) in page
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_console_of_any_encoding_shows_all(encoding, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    show_any_character()
    table = new_table("κ and λ")
    table.add_column("class")
    for name, _ in NAMES.values():
        table.add_row(name)
    print_table(table)
    record = {"classes": [name for name, _ in NAMES.values() if name != "caf\udce9"]}
    sys.stdout.flush()
    shown = written.getvalue().decode(encoding)
    assert "door [closed]" in shown
    assert ("κ" if encoding == "utf-8" else r"\u03ba") in shown
    written.seek(0)
    written.truncate()
    print_record("predict", record)
    sys.stdout.flush()
    assert json.loads(written.getvalue().decode(encoding))["classes"] == record["classes"]


def test_progress_shows_facts_as_they_are(capsys):
    with ProgressDisplay() as display:
        display.update("measure", 1, 1, count="1 of 1", facts="n/a [/]\x1b[31m :cat:")
    assert capsys.readouterr().err.startswith("measure: 1 of 1, n/a [/]␛[31m :cat:")


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(st.characters()))
def test_harmless_text_steers_nothing_and_keeps_what_is_seen(text):
    shown = harmless(text)
    assert not any(unicodedata.category(c) in WRITTEN_OUT and c not in "\u200c\u200d" for c in shown)
    assert harmless(shown) == shown
    if not any(unicodedata.category(c) in WRITTEN_OUT for c in text):
        assert shown == text


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(st.characters()))
def test_markdown_python_and_json_give_the_text_back(text):
    marked = in_markdown(text)
    assert re.sub(r"\\([\\`*_\[\]<>|~&$#!])", r"\1", marked) == harmless(text)
    assert not re.search(r"(?<!\\)(\\\\)*[`*_\[\]<>|~&$#!]", marked)
    assert eval(in_python(text)) == text or any(ord(c) > 0xFFFF or 0xD800 <= ord(c) < 0xE000 for c in text)
    assert json.loads(in_ascii(json.dumps(text, ensure_ascii=False))) == text


LICENCES = ["apache-2.0", "mit", "cc-by-nc-sa-4.0", "0bsd", "no", "null", "true", "Y", "1.0", "c-uda", "other"]


@pytest.mark.parametrize("licence", LICENCES)
def test_a_licence_is_the_same_word_in_yaml(licence, tmp_path):
    assert yaml.safe_load(f"license: {in_yaml(licence)}") == {"license": licence}
    assert ExportSettings(out=tmp_path, license=licence).license == licence


@pytest.mark.parametrize(
    "licence",
    ["", " ", "mit\nx: y", "mit # c", "[mit]", "{a: b}", "- mit", "a: b", "'mit", "*x", "&x", "m" * 65, "mït"],
)
def test_what_is_no_licence_is_refused(licence, tmp_path):
    with pytest.raises(UserError, match="expected an identifier"):
        ExportSettings(out=tmp_path, license=licence)


def test_a_model_card_says_names_as_they_are(tmp_path):
    names = tuple(name for name, _ in NAMES.values())[:20]
    task = Task(image_size=(32, 32), num_classes=20)
    release = replace(drawn(Architecture.parse("4,2,2|2,1,2|2,1,2|2,1,2|16"), task, seed=0), classes=names)
    files = [Written("timm", "model.safetensors", 1000, 0.0), Written("onnx", "model.onnx", 1000, 0.0)]
    source = 'local-dir:my "folder"\n```'
    write_card(model_card(release, "a\nb", files, source=source, license="no"), tmp_path, "# [x](y)\n<b>")
    card = (tmp_path / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "no"
    assert "# Model card for \\# \\[x\\](y)␊\\<b\\>\n" in card
    assert "- **Found:** a␊b\n" in card
    for name in names:
        assert in_markdown(name) in card
    assert r'timm.create_model("local-dir:my \"folder\"\n```", pretrained=True)' in card
    assert card.count("\n```\n") == 3  # ends of the two programs and of the citation
