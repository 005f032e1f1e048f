"""Damaged files for every reader, as many as there is time for: each is read, or refused in one line.

    python benchmarks/fuzz.py --minutes 60                  # all readers, one after the other
    python benchmarks/fuzz.py tiffs checkpoints --minutes 5

Readers, whole files and kinds of damage are those of the tests (tests/readers.py, tests/mutants.py). Hypothesis finds
the least damage that brings a fault about; that file is kept in tests/found/READER, where the default tests try it
ever after. Each reader runs in a process of its own with bounded memory and processor time, and is ended where it is
silent for too long. Exit code 1 where there are faults.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import machine
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.append(str(machine.ROOT / "tests"))

from readers import READERS, Case, FaultError, kind_of, mutant_of, outcome, small

FOUND = machine.ROOT / "tests" / "found"
"""Where files are kept that brought about a fault, a folder for each reader."""
MEMORY = 1024
"""MiB that a reader may take beyond what it has once it is loaded."""
SECONDS = 20
"""Of the processor, for one file."""
SILENCE = 120
"""Seconds without a word after which a reader is ended."""
ROUND = 100
"""Files with one seed of the random generator."""
MOST_DEATHS = 5
"""Of the process of a reader, after which it is not tried further."""


@dataclass
class Tally:
    """What came of damaged files."""

    inputs: int = 0
    read: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    """One of each kind."""
    memory_mib: int = 0
    """Most memory of the process beyond what it had once it was loaded."""
    slowest_seconds: float = 0.0
    """Of the processor, for one file."""
    messages: Counter[str] = field(default_factory=Counter)
    """With which files were refused."""

    def add(self, said: str, seconds: float) -> None:
        """Count one file."""
        self.inputs += 1
        self.slowest_seconds = round(max(self.slowest_seconds, seconds), 2)
        if said == "read":
            self.read += 1
        elif said:
            self.refused += 1
            self.messages[kind_of(said)] += 1

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(
            self.inputs + other.inputs,
            self.read + other.read,
            self.refused + other.refused,
            self.faults + other.faults,
            max(self.memory_mib, other.memory_mib),
            max(self.slowest_seconds, other.slowest_seconds),
            self.messages + other.messages,
        )

    def shown(self) -> dict[str, Any]:
        """For the result file, with the ten commonest messages."""
        kinds = len(self.messages)
        return asdict(self) | {"kinds_of_messages": kinds, "messages": dict(self.messages.most_common(10))}


class Hunt:
    """Tries damaged files on one reader, in this process."""

    def __init__(self, name: str, folder: Path, rng: random.Random) -> None:
        self.name, self.reader, self.folder, self.rng = name, READERS[name], folder, rng
        self.whole = self.reader.whole()
        self.tally, self.known = Tally(), set[str]()
        self.last: tuple[Case, str] = (("", b""), "")
        for case in self.whole.items():  # all that a reader loads is loaded
            self.attempt(case)
        self.tally = Tally()
        self.before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        limit = data_segment() + MEMORY * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        signal.signal(signal.SIGPROF, too_slow)

    def attempt(self, case: Case) -> None:
        """Try a file.

        Raises:
            FaultError: a fault that is not known yet comes of it.
        """
        current(self.folder).write_bytes(f"{case[0]}\n".encode() + case[1])
        errors = os.fstat(2).st_size
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        begin, said = time.process_time(), ""
        try:
            said = outcome(self.reader, self.folder / "files", case)
            if os.fstat(2).st_size > errors:
                raise FaultError("it writes to stderr")
        except FaultError as fault:
            kind = f"{kind_of(str(fault))} {place_of(fault)}"
            if kind not in self.known:
                self.last = (case, f"{fault} {place_of(fault)}")
                raise
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.tally.add(said, time.process_time() - begin)

    def round(self) -> None:
        """Try some files; the least that brings about a fault is kept."""

        @seed(self.rng.randrange(2**32))
        @settings(
            max_examples=ROUND,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=[HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.too_slow],
            report_multiple_bugs=False,
        )
        @given(st.randoms(use_true_random=False))
        def attempt(rng: random.Random) -> None:
            self.attempt(mutant_of(self.whole, rng))

        try:
            attempt()
        except FaultError as fault:
            case, said = self.last
            self.known.add(f"{kind_of(str(fault))} {place_of(fault)}")
            self.tally.faults.append(f"{keep(self.name, case)}: {said}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.tally.memory_mib = (peak - self.before) // 1024


def too_slow(number: int, frame: Any) -> None:
    """A file takes too long."""
    raise FaultError(f"it takes more than {SECONDS} s")


def place_of(fault: BaseException) -> str:
    """Function of ours in which the error arose that a fault is of."""
    found, error = "", fault.__cause__ or fault
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if f"{os.sep}asvit{os.sep}" in code.co_filename:
            found = f"{Path(code.co_filename).name}, {code.co_name}"
        trace = trace.tb_next
    return f"[{found}]"


def current(folder: Path) -> Path:
    """File that tells what a process died of."""
    return folder / "current"


def data_segment() -> int:
    """Bytes of memory that this process has asked for."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmData"))


