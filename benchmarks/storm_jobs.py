"""The jobs that benchmarks/storm.py kills: their commands, what they have kept, and what has to be the same in the end.

Compared is every file of a run directory: names, bytes of architectures and pictures, tensors and headers of
checkpoints by digest, the rows of the ledger and of tables, the trainings of a study, records. Not compared are

- times (TIMES) and what is computed from them: no two runs have the same;
- the report, which shows them: it has to be whole;
- in a study's database the numbers of its trials and those that failed: a training that was given back is a new trial;
- files of locks, which are empty, beyond their names.
"""

import csv
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from safetensors import safe_open

TIMES = ("seconds", "waiting", "images_per_second", "saved_time")
"""Fields of records and columns of tables that are times, or come of them."""
TINY = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8"
"""A network for trainings."""
RUN = "run"
"""Run directory of every job, in a folder of its own."""
MEASUREMENTS = """SELECT description, subject, repeat, metric, value, invalid
    FROM measurement JOIN context ON id = context"""
TRAININGS = """SELECT value_json FROM trials JOIN trial_user_attributes AS attribute
    ON attribute.trial_id = trials.trial_id WHERE key = 'trained' AND state = 'COMPLETE'"""


def nothing(folder: Path) -> None:
    """Make no images."""


def squares(folder: Path) -> None:
    """Make a data set laid out like COCO: squares on noise."""
    rng = np.random.default_rng(0)
    for split, images in (("train", 12), ("val", 4)):
        (folder / "set" / f"{split}2017").mkdir(parents=True)
        document: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "square"}]}
        for number in range(1, images + 1):
            image = Image.fromarray(rng.integers(90, 150, (72, 96, 3), dtype=np.uint8))
            (left, top), side = map(int, rng.integers(0, 40, 2)), int(rng.integers(20, 32))
            right, bottom = left + side, top + side
            ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), fill=(220, 60, 60))
            image.save(folder / "set" / f"{split}2017" / f"{number}.png")
            outline = [left, top, right, top, right, bottom, left, bottom]
            box = {"id": number, "image_id": number, "category_id": 1, "bbox": [left, top, side, side]}
            document["images"].append({"id": number, "file_name": f"{number}.png", "height": 72, "width": 96})
            document["annotations"].append({**box, "segmentation": [outline], "area": side * side, "iscrowd": 0})
        (folder / "set" / "annotations").mkdir(exist_ok=True)
        (folder / "set" / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(document))


@dataclass(frozen=True)
class Job:
    """A command that is killed."""

    words: str
    make: Callable[[Path], None] = nothing
    """Makes the images that it reads."""
    threads: int = 1
    """Threads; with two, processes measure side by side."""
    helpers: bool = False
    """Whether processes load, measure or train for it."""
    survives: bool = False
    """Whether it goes on when one of these is killed; else it ends with a line, exit code 2."""

    @property
    def arguments(self) -> list[str]:
        """Command line of asvit."""
        return [*self.words.split(), "--threads", str(self.threads), "--out", RUN]


JOBS = {
    "search": Job("search --recipe smoke --steps 60"),
    "grow": Job("grow 4,2,2|2,1,2|2,1,2|2,1,2|32 --recipe smoke --params 3M"),
    "design": Job("design --recipe smoke --steps 20"),
    "design by two": Job("design --recipe smoke --steps 60 --repeats 2", threads=2, helpers=True),
    "train": Job(
        f"train {TINY} --data digits --recipe digits --stage-epochs 1 1 1 --warmup-epochs 1 --workers 1 "
        "--checkpoint-minutes 0",
        helpers=True,
    ),
    "detect train": Job(
        f"detect train {TINY} --data set --recipe smoke --workers 1 --checkpoint-minutes 0", make=squares, helpers=True
    ),
    "study": Job(
        "study --data digits --recipe smoke --least-ratio 0 --topologies 3 --metrics length,ntk,params --workers 2 "
        "--heartbeat 4",
        helpers=True,
        survives=True,
    ),
}


@dataclass(frozen=True)
class Kept:
    """What a job has measured and trained so far, none of which it may lose."""

    facts: frozenset[str]
    """Measurements, and trainings of a study."""
    place: tuple[int, int]
    """Epoch and step of the last checkpoint."""

    def lost_since(self, earlier: "Kept") -> int:
        """How many facts are gone, and steps back a training has gone."""
        return len(earlier.facts - self.facts) + (self.place < earlier.place)


def kept(run: Path) -> Kept:
    """What a run directory holds."""
    facts = [*rows(run / "measurements.sqlite", MEASUREMENTS), *rows(run / "study.sqlite3", TRAININGS)]
    names = [path.stem.removeprefix("epoch-").split("-step-") for path in run.glob("checkpoints/epoch-*.safetensors")]
    places = [(int(epoch), int(step[0]) if step else 0) for epoch, *step in names]
    return Kept(frozenset(facts), max(places, default=(0, 0)))


def rows(database: Path, query: str) -> list[str]:
    """Rows of a database that may not be there yet, sorted, without times."""
    if not database.exists():
        return []
    # Not for reading only: what a process that was killed has left half written, SQLite then takes back, as for asvit.
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=rw", uri=True, timeout=60)) as connection:
        try:
            found = connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
    values = [[timeless(json.loads(value)) if is_json(value) else value for value in row] for row in found]
    return sorted(json.dumps(row) for row in values)


def is_json(value: object) -> bool:
    """Whether a database holds an object as text."""
    return isinstance(value, str) and value.startswith("{")


def content(run: Path) -> dict[str, str]:
    """What is compared of a run directory: a digest for every file."""
    files = sorted(path for path in run.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(run)): hashlib.sha256(compared(path)).hexdigest() for path in files}


def compared(path: Path) -> bytes:
    """What is compared of a file."""
    if path.suffix == ".html":
        return path.read_bytes().rstrip()[-7:]
    if path.suffix in (".sqlite", ".sqlite3"):
        query = MEASUREMENTS if path.suffix == ".sqlite" else TRAININGS
        return "\n".join(dict.fromkeys(rows(path, query))).encode()
    if path.suffix == ".safetensors":
        return b"".join(parts_of(path))
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            return as_bytes([timeless(row) for row in csv.DictReader(file)])
    if path.suffix in (".json", ".jsonl"):
        texts = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
        return as_bytes([timeless(json.loads(text)) for text in texts])
    return path.read_bytes()


def parts_of(checkpoint: Path) -> Iterator[bytes]:
    """Tensors and header of a checkpoint, without times; its own digests are of a header with them."""
    with safe_open(checkpoint, "np") as file:
        yield as_bytes(timeless(json.loads(file.metadata()["asvit"])))
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name)
            yield f"{name} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes()


def timeless(record: Any) -> Any:
    """A record without times."""
    if isinstance(record, dict):
        return {name: timeless(value) for name, value in record.items() if name not in TIMES}
    return [timeless(value) for value in record] if isinstance(record, list) else record


def as_bytes(record: Any) -> bytes:
    """A record as bytes that tell any difference."""
    return json.dumps(record).encode()
