"""How long does a whole design take, how much memory, and what does it find?

Runs `asvit design` in a new run directory as a user would, and records wall-clock seconds, peak memory and family:

    uv run python benchmarks/design.py --recipe quick --json benchmarks/results/design-quick.json
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import provenance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="quick")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="run directory to keep (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = options.keep or Path(temporary) / "run"
        command = [str(Path(sys.executable).parent / "asvit"), "design", "--recipe", options.recipe, "--out", str(out)]
        start = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
        result = json.loads((out / "result.json").read_text())
        run = json.loads((out / "run.json").read_text())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # kilobytes on Linux
    search = result["search"]
    record = {
        **provenance(),
        "job": f"asvit design --recipe {options.recipe}",
        "threads": run["environment"]["threads"],
        "seconds": round(seconds, 1),
        "peak_memory_gib": round(peak, 2),
        "search": {
            "steps": len(search["steps"]),
            "final_entropy": search["steps"][-1]["entropy"],
            "most_probable": search["most_probable"],
            "best_ranked": search["best_ranked"],
            "invalid": sum(found["invalid"] is not None for found in search["measurements"].values()),
        },
        "growth": [step["architecture"] for step in result["growth"]["steps"]],
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
