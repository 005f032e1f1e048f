"""The progress display where stderr is no terminal, and on one."""

import io
import re

import pytest
from rich.console import Console

from asvit.runs import progress
from asvit.runs.progress import ProgressDisplay, shown


def test_lines_where_there_is_no_terminal(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, width=40)) as display:
        for step in (1, 2, 3, 4):
            display.update("search", step, 4, count=f"step {step} of 4", facts="reward +0.10 [x]")
            now += 6.0
        display.update("growth", 0.5, 1.0, count="step 1", facts="now 8,2|4,1")
        display.update("training", 1, 1, count="epoch 1 of 1", facts="")  # the first that is said, and the last
    assert out.getvalue().splitlines() == [
        "search: step 1 of 4, reward +0.10 [x], time left unknown",
        "search: step 3 of 4, reward +0.10 [x], 6 seconds left",  # nothing at step 2, six seconds after the first line
        "search: step 4 of 4, reward +0.10 [x], nothing left",
        "growth: step 1, now 8,2|4,1, time left unknown",
        "training: epoch 1 of 1, nothing left",
    ]


def test_a_job_that_ends_in_a_named_time_never_has_more_left(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, width=80)) as display:
        for done, most in ((0, 60), (1, 40), (6, 20)):
            display.update("round 1", done, 8, count=f"{done} of 8", facts="", most=most)
            now += 20.0
    assert out.getvalue().splitlines() == [
        "round 1: 0 of 8, 60 seconds left",  # nothing tells yet, but that
        "round 1: 1 of 8, 40 seconds left",  # at its pace 140
        "round 1: 6 of 8, 13 seconds left",
    ]


def test_a_live_display_on_a_terminal():
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, force_terminal=True, width=160)) as display:
        display.update("search", 1, 4, count="step 1 of 4", facts="entropy 15.33")
        display.update("growth", 0.5, 1.0, count="choice 2 of 12", facts="29.05M parameters")
    assert "step 1 of 4" in out.getvalue()
    assert "29.05M parameters" in out.getvalue()


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_of_a_live_display_is_wider_than_the_terminal(width):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=40, color_system=None)
    facts = "512 images/s, 1/16 of the tokens, loss 2.061, top-1 37.3%, 3 unreadable, last dark/0.png: cannot identify"
    with ProgressDisplay(console) as display:
        display.update("training", 1, 4, count="epoch 1 of 300", facts=facts)
    lines = [re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", out.getvalue())]
    assert max(map(len, lines)) <= width
    last = [line for line in lines if line.strip()][-2:]
    assert "epoch 1 of 300" in last[0]
    assert last[1].startswith("512 images/s, 1/16 of the tokens")


def test_batches_are_shown_while_they_are_given_out(capsys):
    assert list(shown(["ab", "c"], 3, "evaluation")) == ["ab", "c"]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "evaluation: 2 of 3 images, time left unknown"
    assert said[-1].startswith("evaluation: 3 of 3 images, nothing left")
