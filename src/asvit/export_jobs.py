"""The job behind export."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from safetensors import SafetensorError

from asvit.design.results import RESULTS
from asvit.errors import UserError
from asvit.export.card import model_card, write_card
from asvit.export.formats import FORMATS, require, write
from asvit.export.hub import check_repository, push
from asvit.export.origin import origin, run_around
from asvit.export.release import Release, drawn, trained
from asvit.export.written import Written
from asvit.export_options import CardOptions, DrawOptions, ExportOptions
from asvit.job import tell
from asvit.networks.architecture import Task
from asvit.records import SCHEMA, read_architecture, read_task, recorded, to_json


def run_export(network: str, options: ExportOptions, drawing: DrawOptions, about: CardOptions) -> None:
    """`asvit export`: files for other tools, each read back and compared, and a model card."""
    for name in options.to:
        require(name)
    if options.push_to_hub is not None:
        check_repository(options.push_to_hub)
    release, design = release_of(network, drawing)
    found = origin(release.name, about.design or design)
    with appearing(options.out) as folder:
        files = []
        for name in options.to:
            tell(f"writing {FORMATS[name].file}, and comparing it with the network")
            files.append(write(release, name, folder, tolerance=options.tolerance))
        source = f"local-dir:{options.out.resolve().name}"
        card = model_card(release, found, files, source=source, license=about.license)
        write_card(card, folder, options.out.resolve().name)
        if options.push_to_hub is not None:  # before the folder has its name: the command can be repeated
            published = [file for file in files if file.format == "timm"]
            hub = model_card(release, found, published, source=f"hf-hub:{options.push_to_hub}", license=about.license)
            push(release, hub, options.push_to_hub)
    show_export(release, options, files)


def release_of(network: str, drawing: DrawOptions) -> tuple[Release, Path | None]:
    """What an argument of `export` names, and the run directory that its architecture was found in, where it shows.

    Raises:
        UserError: it is a detector, or nothing of ours.
    """
    path = Path(network)
    run = recorded(path) if path.is_dir() else None
    job = None if run is None else run["job"]
    if job == "detect":
        raise UserError(f"{network} is a detector: expected a classifier of `asvit train`, or an architecture")
    if path.suffix == ".safetensors" or (path.is_dir() and job not in RESULTS):
        drawing.refuse(network)
        return trained(path), None
    architecture = read_architecture(network)
    release = drawn(architecture, drawing.task(read_task(network) or Task()), seed=drawing.seed or 0)
    return release, run_around(path) if path.exists() else None


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
        raise UserError(f"cannot write {out}: {error}; make room or choose another --out") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def show_export(release: Release, options: ExportOptions, files: Sequence[Written]) -> None:
    """Say what was written and how far it is from the network."""
    if options.json:
        record = {"network": release.name, "folder": str(options.out), "files": msgspec.to_builtins(files)}
        print(to_json({"schema": SCHEMA, "job": "export", **record}).decode(), end="")
        return
    for file in files:
        print(f"{options.out / file.file}: logits differ from torch's by at most {file.difference:.1g}")
    tell(f"model card: {options.out / 'README.md'}")
    if options.push_to_hub is not None:
        tell(f"published: hf-hub:{options.push_to_hub}")
