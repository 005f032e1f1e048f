"""The progress display where stderr is no terminal, and on one."""

import io

from rich.console import Console

from asvit.runs import progress
from asvit.runs.progress import ProgressDisplay


def test_lines_where_there_is_no_terminal(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, width=40)) as display:
        for step in (1, 2, 3, 4):
            display.update("search", step, 4, count=f"step {step} of 4", facts="reward +0.10 [x]")
            now += 6.0
        display.update("growth", 0.5, 1.0, count="step 1", facts="now 8,2|4,1")
    assert out.getvalue().splitlines() == [
        "search: step 1 of 4, reward +0.10 [x], time left unknown",
        "search: step 3 of 4, reward +0.10 [x], 6 s left",  # nothing at step 2, six seconds after the first line
        "search: step 4 of 4, reward +0.10 [x], 0 s left",
        "growth: step 1, now 8,2|4,1, time left unknown",
    ]


def test_a_live_display_on_a_terminal():
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, force_terminal=True, width=160)) as display:
        display.update("search", 1, 4, count="step 1 of 4", facts="entropy 15.33")
        display.update("growth", 0.5, 1.0, count="choice 2 of 12", facts="29.05M parameters")
    assert "step 1 of 4" in out.getvalue()
    assert "29.05M parameters" in out.getvalue()
