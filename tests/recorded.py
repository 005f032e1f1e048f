"""Times of a design's measurements in the order they were made; the ledger has none, the result has it.

python tests/recorded.py RUN > tests/recorded/NAME.json
"""

import json
import sqlite3
import sys
from pathlib import Path

from asvit.networks.architecture import Architecture
from asvit.networks.space import Topology


def recorded(run: Path) -> dict[str, object]:
    """Images, budgets, and for every step of search and of growth what was measured and how many seconds it took."""
    result, asked = (json.loads((run / f"{name}.json").read_text()) for name in ("result", "run"))
    with sqlite3.connect(f"file:{run / 'measurements.sqlite'}?mode=ro", uri=True) as ledger:
        rows = ledger.execute(
            "SELECT subject, sum(seconds) FROM measurement WHERE metric IN ('length', 'ntk') GROUP BY 1"
        )
        seconds = {subject: round(time, 3) for subject, time in rows}
    divisor = asked["config"]["growth"]["width_divisor"]
    proxy = f" at 1/{divisor} width" if divisor > 1 else ""
    return {
        "task": result["task"],
        "limits": [limit["limit"] for limit in asked["config"]["limits"]],
        "divisor": divisor,
        "search": [(step["topology"], seconds[seed_network(step["topology"])]) for step in result["search"]["steps"]],
        "growth": [
            (before["architecture"], [(name, seconds[name + proxy]) for name in after["candidates"]])
            for before, after in zip(result["growth"]["steps"], result["growth"]["steps"][1:], strict=False)
        ],
    }


def seed_network(topology: str) -> str:
    return str(Architecture(Topology.parse(topology)))


if __name__ == "__main__":
    print(json.dumps(recorded(Path(sys.argv[1])), indent=1))