def keep(name: str, case: Case) -> str:
    """Keep a file for the tests."""
    file, content = small(case)
    path = FOUND / name / f"{sha256(case[1]).hexdigest()[:8]}-{file}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path.relative_to(machine.ROOT))


def hunt(name: str, number: int, seconds: float, folder: Path, connection: Connection) -> None:
    """Try files until time is up; tells its tally after each round."""
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 2)
    warnings.simplefilter("error")  # they would be lines on a user's terminal
    (folder / "files").mkdir()
    found, end = Hunt(name, folder, random.Random(number)), time.monotonic() + seconds
    connection.send(found.tally)
    while time.monotonic() < end:
        found.round()
        connection.send(found.tally)


def tried(name: str, number: int, seconds: float) -> Tally:
    """What came of damaged files for one reader, in processes of its own, one after another where one dies."""
    tally, deaths, end = Tally(), 0, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and deaths < MOST_DEATHS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            here, there = multiprocessing.Pipe(duplex=False)
            child = multiprocessing.get_context("fork").Process(
                target=hunt, args=(name, number + deaths, left, folder, there)
            )
            child.start()
            there.close()
            own, why = Tally(), "died"
            try:
                while True:
                    if not here.poll(SILENCE + left * (own.inputs == 0)):
                        why = f"was silent for {SILENCE} s and was ended"
                        child.kill()
                    own = here.recv()
            except EOFError:
                child.join()
            if child.exitcode:
                deaths += 1
                head, _, content = (
                    current(folder).read_bytes().partition(b"\n") if current(folder).exists() else 3 * (b"",)
                )
                place = keep(name, (head.decode(), content)) if head else "before the first file"
                said = (folder / "said").read_text(errors="replace")[-2000:]
                own.faults.append(f"{place}: its process {why}, exit code {child.exitcode}: {said}")
            tally = tally.plus(own)
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", help=f"which: {', '.join(READERS)}; all unless said")
    parser.add_argument("--minutes", type=float, default=60, help="for all readers together")
    parser.add_argument("--seed", type=int, default=None, help="of the random generator; another one each time")
    parser.add_argument("--json", type=Path, help="result file")
    asked = parser.parse_args(arguments)
    names = asked.readers or [*READERS]
    if unknown := [name for name in names if name not in READERS]:
        parser.error(f"no reader {unknown[0]}: expected {', '.join(READERS)}")
    number = random.SystemRandom().randrange(2**32) if asked.seed is None else asked.seed
    found: dict[str, Tally] = {}
    for name in names:
        found[name] = tally = tried(name, number, 60 * asked.minutes / len(names))
        print(f"{name}: {tally.inputs:,} files, {tally.read:,} read, {tally.refused:,} refused, "
              f"{len(tally.faults)} faults", flush=True)  # fmt: skip
        print("".join(f"  {fault}\n" for fault in tally.faults), end="", flush=True)
        if asked.json:
            about = {**machine.provenance(), "seed": number, "minutes": asked.minutes}
            limits = {"memory_mib": MEMORY, "processor_seconds": SECONDS, "silence_seconds": SILENCE}
            total = {"inputs": sum(tally.inputs for tally in found.values()),
                     "faults": sum(len(tally.faults) for tally in found.values())}  # fmt: skip
            shown = {name: tally.shown() for name, tally in found.items()}
            asked.json.write_text(json.dumps(about | {"limits": limits, **total, "readers": shown}, indent=1) + "\n")
    return int(any(tally.faults for tally in found.values()))


if __name__ == "__main__":
    sys.exit(main())
