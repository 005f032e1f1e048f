"""A day on a GPU of which there are only minutes: steps in order of worth, each a process with a limit and a result.

    python benchmarks/gpu.py --device cuda --minutes 9
    python benchmarks/gpu.py --device cpu --minutes 3 --out runs/gpu-cpu     # every step in miniature
    python benchmarks/gpu.py --list                                          # the commands of the steps

A step that fails or runs out of time stops no other. Started again, on this machine or another, it goes on with what is
missing: what is done stands in the files of `--out` and nowhere else. `gpu.md` there says what ran, for how long, on
what, and how what failed ended. What the steps need beside this repository is collected by `benchmarks/gpu_carry.sh`.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from gpu_page import as_page, attempts
from gpu_steps import STEPS, Day, Step
from machine import GOES_ON, ROOT, provenance, watching_card

from asvit.runs.devices import usable_cores
from asvit.runs.records import write_file

LEAVE = 10
"""Seconds that are left at the end, for the page."""
TO_STOP = 5
"""Seconds that a step has to stop in, once it is asked to."""
SLOWER = 3
"""Times a step's limit that its miniature may take: the card is fast, and starting a program on a busy CPU is not."""
LEAST_OF_A_MINIATURE = 5
"""Seconds without which none is begun."""
LOG_BYTES = 2**17
MOST_BYTES = 16 * 2**20
"""Of all results together: more does not come back from such a machine."""


