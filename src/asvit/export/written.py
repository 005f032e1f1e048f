"""What an export leaves behind. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

FormatName = Literal["timm", "onnx", "torch"]


@dataclass(frozen=True)
class Written:
    """A file that was written, read back and compared."""

    format: FormatName
    file: str
    bytes: int
    difference: float
    """Largest absolute difference of a logit from that of the network in memory."""
