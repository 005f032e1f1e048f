"""Write a network for other tools, every file read back and compared, and a model card: what `asvit export` runs."""

import glob
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from asvit.errors import UserError, reason
from asvit.export.card import model_card, write_card
from asvit.export.formats import FORMATS, require, write
from asvit.export.hub import check_repository, push
from asvit.export.origin import origin
from asvit.export.release import Release
from asvit.export.settings import ExportSettings
from asvit.export.written import Written
from asvit.runs.progress import tell
from asvit.runs.records import UNFINISHED, remedy

LOCK = ".lock"
"""File in a folder that is being written, which the writing process holds."""


@dataclass(frozen=True)
class Exported:
    """What was written of a network."""

    network: str
    folder: str
    files: tuple[Written, ...]


def run_export(release: Release, settings: ExportSettings, *, design: Path | None) -> Exported:
    """Files for other tools, each read back and compared, and a model card.

    Args:
        release: network and what is known of it.
        settings: which files, where, and under which licence.
        design: run directory that found the architecture, where that is known.

    Raises:
        UserError: a file differs from the network, there is something in its place, or a package is missing.
    """
    for name in settings.to:
        require(name)
    if settings.push_to_hub is not None:
        check_repository(settings.push_to_hub)
    history = origin(release.network, design)
    with appearing(settings.out) as folder:
        files = []
        for name in settings.to:
            tell(f"writing {FORMATS[name].file}, and comparing it with the network")
            files.append(write(release, name, folder, tolerance=settings.tolerance))
        source = f"local-dir:{settings.out.resolve().name}"
        card = model_card(release, history, files, source=source, license=settings.license)
        write_card(card, folder, settings.out.resolve().name)
        if settings.push_to_hub is not None:  # before the folder has its name: the command can be repeated
            published = [file for file in files if file.format == "timm"]
            hub = f"hf-hub:{settings.push_to_hub}"
            push(
                release,
                model_card(release, history, published, source=hub, license=settings.license),
                settings.push_to_hub,
            )
    return Exported(release.name, str(settings.out), tuple(files))


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A folder to write in, which takes its name when all is in it.

    Raises:
        UserError: there is something already, or no room.
    """
    if out.is_symlink() and not out.exists():
        raise UserError(f"{out} is a link to nothing: expected a new folder, choose another --out")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already: expected a new folder, choose another --out")
    out = out.resolve()
    # A name that nobody can guess, so that no folder of somebody else's is written to.
    temporary = out.with_name(f".{out.name[:50]}.{token_hex(8)}.tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(out)
        temporary.mkdir()
        # Held as long as this process lives: what a killed one has left behind is known by a lock that nobody holds.
        with FileLock(temporary / LOCK):
            yield temporary
        (temporary / LOCK).unlink(missing_ok=True)
        temporary.replace(out)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot write {out}: {reason(error)}; {remedy(error, out.parent)} or choose another --out"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_unfinished(out: Path) -> None:
    """Remove folders that killed exports to the same place have left beside it."""
    for folder in out.parent.glob(f".{glob.escape(out.name[:50])}.*.tmp"):
        if not UNFINISHED.fullmatch(folder.name) or folder.is_symlink() or not (folder / LOCK).is_file():
            continue
        with suppress(Timeout, OSError), FileLock(folder / LOCK, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
