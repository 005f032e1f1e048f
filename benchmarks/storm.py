"""Is anything lost when jobs are killed?

Starts commands, kills them at random moments, repeats them, kills them again, and compares what they have written in
the end with what they write undisturbed:

    uv run python benchmarks/storm.py --json benchmarks/results/storm.json

SIGINT goes to all processes of the job, as from a terminal; SIGTERM to its main process; SIGKILL to this or to one that
loads or trains for it. Moments are uniform from where asvit begins to where it would end undisturbed. Before that, in
Python's own first 50 ms, Ctrl-C is Python's. Faults, each of which is counted:

- lost: a measurement, a training or a checkpoint that was there is gone, or the command does not go on to its end;
- differ: files that are not those of the undisturbed run (storm_jobs.py says what is compared), or more or fewer;
- processes: some of the job are alive half a minute after its end;
- files: what is temporary is left (after SIGKILL: when the command has been repeated), in the run directory, in the
  folder of temporary files, in shared memory;
- code: another exit code than 130, 143 or -9;
- words: not one line more than usual after SIGINT or SIGTERM, or a traceback after anything;
- hangs: no end within two minutes of the signal.

Needs Linux, whose /proc tells which processes belong to a job. What lies in shared memory does not say whose it is: let
nothing else that uses it, such as tests, run meanwhile. The exit code is 1 where there are faults.
"""

import argparse
import itertools
import json
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from machine import provenance
from storm_jobs import JOBS, RUN, Kept, content, kept
from storm_launch import HELPER, SIGNALS, Launch, command_lines, marked, shared_memory, temporary

CODES = {"SIGKILL": (-9,), "SIGTERM": (143,), "SIGINT": (130,)}
WORDS = {"SIGTERM": "asvit: terminated", "SIGINT": "asvit: stopped"}
GOES_ON = "; the same command goes on from what was kept"
OF_HELPERS = ("loading images in", "a process that measured is gone")
FAULTS = ("lost", "differ", "processes", "files", "code", "words", "hangs")
TRACKER = "resource_tracker:"
NEVER = ("Traceback", "Exception ignored", "Fatal Python error", TRACKER)
MOST_KILLS = 6
"""Kills of a job before it is left to its end."""
PATIENCE = 120.0
"""Seconds after which a process hangs that was told to end; undisturbed, three times as much."""
GRACE = 30.0
"""Seconds that processes of a job may outlive it: one that still imports has not yet looked whether it is alive."""


@dataclass
class Tally:
    """What happened in kills of one kind of one job."""

    kills: int = 0
    resumed: int = 0
    """Kills after which the same command went on to its end."""
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """Longest time from a signal to the end of the main process."""

    @property
    def sound(self) -> bool:
        """Whether there was no fault."""
        return not self.faults.total()


@dataclass(frozen=True)
class Undisturbed:
    """What a job does when nothing happens to it."""

    seconds: float
    content: dict[str, str]
    headings: frozenset[str]
    """How lines that it says begin."""
    caches: frozenset[str]
    """What it leaves in the folder of temporary files, such as torch's caches, which serve the next command."""


