"""Write a network for other tools, every file read back and compared, and a model card: what `asvit export` runs."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already: expected a new folder, choose another --out")
    out = out.resolve()
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(out)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write {out}: {reason(error)}; make room or choose another --out") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
