"""The command that hands networks over to other tools. Imports torch only in the job."""

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from asvit.commands.groups import OWN, Options
from asvit.commands.hand_over import print_record
from asvit.commands.options import TaskOptions
from asvit.commands.tables import say
from asvit.design.results import RESULTS
from asvit.errors import UserError, from_extra
from asvit.export.origin import run_around
from asvit.export.settings import ExportSettings
from asvit.networks.architecture import Task
from asvit.networks.named import read_architecture, read_task
from asvit.runs.progress import tell
from asvit.runs.records import recorded

DRAWN = Group("A network that was not trained", sort_key=2)
CARD = Group("Model card", sort_key=3)


class ExportOptions(
    Options[ExportSettings], of=ExportSettings, take=dict.fromkeys(("to", "tolerance", "push_to_hub"), OWN)
):
    """What is written, and where."""

    out: Path
    """New folder."""
    json: Annotated[bool, Parameter(negative=())] = False
    """Print the result record as JSON on stdout and nothing else."""


class DrawOptions(TaskOptions, group=DRAWN):
    """What a network is drawn for; a trained one knows."""

    seed: int | None = None
    """Random seed of the weights (default: 0)."""

    def refuse(self, network: str) -> None:
        """Refuse all of these options for a trained network.

        Raises:
            UserError: one was given.
        """
        given = [name for name, value in vars(self).items() if value is not None]
        if given:
            option = given[0].replace("_", "-")
            raise UserError(f"{network} is trained, and says its images and classes itself: leave out --{option}")


class CardOptions(Options[ExportSettings], of=ExportSettings, take={"license": OWN}, group=CARD):
    """What the card cannot know."""

    design: Path | None = None
    """Run directory of asvit design, grow or search that found the architecture."""


def export(
    network: str,
    /,
    *,
    options: ExportOptions,
    drawing: DrawOptions = DrawOptions(),
    about: CardOptions = CardOptions(),
) -> None:
    """Hand a classifier over to timm, onnxruntime or torch.export, with a model card; every file is checked.

    Parameters
    ----------
    network
        Run directory of train (its best checkpoint), checkpoint file, or an architecture: published name, text form, or
        file that a job wrote.
    """
    settings = about.over(options.over(ExportSettings(out=options.out)))
    with from_extra("train"):
        from asvit.export.job import run_export
        from asvit.export.release import drawn, trained

    path, found_in = Path(network), None
    if is_trained(path):
        drawing.refuse(network)
        release = trained(path)
    else:
        architecture = read_architecture(network)
        release = drawn(architecture, drawing.over(read_task(network) or Task()), seed=drawing.seed or 0)
        found_in = run_around(path) if path.exists() else None
    exported = run_export(release, settings, design=about.design or found_in)
    if options.json:
        print_record("export", exported)
        return
    for file in exported.files:
        say(f"{settings.out / file.file}: logits differ from torch's by at most {file.difference:.1g}")
    tell(f"model card: {settings.out / 'README.md'}")
    if settings.push_to_hub is not None:
        tell(f"published: hf-hub:{settings.push_to_hub}")


def is_trained(network: Path) -> bool:
    """Whether what an argument of `export` names is a training or a checkpoint; others name architectures.

    Raises:
        UserError: it is a detector.
    """
    run = recorded(network) if network.is_dir() else None
    job = None if run is None else run["job"]
    if job == "detect":
        raise UserError(f"{network} is a detector: expected a classifier of `asvit train`, or an architecture")
    return network.suffix == ".safetensors" or (network.is_dir() and job not in RESULTS)