class Storm:
    """Jobs, killed until time is over, and what was found."""

    def __init__(self, jobs: list[str], seed: int, root: Path) -> None:
        """Begin with nothing."""
        self.jobs, self.seed, self.root = jobs, seed, root
        self.tallies: dict[tuple[str, str], Tally] = {}
        self.undisturbed: dict[str, Undisturbed] = {}
        self.details: list[str] = []
        self.counting = threading.Lock()
        self.sockets = 0
        """Folders that Python's fork server of a process that was killed has left: no program can prevent that."""

    def see_undisturbed(self, name: str) -> None:
        """Run a job to its end."""
        folder = self.folder(f"{name} undisturbed")
        JOBS[name].make(folder)
        launch = Launch(JOBS[name], folder)
        if not launch.wait(3 * PATIENCE) or launch.process.returncode:
            launch.end()
            raise SystemExit(f"{name} does not work undisturbed:\n{launch.said()}")
        seconds = time.monotonic() - launch.began
        headings = frozenset(map(heading, launch.said().splitlines()))
        self.undisturbed[name] = Undisturbed(seconds, content(folder / RUN), headings, frozenset(temporary(folder)))

    def round(self, number: int, until: float) -> None:
        """Kill a job several times, then let it end."""
        name = self.jobs[number % len(self.jobs)]
        rng = np.random.default_rng([self.seed, number])
        folder = self.folder(f"{name} {number}")
        job, usual = JOBS[name], self.undisturbed[name]
        job.make(folder)
        struck: list[str] = []
        launches: list[Launch] = []
        have = kept(folder / RUN)
        for _ in range(int(rng.integers(2, MOST_KILLS + 1))):
            how = str(rng.choice([*SIGNALS, HELPER] if job.helpers else [*SIGNALS]))
            moment = rng.uniform(0, usual.seconds)
            if time.monotonic() > until:
                break
            launch = Launch(job, folder)
            launches.append(launch)
            if launch.wait(launch.began + moment - time.monotonic()) or not launch.strike(how, rng):
                code = launch.process.wait()
                self.fault(name, how, "lost", f"before a signal: {code}: {launch.said()[-1500:]}", int(code != 0))
                break
            have = self.after(name, how, moment, launch, have)
            struck.append(how)
            if rng.random() < 0.5:  # otherwise the same command is given at once
                self.count_processes(name, how, launch)
            if how == HELPER and launch.process.returncode == 0:
                break
        self.to_the_end(name, struck, launches, have)

    def after(self, name: str, how: str, moment: float, launch: Launch, before: Kept) -> Kept:
        """Count what a signal has done."""
        begun, place = time.monotonic(), len(launch.said())
        ended = launch.wait(PATIENCE if how != HELPER else 3 * PATIENCE)
        seconds = time.monotonic() - begun
        with self.counting:
            tally = self.tally(name, how)
            tally.kills += 1
            # A study goes on without the one that was killed: that is no time to end.
            tally.seconds = max(tally.seconds, 0.0 if how == HELPER else seconds)
        print(f"{name}: {how} after {moment:.1f} s, over {seconds:.1f} s later", file=sys.stderr, flush=True)
        if not ended:
            self.fault(name, how, "hangs", f"at {moment:.2f} s: {launch.said()[-300:]}")
            launch.end()
        else:
            self.look_at_code(name, how, launch)
            self.look_at_words(name, how, launch, place)
        if how in WORDS:
            # What a SIGKILL has left lies there until the job gets as far as its run directory again; Python's folders
            # of sockets stay for good.
            again = "run directory: " in launch.said()
            earlier = [file for file in launch.found if is_of_sockets(file) or not again]
            left = [file for file in self.left(name, launch.folder) if file not in earlier]
            self.fault(name, how, "files", ", ".join(left), len(left))
        now = kept(launch.folder / RUN)
        self.fault(name, how, "lost", f"at {moment:.2f} s", now.lost_since(before))
        return now

    def look_at_code(self, name: str, how: str, launch: Launch) -> None:
        """Count another exit code than promised."""
        job = JOBS[name]
        expected = CODES.get(how, (0,) if job.survives else (0, 2))
        code = launch.process.returncode
        # What ends by itself between look and signal has done its work.
        if code not in expected and code != 0:
            self.fault(name, how, "code", f"{code}: {launch.said()[-500:]}")

    def look_at_words(self, name: str, how: str, launch: Launch, place: int) -> None:
        """Count other words than promised."""
        said, after = launch.said(), launch.said()[place:].splitlines()
        # After SIGKILL Python's own tracker removes what the process cannot, and says so.
        wrong = [word for word in NEVER if word in said and (word != TRACKER or how != "SIGKILL")]
        farewells = [line for line in said.splitlines() if line.startswith("asvit: ")]
        if how in WORDS and launch.process.returncode:
            opened = "run directory: " in said
            allowed = [WORDS[how] + GOES_ON, *([] if opened else [WORDS[how]])]
            if len(farewells) != 1 or farewells[0] not in allowed or said.splitlines()[-1] != farewells[0]:
                wrong.append(f"farewell {farewells}")
            known = self.undisturbed[name].headings | {"asvit"}
            wrong += [f"line {line!r}" for line in after if heading(line) not in known]
        elif how == HELPER and launch.process.returncode == 2:
            if len(farewells) != 1 or not any(words in farewells[0] for words in OF_HELPERS):
                wrong.append(f"farewell {farewells}")
        elif farewells:
            wrong.append(f"farewell {farewells}")
        if wrong:
            self.fault(name, how, "words", f"{'; '.join(wrong)}: {said[-1500:]}")

    def count_processes(self, name: str, how: str, launch: Launch) -> None:
        """Count processes that outlive a launch."""
        end = time.monotonic() + GRACE
        while (left := marked(launch.mark)) and time.monotonic() < end:
            time.sleep(0.05)
        self.fault(name, how, "processes", "; ".join(command_lines(left).values()), len(left))
        launch.end()

    def to_the_end(self, name: str, struck: list[str], launches: list[Launch], have: Kept) -> None:
        """Repeat a job that was killed until it ends by itself, and compare what it has written."""
        if not struck:
            for launch in launches:
                launch.end()
            return
        folder, last = launches[0].folder, struck[-1]
        launch = Launch(JOBS[name], folder)
        ended = launch.wait(3 * PATIENCE)
        code = launch.process.poll()
        whole = ended and code == 0
        if not whole:
            self.fault(name, last, "lost", f"repeated after {struck}: {code}: {launch.said()[-1500:]}")
        elif any(word in launch.said() for word in NEVER):
            self.fault(name, last, "words", f"repeated after {struck}: {launch.said()[-1500:]}")
        for one in [*launches, launch]:
            self.count_processes(name, last, one)
        if whole:
            usual, now = self.undisturbed[name].content, content(folder / RUN)
            self.fault(name, last, "lost", "at the end", kept(folder / RUN).lost_since(have))
            differ = [file for file in usual if now.get(file) != usual[file]]
            self.fault(name, last, "differ", f"after {struck}: {differ} in {folder}", len(differ))
            left = [file for file in now if file not in usual] + self.left(name, folder)
            sockets = [file for file in left if is_of_sockets(file)]
            with self.counting:
                self.sockets += len(sockets)
                for how in struck:
                    self.tally(name, how).resumed += 1
            left = [file for file in left if file not in sockets or "SIGKILL" not in struck]
            self.fault(name, last, "files", f"after {struck}: {left}", len(left))

    def left(self, name: str, folder: Path) -> list[str]:
        """Temporary files of a job, which is not at work."""
        return [file for file in temporary(folder) if file not in self.undisturbed[name].caches]

    def tally(self, name: str, how: str) -> Tally:
        """Count of a job and a signal."""
        return self.tallies.setdefault((name, how), Tally())

    def fault(self, name: str, how: str, kind: str, detail: str, count: int = 1) -> None:
        """Count faults, if there are any."""
        if count:
            with self.counting:
                self.tally(name, how).faults[kind] += count
                self.details.append(f"{name}, {how}, {kind}: {detail}")
            print(f"FAULT {self.details[-1]}", file=sys.stderr, flush=True)

    def folder(self, name: str) -> Path:
        """A new folder."""
        folder = self.root / name
        folder.mkdir()
        return folder


