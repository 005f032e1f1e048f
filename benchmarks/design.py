"""How long does a whole design take, how much memory, and what does it find?

Runs `asvit design` in a new run directory as a user would, and records wall-clock seconds, of the search and of growth
too, peak memory, how busy the card was, and the family:

    uv run python benchmarks/design.py --recipe quick --json benchmarks/results/design-quick.json
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine import asvit, provenance, watching_card

Said = tuple[float, str]
"""When the command said a line: seconds since the epoch."""


def follow(command: list[str]) -> list[Said]:
    """Run a command, pass on what it says on stderr, and note when it began, said what, and ended."""
    said: list[Said] = [(time.time(), "")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said.append((time.time(), line))
            print(line, end="", file=sys.stderr, flush=True)
    if process.returncode:
        sys.exit(f"asvit design ended with exit code {process.returncode}: the lines above say why")
    return [*said, (time.time(), "")]


def seconds_by_phase(said: Sequence[Said], written: float) -> dict[str, float]:
    """What each part took.

    Args:
        said: lines of the command, which says when it begins, and every search's last step.
        written: when the result was: the family is complete, and only the report is missing.
    """
    searching = next(when for when, line in said if line.startswith("run directory:"))
    growing = max(when for when, line in said if line.startswith("search:"))
    times = {"start": searching, "search": growing, "growth": written, "report": said[-1][0]}
    begins = [said[0][0], *times.values()]
    return {phase: round(end - begin, 1) for (phase, end), begin in zip(times.items(), begins, strict=False)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quick")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=Path, help="folder of photographs for the kernel (default: scikit-image's)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="run directory to keep (default: a temporary one)")
    options = parser.parse_args()
    words = ["design", "--recipe", options.recipe, "--device", options.device]
    with tempfile.TemporaryDirectory() as temporary:
        out = options.keep or Path(temporary) / "run"
        images = [] if options.images is None else ["--images", str(options.images)]
        with watching_card(options.device) as busy:
            said = follow(asvit(*words, *images, "--out", str(out)))
        result = json.loads((out / "result.json").read_text())
        run = json.loads((out / "run.json").read_text())
        phases = seconds_by_phase(said, (out / "result.json").stat().st_mtime)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # kilobytes on Linux
    search, growth = result["search"], result["growth"]
    record: dict[str, Any] = {
        **provenance(),
        "job": f"asvit {' '.join(words)}",
        "device": run["environment"]["device"],
        "threads": run["environment"]["threads"],
        "seconds": round(said[-1][0] - said[0][0], 1),
        "seconds_by_phase": phases,
        "card_busy": busy(),
        "peak_memory_gib": round(peak, 2),
        "search": {
            "steps": len(search["steps"]),
            "measurements": len(search["measurements"]),
            "final_entropy": search["steps"][-1]["entropy"],
            "most_probable": search["most_probable"],
            "best_ranked": search["best_ranked"],
            "invalid": sum(found["invalid"] is not None for found in search["measurements"].values()),
        },
        "measurements_of_growth": len(growth["measurements"]),
        "growth": [step["architecture"] for step in growth["steps"]],
        "family": [
            {key: member[key] for key in ("architecture", "params", "macs", "share", "grown")}
            for member in result["family"]
        ],
    }
    print(json.dumps(record, indent=2))
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