@dataclass(frozen=True)
class Attempt:
    """One run of a step."""

    step: str
    ended: str
    """``done``, ``goes on``, ``failed`` or ``out of time``."""
    exit_code: int | None
    seconds: float
    limit: float
    busy: float | None
    """Share of the time in which the card computed; None on a CPU, or where nobody can tell."""
    command: str
    device: str
    hardware: str
    versions: str
    commit: str
    date: str
    log: list[str]
    """Last lines of what it said, where it is not done."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: every step in miniature")
    parser.add_argument("--minutes", type=float, default=9.0, help="in which all ends, results written")
    parser.add_argument("--carried", type=Path, default=ROOT / "carried", help="folder of benchmarks/gpu_carry.sh")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/gpu", help="of results and logs")
    parser.add_argument("--only", nargs="+", default=[], metavar="STEP", help="these steps, and no others")
    parser.add_argument("--again", nargs="+", default=[], metavar="STEP", help="run these although they are done")
    parser.add_argument("--at-once", type=int, help="steps at a time (default: 1; on a CPU one more than cores)")
    parser.add_argument("--pack", type=Path, help="write all results into one .tar.gz file as well")
    parser.add_argument("--list", action="store_true", help="print the commands of the steps, and run nothing")
    options = parser.parse_args()
    names = [step.name for step in STEPS]
    unknown = [name for name in (*options.only, *options.again) if name not in names]
    if unknown:
        parser.error(f"unknown steps {', '.join(unknown)}: expected some of {', '.join(names)}")
    if options.list:
        print(commands(options.device))
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here: --device cpu runs every step in miniature")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is stopped on the way out, and the page written
    end = time.monotonic() + 60 * options.minutes - LEAVE
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = [step for step in STEPS if step.name in (options.only or names)]
    missing = [s for s in chosen if s.name in options.again or not is_done(options.out, s, options.device)]
    at_once = options.at_once or (usable_cores() + 1 if options.device == "cpu" else 1)
    with tempfile.TemporaryDirectory() as work:
        day = Day(options.device, options.carried.absolute(), options.out.absolute(), Path(work))
        try:
            run_steps(missing, day, end, at_once)
        finally:
            finish_day(options.out, options.pack)


def run_steps(steps: Sequence[Step], day: Day, end: float, at_once: int) -> None:
    """Run steps, so many at a time, each within its limit and the time that is left."""
    waiting, running = list(steps), []
    try:
        while waiting or running:
            if waiting and len(running) < at_once:
                running += begin(waiting.pop(0), day, end)
                continue
            for run in running:
                if run.process.poll() is not None or time.monotonic() > run.begun + run.limit:
                    run.finish(day)
            running = [run for run in running if not run.finished]
            time.sleep(0.1)
    finally:
        for run in running:
            run.stop()


@dataclass
class Run:
    """A step at work."""

    step: Step
    command: list[str]
    limit: float
    log: Path
    busy: Callable[[], float | None]
    around: ExitStack
    process: subprocess.Popen
    begun: float
    finished: bool = False

    def stop(self) -> int | None:
        """End it with all that it has started; its exit code, None if it was at work until now."""
        code = self.process.poll()
        for ask in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, ask)
                self.process.wait(TO_STOP)
            except ProcessLookupError:
                break  # none is left
            except subprocess.TimeoutExpired:
                continue
        self.around.close()
        return code

    def finish(self, day: Day) -> None:
        """Write down how it ended."""
        code = self.stop()
        seconds = time.monotonic() - self.begun
        ended = {None: "out of time", 0: "done", GOES_ON: "goes on"}.get(code, "failed")
        keep_end(self.log)
        came_from = provenance()
        attempt = Attempt(
            self.step.name,
            ended,
            code,
            round(seconds, 1),
            round(self.limit, 1),
            self.busy(),
            shlex.join(day.named(word) for word in self.command),
            day.device,
            *(came_from[key] for key in ("hardware", "versions", "commit", "date")),
            log=[] if ended == "done" else self.log.read_text(errors="replace").splitlines()[-15:],
        )
        so_far = json.dumps([*attempts(day.out), asdict(attempt)], indent=2)
        write_file(day.out / "steps.json", so_far.encode() + b"\n")
        print(f"{self.step.name}: {ended} after {seconds:.0f} s", flush=True)
        self.finished = True


def begin(step: Step, day: Day, end: float) -> list[Run]:
    """The step at work; nothing where too little time is left for it."""
    left = end - time.monotonic()
    on_a_card = day.device == "cuda"
    limit = min(left, step.seconds if on_a_card else SLOWER * step.seconds)
    least = step.least if on_a_card else LEAST_OF_A_MINIATURE
    if left < least:
        print(f"{step.name}: not begun, {max(0, left):.0f} s are left and it needs {least:.0f}", flush=True)
        return []
    print(f"{step.name}: {step.title}, at most {limit:.0f} s", flush=True)
    command, log, around = step.command(day, limit), day.out / f"{step.name}.log", ExitStack()
    busy = around.enter_context(watching_card(day.device))
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": ":".join(python_path())}
    if day.device == "cpu":
        environment |= {"OMP_NUM_THREADS": "1"}  # threads would wait for those of other steps
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=around.enter_context(log.open("wb")),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return [Run(step, command, limit, log, busy, around, process, time.monotonic())]


def finish_day(out: Path, pack: Path | None) -> None:
    """Write the page, and all results into one file where that was asked for."""
    (out / "gpu.md").write_text(as_page(STEPS, attempts(out), results(out)))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if size > MOST_BYTES:
        print(f"results take {size / 2**20:.1f} MiB, more than 16: make a step write less", file=sys.stderr)
    if pack:
        with tarfile.open(pack, "w:gz") as tar:
            tar.add(out, out.name)
    print(out / "gpu.md")


def python_path() -> list[str]:
    """Where the steps find packages: the sources of this checkout first, then what this process was given."""
    given = os.environ.get("PYTHONPATH", "")
    return [str(ROOT / "src"), *(part for part in given.split(":") if part)]


def keep_end(log: Path) -> None:
    """The last part of a long log."""
    content = log.read_bytes()
    if len(content) > LOG_BYTES:
        log.write_bytes(b"[...]\n" + content[-LOG_BYTES:])


def is_done(out: Path, step: Step, device: str) -> bool:
    """Whether a step has run to its end on such a device."""
    return any(a["step"] == step.name and a["device"] == device and a["ended"] == "done" for a in attempts(out))


def results(out: Path) -> dict[str, dict]:
    """What steps wrote, by step."""
    there = ((step.name, out / f"{step.name}.json") for step in STEPS)
    return {name: json.loads(path.read_text()) for name, path in there if path.exists()}


def commands(device: str) -> str:
    """The steps and their commands, one after the other."""
    day = Day(device, Path("carried"), Path("results"), Path("work"))
    lines = []
    for step in STEPS:
        lines += [
            f"# {step.name}: {step.title}",
            shlex.join(day.named(word) for word in step.command(day, step.seconds)),
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
