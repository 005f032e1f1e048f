"""What a detector is: the sizes of its parts and how images are fitted to it."""

from dataclasses import dataclass
from pathlib import Path

from asvit.errors import UserError, check_number, check_whole
from asvit.networks.architecture import MOST_CHANNELS
from asvit.units import ValueRange

STRIDES = (4, 8, 16, 32)
"""Strides of a backbone's four maps."""
MOST_PIXELS = 8192
"""Largest side of an image."""
IOUS = (0.5, 0.6, 0.7)
"""Overlap with an object from which a box is its own, by stage of the cascade."""


@dataclass(frozen=True, kw_only=True)
class Resize:
    """How images are fitted to the detector: as large as both bounds allow, their shape kept."""

    short_side: int
    """Largest short side in pixels."""
    long_side: int
    """Largest long side in pixels."""
    square: bool
    """Whether every image is padded to a square of the long side, right and bottom (the paper: 1024)."""

    def __post_init__(self) -> None:
        for side in (self.short_side, self.long_side):
            check_whole("square" if self.square else "sides", side, 1, MOST_PIXELS)
        if self.short_side > self.long_side:
            raise UserError(
                f"images are fitted to {self.short_side} and {self.long_side} pixels: expected a short and a long side"
            )

    @classmethod
    def to_square(cls, side: int) -> "Resize":
        """Resizing that fits every image into a square.

        >>> Resize.to_square(1024)
        Resize(short_side=1024, long_side=1024, square=True)
        """
        return cls(short_side=side, long_side=side, square=True)


@dataclass(frozen=True, kw_only=True)
class SceneData:
    """Where pictures with objects are."""

    data: Path
    """Folder laid out like COCO: annotations/*train*.json and *val*.json, with pictures in a folder named after each
    (train2017 for instances_train2017.json), in train and val, or in images."""
    in_chans: int | None = None
    """Read pictures in grey (1) or colour (3); of arrays, the channels that they have to have (default: those of the
    pictures)."""
    value_range: ValueRange | None = None
    """Values of arrays that become 0 and 1; None: 0 and, of whole numbers, the largest of their type, of others 1."""
    max_left_out: int = 0
    """Annotations that may be left out since their boxes have no area or they lie beside their picture."""

    def __post_init__(self) -> None:
        if self.in_chans is not None:
            check_whole("in_chans", self.in_chans, 1, MOST_CHANNELS)
        check_whole("max_left_out", self.max_left_out, 0, 10**9)


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """Sizes of a Cascade Mask R-CNN; the defaults are the paper's or, where it is silent, those of common use."""

    resize: Resize = Resize(short_side=1024, long_side=1024, square=True)
    channels: int = 256
    """Channels of the feature pyramid and of all that reads it."""
    hidden: int = 1024
    """Width of the two fully connected layers of a box stage."""
    anchor_scale: float = 8.0
    """Side of the anchors of a map over its stride."""
    proposals: int = 1000
    """Boxes that the proposal network hands on for an image."""
    anchor_samples: int = 256
    """Anchors of an image that the proposal network learns from."""
    box_samples: int = 512
    """Boxes of an image that a stage learns from, up to a quarter of them on objects."""
    detections: int = 100
    """Most objects found in an image."""
    min_score: float = 0.05
    """Least score of an object found."""

    def __post_init__(self) -> None:
        most = {"channels": 4096, "hidden": 2**16, "detections": 10_000}
        most |= dict.fromkeys(("proposals", "anchor_samples", "box_samples"), 1_000_000)
        for name, value in most.items():
            check_whole(name, getattr(self, name), 1, value)
        check_number("anchor_scale", self.anchor_scale, 0, 1000, above=True)
        check_min_score(self.min_score)


def check_min_score(score: float) -> None:
    """Refuse what is no score of an object."""
    check_number("min_score", score, 0, 1, below=True)
