"""What is written of a network for other tools, where, and under which licence. Needs no torch."""

import re
from dataclasses import dataclass
from pathlib import Path

from asvit.errors import UserError, check_number
from asvit.export.written import FormatName


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What is written of a network, and where."""

    out: Path
    """New folder."""
    to: tuple[FormatName, ...] = ("timm",)
    """timm: a folder for timm and the Hugging Face hub; onnx: a graph for onnxruntime; torch: a program of
    torch.export. Several at once."""
    tolerance: float = 1e-4
    """Largest absolute difference of a logit between what was written and the network."""
    push_to_hub: str | None = None
    """Publish timm's files on the Hugging Face hub as OWNER/NAME."""
    license: str = "apache-2.0"
    """Identifier of the licence under which you hand the weights over."""

    def __post_init__(self) -> None:
        if len(set(self.to)) != len(self.to) or not self.to:
            raise UserError(f"--to names {', '.join(self.to) or 'nothing'}: expected each of timm, onnx, torch once")
        if self.push_to_hub is not None and "timm" not in self.to:
            raise UserError("--push-to-hub publishes timm's files: expected timm among --to")
        check_number("tolerance", self.tolerance, 0, 1_000_000)
        if re.fullmatch(r"[a-z0-9][a-z0-9.+_-]{0,63}", self.license, re.IGNORECASE) is None:
            raise UserError(
                f"the licence is {self.license!r}: expected an identifier of up to 64 letters, digits, dots and "
                "dashes, such as apache-2.0 or cc-by-4.0"
            )
