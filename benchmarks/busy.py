"""How fast is asvit beside another program, against an earlier version, and with several processes?

    python benchmarks/busy.py --before ../before/.venv/bin/python --json benchmarks/results/busy-cpu.json
    python benchmarks/busy.py design --before ... --design "--image-size 96 --params 3M" --rounds 3

Runs whole commands in turns, each in a new run directory, and takes their wall-clock seconds and the memory of all
their processes together:

- design: the earlier version and this one, on a quiet machine and with another program that keeps one core busy, at
  equal priority (`--conditions quiet` leaves the second out: the earlier version may take fifteen times as long then);
- measure: 16 random topologies by recipe paper, with one process, with two, and by two commands of one process at the
  same time, which share nothing: no more can be had of the machine's two cores than these get done.

`--before` is the Python of an environment in which the earlier version is installed. Let nothing else run meanwhile.
Needs Linux, whose /proc tells memory: pages that processes share count once.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from machine import provenance

from asvit.networks.space import TABLE_1

LOOK = 0.5
"""Seconds between looks at the memory."""
NETWORKS = 16
CONDITIONS = ("quiet", "busy")


def memory_of(session: int) -> int:
    """Bytes of all processes of a session, pages that some share counted once."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) == session:
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):  # it has ended, or is ending
            continue
    return total


def run(python: str, words: list[str], *, times: int = 1) -> dict[str, float]:
    """Run a command of asvit in a new folder, or several such at a time: seconds, and the most memory of all."""
    with tempfile.TemporaryDirectory() as folder:
        begin, most = time.perf_counter(), 0
        commands = [[python, "-m", "asvit", *words, "--out", str(Path(folder) / f"run-{i}")] for i in range(times)]
        processes = [
            subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, cwd=folder)
            for command in commands
        ]
        while any(process.poll() is None for process in processes):
            most = max(most, sum(memory_of(process.pid) for process in processes))
            time.sleep(LOOK)
        seconds = time.perf_counter() - begin
    for command, process in zip(commands, processes, strict=True):
        if process.returncode:
            sys.exit(f"{shlex.join(command)} ended with exit code {process.returncode}: the lines above say why")
    return {"seconds": round(seconds, 1), "gib": round(most / 2**30, 2)}


@contextmanager
def another_program(at_work: bool) -> Iterator[None]:
    """A program that keeps one core busy meanwhile, if any."""
    if not at_work:
        yield
        return
    program = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    try:
        yield
    finally:
        program.kill()
        program.wait()


def in_turns(cases: dict[str, Callable[[], dict[str, float]]], rounds: int) -> dict[str, list[dict[str, float]]]:
    """Every case once a round."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
    for number in range(rounds):
        for name, case in cases.items():
            found[name].append(case())
            print(f"round {number + 1} of {rounds}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    return found


def designs(before: str, words: list[str], conditions: list[str], rounds: int) -> dict[str, Any]:
    """The earlier version and this one, alone and beside another program."""

    def case(python: str, condition: str) -> Callable[[], dict[str, float]]:
        def timed() -> dict[str, float]:
            with another_program(condition == "busy"):
                return run(python, ["design", *words])

        return timed

    pythons = {"before": before, "now": sys.executable}
    cases = {
        f"{version}, {condition}": case(python, condition)
        for condition in conditions
        for version, python in pythons.items()
    }
    found = in_turns(cases, rounds)
    ratios = {
        f"now over before, {condition}": ratio(found, f"now, {condition}", f"before, {condition}")
        for condition in conditions
    }
    if set(conditions) == set(CONDITIONS):
        ratios |= {f"slowdown {version}": ratio(found, f"{version}, busy", f"{version}, quiet") for version in pythons}
    return {"design": shlex.join(words), "runs": found, "ratios": ratios}


def measurements(rounds: int) -> dict[str, Any]:
    """One process and two, and two commands at a time."""
    rng = np.random.default_rng(0)
    words = ["measure", *(str(TABLE_1.sample(rng)) for _ in range(NETWORKS)), "--recipe", "paper"]
    cases: dict[str, Callable[[], dict[str, float]]] = {
        f"{count} processes": lambda count=count: run(sys.executable, [*words, "--threads", str(count)])
        for count in (1, 2)
    }
    cases["2 commands"] = lambda: run(sys.executable, [*words, "--threads", "1"], times=2)
    found = in_turns(cases, rounds)
    twice = {"twice": [{"seconds": 2 * one["seconds"]} for one in found["1 processes"]]}
    return {
        "runs": found,
        "ratios": {
            "faster": ratio(found, "1 processes", "2 processes"),
            "two commands do more": ratio(found | twice, "twice", "2 commands"),
        },
    }


def ratio(found: dict[str, list[dict[str, float]]], one: str, other: str) -> dict[str, float]:
    """Median and range over rounds of the seconds of one case over those of another."""
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(found[one], found[other], strict=True)]
    shown = {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
    return {name: round(value, 3) for name, value in shown.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["design", "measure"], default=["design", "measure"])
    parser.add_argument("--before", help="Python of the environment of an earlier version, for design")
    parser.add_argument("--design", default="", help="options of asvit design (default: its defaults)")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if "design" in options.what and options.before is None:
        parser.error("--before is missing: the Python of an environment of an earlier version")
    found: dict[str, Any] = provenance()
    if "design" in options.what:
        found["designs"] = designs(options.before, shlex.split(options.design), options.conditions, options.rounds)
    if "measure" in options.what:
        found["measurements"] = measurements(options.rounds)
    text = json.dumps(found, indent=2) + "\n"
    print(text)
    if options.json is not None:
        options.json.write_text(text)


if __name__ == "__main__":
    main()
