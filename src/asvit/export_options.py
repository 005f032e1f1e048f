"""Options of export: what they are called and what they mean. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from asvit.errors import UserError
from asvit.export.written import FormatName
from asvit.options import TaskOptions

_DRAWN = Group("A network that was not trained", sort_key=2)
_CARD = Group("Model card", sort_key=3)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is written, and where."""

    out: Path
    """New folder."""
    to: Annotated[tuple[FormatName, ...], Parameter(consume_multiple=True, negative=())] = ("timm",)
    """timm: a folder for timm and the Hugging Face hub; onnx: a graph for onnxruntime; torch: a program of
    torch.export. Several at once."""
    tolerance: float = 1e-4
    """Largest absolute difference of a logit between what was written and the network."""
    push_to_hub: str | None = None
    """Publish timm's files on the Hugging Face hub as OWNER/NAME."""
    json: Annotated[bool, Parameter(negative=())] = False
    """Print the result record as JSON on stdout and nothing else."""

    def __post_init__(self) -> None:
        if len(set(self.to)) != len(self.to) or not self.to:
            raise UserError(f"--to names {', '.join(self.to) or 'nothing'}: expected each of timm, onnx, torch once")
        if self.push_to_hub is not None and "timm" not in self.to:
            raise UserError("--push-to-hub publishes timm's files: expected timm among --to")
        if not self.tolerance >= 0:
            raise UserError(f"tolerance is {self.tolerance}: expected 0 or more")


@Parameter(name="*", group=_DRAWN)
@dataclass(frozen=True, kw_only=True)
class DrawOptions(TaskOptions):
    """What a network is drawn for; a trained one knows."""

    seed: int | None = None
    """Of the weights (default: 0)."""

    def refuse(self, network: str) -> None:
        """Refuse any for a trained network.

        Raises:
            UserError: one was given.
        """
        given = [name for name, value in vars(self).items() if value is not None]
        if given:
            option = given[0].replace("_", "-")
            raise UserError(f"{network} is trained, and says its images and classes itself: leave out --{option}")


@Parameter(name="*", group=_CARD)
@dataclass(frozen=True, kw_only=True)
class CardOptions:
    """What the card cannot know."""

    design: Path | None = None
    """Run directory of asvit design, grow or search that found the architecture."""
    license: str = "apache-2.0"
    """Identifier of the licence under which you hand the weights over."""
