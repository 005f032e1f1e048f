"""Every reader of foreign bytes: whole files of its kind, and what has to hold of all that it reads.

The one rule: a file is read, or refused by a `UserError` in one line of sensible length. Whatever else comes of it is
a fault. `test_readers.py` holds some mutants to it, `benchmarks/fuzz.py` as many as there is time for.
"""

import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import reading_files as files
import reading_jobs as jobs
from mutants import mutant
from strange import in_one_line

from asvit.errors import UserError


class FaultError(AssertionError):
    """What no input may bring about."""


Case = tuple[str, bytes]
"""Name and content of a file; the end of the name says which kind it is."""


@dataclass(frozen=True)
class Reader:
    """A reader and its whole files."""

    whole: Callable[[], Mapping[str, bytes]]
    """Makes files that are read."""
    read: Callable[[Path], None]
    """Reads one, and asserts what has to hold of what was read."""
    rewrites: bool = False
    """Whether the file itself may be written, and others beside it, as databases are."""
    examples: int = 60
    """Mutants that the default tests try."""


READERS: dict[str, Reader] = {
    "pictures": Reader(files.pictures, files.read_picture, examples=200),
    "arrays": Reader(files.arrays, files.read_picture, examples=150),
    "tiffs": Reader(files.tiffs, files.read_picture, examples=200),
    "annotations": Reader(files.annotations, files.read_annotations),
    "tars": Reader(files.tars, files.read_tar, examples=100),
    "tables": Reader(files.tables, files.read_trainings, examples=200),
    "architectures": Reader(jobs.architectures, jobs.read_architecture_file, examples=100),
    "records": Reader(jobs.records, jobs.read_run, examples=15),
    "checkpoints": Reader(jobs.checkpoints, jobs.read_checkpoint_file, examples=40),
    "exports": Reader(jobs.exports, jobs.read_export, examples=40),
    "ledgers": Reader(jobs.ledgers, jobs.read_ledger, rewrites=True, examples=100),
    "studies": Reader(jobs.studies, jobs.read_study, rewrites=True, examples=15),
    "urls": Reader(files.urls, files.read_url, examples=150),
    "commands": Reader(jobs.command_lines, jobs.read_command_line, examples=40),
}
"""By what they read."""


def mutant_of(whole: Mapping[str, bytes], rng: random.Random) -> Case:
    """A file of a reader with some damage."""
    name = rng.choice([*whole])
    return name, mutant(name, whole[name], rng, [*whole.values()])


def outcome(reader: Reader, folder: Path, case: Case) -> str:
    """What a reader makes of a file: ``read``, or the line with which it is refused.

    Raises:
        FaultError: anything else came of it.
    """
    name, content = case
    path = folder / name
    path.write_bytes(content)
    before = listing(folder)
    try:
        with limits():
            reader.read(path)
        said = "read"
    except UserError as error:
        if not in_one_line(error):
            raise FaultError(f"refused in {len(str(error))} characters: {str(error)[:300]!r}") from error
        said = " ".join(str(error).split())
        if "more memory than there is" in said:
            raise FaultError(said) from error
    except FaultError:
        raise
    except Exception as error:
        raise FaultError(f"{type(error).__name__}: {str(error)[:300]}") from error
    finally:
        written = listing(folder) ^ before
        if reader.rewrites:
            for other in written:
                (folder / other).unlink()
        elif path.exists() and path.read_bytes() != content:
            written.add(name)
        path.unlink(missing_ok=True)
    if written and not reader.rewrites:
        raise FaultError(f"written: {sorted(written)}")
    return said


def listing(folder: Path) -> set[str]:
    """Files and folders below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@contextmanager
def limits() -> Iterator[None]:
    """Around a reader: nothing is waited for, no page is written, and images are bounded more closely."""
    waits = mock.Mock(side_effect=FaultError("it waits"))
    with (
        mock.patch("asvit.images.bounds.MOST_VALUES", 2**22),
        mock.patch("asvit.report.page._write", lambda path, page: path),
        mock.patch("asvit.study.storage.time.sleep", waits),
        mock.patch("asvit.study.storage.RETRY", math.inf),
    ):
        yield


def kind_of(said: str) -> str:
    """A message without what is of one input only: names of files, numbers, and what was quoted from it.

    >>> kind_of("cannot read /tmp/a.json: $.x is 1,234.5, not 'y'; expected JSON")
    'cannot read FILE: $.x is N, not …'
    """
    said = re.sub(r"(?:[a-z]+:)?/[^\s:;,]*", "FILE", said.partition(";")[0])
    said = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "…", said)
    return re.sub(r"-?\d+(?:[,.e+-]+\d+)*", "N", said)[:90]


def small(case: Case) -> Case:
    """A file as it is kept: compressed where it is large."""
    import lzma

    name, content = case
    return (name, content) if len(content) < 9000 else (f"{name}.xz", lzma.compress(content))


def kept(path: Path) -> Case:
    """A file that was kept, by its own name: ``DIGEST-NAME``."""
    import lzma

    name = path.name.partition("-")[2]
    if name.endswith(".xz"):
        return name.removesuffix(".xz"), lzma.decompress(path.read_bytes())
    return name, path.read_bytes()