def is_of_sockets(file: str) -> bool:
    """Whether a file is the folder of Python's fork server, which stays where that process is killed by SIGKILL."""
    return Path(file).name.startswith("pymp-")


def heading(line: str) -> str:
    """How a line begins: what follows the colon differs from run to run."""
    return line.partition(":")[0]


def storm(jobs: list[str], *, minutes: float, seed: int, at_once: int, root: Path) -> Storm:
    """Kill jobs until time is over."""
    until = time.monotonic() + 60 * minutes
    found = Storm(jobs, seed, root)
    before = shared_memory()
    numbers: Iterator[int] = itertools.count()

    def lane() -> None:
        while time.monotonic() < until:
            with found.counting:
                number = next(numbers)
            found.round(number, until)

    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(found.see_undisturbed, name) for name in jobs]:
            done.result()
        for done in [pool.submit(lane) for _ in range(at_once)]:
            done.result()
    left = shared_memory() - before
    found.fault("all", "all", "files", f"in /dev/shm: {sorted(left)}", len(left))
    return found


def table(found: Storm) -> list[dict[str, Any]]:
    """Counts by job and signal."""
    return [
        {
            "job": name,
            "signal": how,
            "kills": tally.kills,
            "resumed": tally.resumed,
            **{kind: tally.faults[kind] for kind in FAULTS},
            "longest seconds to end": round(tally.seconds, 1),
        }
        for (name, how), tally in sorted(found.tallies.items())
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="jobs that are at work then are left to their ends")
    parser.add_argument("--seed", type=int, default=0, help="of the kinds of signals, their moments and their number")
    parser.add_argument("--only", nargs="+", choices=list(JOBS), default=list(JOBS), metavar="JOB")
    parser.add_argument("--at-once", type=int, default=2, help="jobs at a time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    # A shell that starts this in the background makes it, and what it starts, deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="storm-") as root:
        found = storm(
            options.only, minutes=options.minutes, seed=options.seed, at_once=options.at_once, root=Path(root)
        )
    rows = table(found)
    columns = ("job", "signal", "kills", "resumed", *FAULTS, "longest seconds to end")
    print(f"{'job':13s} {'signal':20s}" + "".join(f"{name:>10s}" for name in columns[2:]))
    for row in rows:
        print(f"{row['job']:13s} {row['signal']:20s}" + "".join(f"{row[name]:>10}" for name in columns[2:]))
    kills, faults = sum(row["kills"] for row in rows), sum(tally.faults.total() for tally in found.tallies.values())
    print(f"{kills} kills, {faults} faults")
    if options.json:
        seconds = {name: round(usual.seconds, 1) for name, usual in found.undisturbed.items()}
        record = {
            **provenance(),
            "minutes": options.minutes,
            "kills": kills,
            "faults": faults,
            "seconds undisturbed": seconds,
            "folders left by Python's fork server after SIGKILL": found.sockets,
            "counts": rows,
            "what was wrong": found.details,
        }
        options.json.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
