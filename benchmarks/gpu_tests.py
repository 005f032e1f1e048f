"""The tests of a device, each with its outcome, in a file that is written anew after every one of them.

Runs `pytest -m gpu --device DEVICE tests/gpu` in this process, without the options and plugins of the project's
environment, which the machine with the device may not have; exits with pytest's code.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in tests: of torch, which machine.py imports

import pytest
from machine import ROOT, provenance

from asvit.runs.records import write_file

FIRST = ("measures", "memory", "design", "training", "detection", "commands", "study", "interrupted", "compiled")
"""Files of tests in order of worth; those not named here come last."""
LINES = 40
"""Last lines of a failure that are kept."""


class Record:
    """Keeps what becomes of every test."""

    def __init__(self, path: Path | None, about: dict[str, Any]) -> None:
        self.path, self.about = path, about
        self.tests: dict[str, dict[str, Any]] = {}
        self.warnings: Counter[str] = Counter()
        self.planned: int | None = None
        self.begin = time.perf_counter()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.planned = len(session.items)
        self.write()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.tests[report.nodeid] = {"outcome": "error", "seconds": 0.0, "said": last_lines(report.longreprtext)}
            self.write()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self.tests.setdefault(report.nodeid, {"outcome": "running", "seconds": 0.0})
        test["seconds"] = round(test["seconds"] + report.duration, 2)
        if report.skipped:
            test |= {"outcome": "skipped", "reason": reason_of(report)}
        elif report.failed:
            outcome = "failed" if report.when == "call" else "error"
            test |= {"outcome": outcome, "said": last_lines(report.longreprtext)}
        elif report.when == "teardown" and test["outcome"] == "running":
            test["outcome"] = "passed"
        if report.when == "teardown" or not report.passed:
            self.write()

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        self.tests[nodeid] = {"outcome": "running", "seconds": 0.0}
        self.write()

    def pytest_warning_recorded(self, warning_message: Any) -> None:
        self.warnings[f"{warning_message.category.__name__}: {last_lines(str(warning_message.message), 3)}"] += 1

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self.about["exit_code"] = int(exitstatus)
        self.write()

    def write(self) -> None:
        """Write the file, whole or not at all."""
        if self.path is None:
            return
        write_file(self.path, json.dumps(self.content(), indent=2).encode() + b"\n")

    def content(self) -> dict[str, Any]:
        """What the file says: counts and reasons of skips first."""
        counts = Counter(test["outcome"] for test in self.tests.values())
        skipped = Counter(test["reason"] for test in self.tests.values() if test["outcome"] == "skipped")
        return {
            **self.about,
            "seconds": round(time.perf_counter() - self.begin, 1),
            "planned": self.planned,
            "counts": dict(sorted(counts.items())),
            "skipped": dict(skipped),
            "warnings": dict(self.warnings),
            "tests": self.tests,
        }


def in_order(folder: Path) -> list[str]:
    """Files of tests, those of most worth first."""
    names = {path.stem.removeprefix("test_gpu_"): str(path) for path in sorted(folder.glob("test_*.py"))}
    return [names.pop(name) for name in FIRST if name in names] + [*names.values()]


def reason_of(report: pytest.TestReport) -> str:
    """Why a test was skipped."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return reason.removeprefix("Skipped: ")


def last_lines(text: str, count: int = LINES) -> str:
    return "\n".join(text.strip().splitlines()[-count:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="where the tests run; cpu: a miniature")
    parser.add_argument("--json", type=Path, help="file of the outcomes")
    parser.add_argument("--select", help="only tests whose names match, as pytest's -k")
    options = parser.parse_args()
    record = Record(options.json, {**provenance(), "device": options.device})
    words = ["-o", "addopts=", "-o", "faulthandler_timeout=120", "-p", "no:cacheprovider", "-q", "-ra"]
    words += ["--durations=15", "-m", "gpu", "--device", options.device, *in_order(ROOT / "tests" / "gpu")]
    sys.exit(pytest.main([*words, *(["-k", options.select] if options.select else [])], plugins=[record]))


if __name__ == "__main__":
    main()
