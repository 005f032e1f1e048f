"""What the commands find, to be compared before and after a change that is to change nothing.

    uv run python tests/golden/values.py before.json --keep runs/before     # on the commit before
    uv run python tests/golden/values.py after.json --against before.json   # on the same machine, after it

Values are those of one processor: another rounds otherwise. `values.json` beside this file holds what one machine
found; `tests/test_golden_values.py` (marked slow) compares with it to three digits. With `--keep`, run directories
stay, for the next version to go on with.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from coco_sets import coco_folder  # noqa: E402

TINY = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8"
SEEDS = (0, 1)
DESCRIBED = ["seed", "small", "base", "large", "4,2,4|3,2,2|2,1,2|4,1,4|32", "4,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,88|2"]
SMOKE = ("--recipe", "smoke", "--threads", "1")
JOBS = {
    **{f"search-{seed}": ("search", *SMOKE, "--seed", str(seed)) for seed in SEEDS},
    **{f"grow-{seed}": ("grow", "seed", *SMOKE, "--seed", str(seed)) for seed in SEEDS},
    **{f"design-{seed}": ("design", *SMOKE, "--seed", str(seed)) for seed in SEEDS},
    "train": (
        *("train", TINY, "--data", "digits", "--recipe", "digits", "--stage-epochs", "1", "1", "2"),
        *("--warmup-epochs", "1", "--threads", "1"),
    ),
    "detect": ("detect", "train", TINY, "--data", "scenes", *SMOKE, "--workers", "1"),
    "study": ("study", "--data", "digits", *SMOKE, "--least-ratio", "0", "--workers", "1"),
}
"""Run directory and command of every job."""
TIMES = ("seconds", "waiting", "images_per_second")


def asvit(*words: str, cwd: Path) -> str:
    """What a command prints."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "asvit", *words]
    return subprocess.run(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def values(folder: Path) -> dict[str, Any]:
    """Run everything in a folder, and what came out, by job."""
    if not (folder / "scenes").exists():  # of run directories that an earlier version left
        coco_folder(folder / "scenes", train=12, val=5)
    found: dict[str, Any] = {
        f"describe {text}": json.loads(asvit("describe", text, "--json", cwd=folder)) for text in DESCRIBED
    }
    for name, command in JOBS.items():
        print(name, file=sys.stderr, flush=True)
        asvit(*command, "--out", name, cwd=folder)
        found[name] = outcome(folder / name)
    return found


def outcome(run: Path) -> Any:
    """Of a run directory: its result, the digest of the last weights, or a study's accuracies. No times."""
    if (run / "topologies.csv").exists():
        with (run / "topologies.csv").open(newline="") as file:
            kept = ("network", "seed", "top1", "loss", "params", "macs", "length", "ntk")
            return [{column: row[column] for column in kept} for row in csv.DictReader(file)]
    result = json.loads((run / "result.json").read_text())
    if (run / "checkpoints").exists():
        last = max((run / "checkpoints").glob("epoch-*.safetensors"))
        weights = hashlib.sha256(tensors_of(last.read_bytes())).hexdigest()
        epochs = [{key: value for key, value in epoch.items() if key not in TIMES} for epoch in result["epochs"]]
        return {"checkpoint": last.name, "weights": weights, "epochs": epochs}
    return result


def tensors_of(content: bytes) -> bytes:
    """The part of a safetensors file behind its header, which says versions and times."""
    return content[8 + int.from_bytes(content[:8], "little") :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path)
    parser.add_argument("--against", type=Path, help="values found before: ends with 1 where one differs")
    parser.add_argument("--keep", type=Path, help="folder for the run directories (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = values(folder)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.against:
        before = json.loads(options.against.read_text())
        differing = [name for name in {**before, **found} if before.get(name) != found.get(name)]
        print("\n".join(f"{name} differs" for name in differing) or f"all {len(found)} are the same")
        sys.exit(bool(differing))


if __name__ == "__main__":
    main()
