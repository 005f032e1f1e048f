"""The page that says what a day on a GPU brought."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpu_steps import Step


def attempts(results: Path) -> list[dict[str, Any]]:
    """All runs of steps so far, on any day and machine."""
    path = results / "steps.json"
    return json.loads(path.read_text()) if path.exists() else []


def as_page(steps: Sequence[Step], runs: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> str:
    """Markdown: a row a step with its last run and what it found, then the ends of the logs of what is not done."""
    last = {run["step"]: run for run in runs}
    lines = [
        "# What has run on a device",
        "",
        "Made by `benchmarks/gpu.py`: the last run of each step. Its figures and its log are the files of its name.",
        "",
        "| step | ended | seconds | busy | device | date | commit | found |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for step in steps:
        attempt = last.get(step.name)
        if attempt is None:
            lines.append(f"| {step.name}: {step.title} | not run | | | | | | |")
            continue
        busy = "" if attempt["busy"] is None else f"{attempt['busy']:.0%}"
        cells = [
            f"{step.name}: {step.title}",
            attempt["ended"],
            f"{attempt['seconds']:.0f} of {attempt['limit']:.0f}",
            busy,
            attempt["hardware"],
            attempt["date"],
            attempt["commit"],
            found(step, results.get(step.name)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    for step in steps:
        attempt = last.get(step.name)
        if attempt is not None and attempt["ended"] != "done":
            code = "" if attempt["exit_code"] is None else f", exit code {attempt['exit_code']}"
            lines += ["", f"## {step.name}: {attempt['ended']}{code}", "", "```text", *attempt["log"], "```"]
    versions = sorted({f"{attempt['date']}: {attempt['versions']}" for attempt in runs})
    lines += ["", "## Versions", "", *(f"- {line}" for line in versions), ""]
    return "\n".join(lines)


def found(step: Step, result: Any) -> str:
    """A step's main figures, in a cell of the table; a result of a shape of before has none."""
    if result is None:
        return "no result file"
    try:
        return step.headline(result).replace("|", "\\|")
    except (KeyError, TypeError, IndexError, ValueError):
        return "see its file"


def has_run(results: Path) -> list[str]:
    """A line for each step: how its last run on a card ended, on which card, and when."""
    last = {attempt["step"]: attempt for attempt in attempts(results) if attempt["device"] == "cuda"}
    lines = [f"{a['step']}: {a['ended']} on {a['hardware']}, {a['date']}, commit {a['commit']}" for a in last.values()]
    return lines or ["nothing yet: benchmarks/gpu.py has its steps"]
