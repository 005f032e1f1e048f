"""What the numbers of boxes and outlines seem to mean, where they are not what COCO's format says.

A box is compared with what its outline, or else its picture, says of it. Other readings are guessed, named and refused.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from asvit.detection.annotations import Annotation, Corners, Picture, corners, overlap
from asvit.errors import UserError

Box = tuple[float, float, float, float]
Reading = Callable[[Box, Picture], Corners]

FITS = 0.8
"""Intersection over union with the smallest box around an outline from which a box is that of the outline."""
DIFFERS = 0.5
"""Intersection over union below which it is not."""

CORNERS = "[x1, y1, x2, y2]"
OTHERS: dict[str, Reading] = {
    CORNERS: lambda box, picture: box,
    "[centre x, centre y, width, height]": lambda box, picture: _from_centre(*box),
    "[y, x, height, width]": lambda box, picture: corners((box[1], box[0], box[3], box[2])),
    "[y1, x1, y2, x2]": lambda box, picture: (box[1], box[0], box[3], box[2]),
    "[left, top, width, height] in percent of the picture": lambda box, picture: corners(_of_percent(box, picture)),
    "[x1, y1, x2, y2] in percent of the picture": lambda box, picture: _of_percent(box, picture),
}
"""What other formats write as a box."""


def _from_centre(x: float, y: float, width: float, height: float) -> Corners:
    return corners((x - width / 2, y - height / 2, width, height))


def _of_percent(box: Box, picture: Picture) -> Box:
    across, down = picture.width / 100, picture.height / 100
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def refuse_shares(path: Path, annotations: Sequence[Annotation]) -> None:
    """Refuse boxes or outlines most of which are given as shares of width and height.

    Raises:
        UserError: they are.
    """
    polygons = [one.segmentation for one in annotations if one.segmentation and isinstance(one.segmentation, list)]
    boxes = sum(_shares(one.bbox) and min(one.bbox[2:]) > 0 for one in annotations)
    outlines = sum(all(polygon and _shares(polygon) for polygon in shape) for shape in polygons)
    for what, some, of, expected in (
        ("boxes", boxes, len(annotations), "[left, top, width, height]"),
        ("outlines", outlines, len(polygons), "[x1, y1, x2, y2, ...]"),
    ):
        if 2 * some > of:
            raise UserError(
                f"{some} of {of} {what} in {path} are relative, shares of width and height from 0 to 1: expected "
                f"{expected} in pixels; export them in COCO's format, or multiply them by width and height"
            )


def _shares(numbers: Sequence[float]) -> bool:
    return all(0 <= x <= 1 for x in numbers)


class Readings:
    """Counts in which readings the boxes of some annotations can be understood."""

    def __init__(self) -> None:
        self.boxes, self.usual = 0, 0
        """Boxes, and those of them that fit as COCO's format says."""
        self.others: Counter[str] = Counter()
        """Boxes that do not, and fit in another reading."""

    def look_at(self, one: Annotation, picture: Picture, bounds: Corners | None) -> str | None:
        """Count an annotation.

        Args:
            one: the annotation.
            picture: its picture.
            bounds: the smallest box around its outline; None where it has none.

        Returns:
            Why its box is not that of its outline, or None.
        """
        self.boxes += 1
        if bounds is None:
            fits = _within(corners(one.bbox), picture)
            self.usual += fits
            self.others[CORNERS] += not fits and _within(one.bbox, picture)
            return None
        share = overlap(corners(one.bbox), bounds)
        if share >= FITS:
            self.usual += 1
            return None
        fitting = [words for words, read in OTHERS.items() if overlap(read(one.bbox, picture), bounds) >= FITS]
        self.others.update(fitting)
        if fitting and share < DIFFERS:
            return f"has a box that fits its outline only as {fitting[0]}"
        return None if share else "has an outline that lies outside of its box"

    def refuse_others(self, path: Path) -> None:
        """Refuse boxes of which more fit in another reading than as COCO's format says.

        Raises:
            UserError: they do.
        """
        for words in OTHERS:
            if self.others[words] > self.usual:
                raise UserError(
                    f"{self.others[words]} of {self.boxes} boxes in {path} fit only as {words}: expected "
                    "[left, top, width, height] in pixels; export them in COCO's format, or convert them"
                )


def _within(box: Corners, picture: Picture) -> bool:
    """Whether corners are those of a box that lies within its picture, but for a rounding."""
    left, top, right, bottom = box
    return -1 <= left < right <= picture.width + 1 and -1 <= top < bottom <= picture.height + 1
