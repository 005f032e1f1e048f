"""Places for words beside the points of a chart, so that none lies on another, on a point or on a line."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

WIDTH, HEIGHT = 270.0, 190.0
"""Pixels of the smallest plane that is drawn: on a phone, or in a picture. In a larger one there is more room."""
PADDING = 14
"""Pixels between the outermost points and the edges of the plane."""
LETTER, LINE = 6.4, 12
"""Width of a letter and height of a line, in pixels."""
MARK, STEP = 7, 4
"""Half the side of a point, and the distance at which lines are looked at, in pixels."""

Align = Literal["left", "center", "right"]
Point = tuple[float, float]
"""Place in the plane, both from 0 to 1, upwards and to the right."""


@dataclass(frozen=True)
class Place:
    """Where words stand beside their point, in pixels to the right and down."""

    align: Align
    dx: int
    dy: int


NEAR = (
    Place("center", 0, -14),
    Place("center", 0, 15),
    Place("left", 10, 0),
    Place("right", -10, 0),
    Place("left", 8, 12),
    Place("right", -8, -10),
    Place("right", -8, 12),
    Place("left", 8, -10),
)
"""Places in the order in which they are tried."""
FAR = (
    Place("center", 0, -24),
    Place("center", 0, 26),
    Place("left", 18, 22),
    Place("right", -18, -20),
    Place("left", 30, 0),
    Place("right", -30, 0),
)
"""Places of words that have to stand somewhere."""


@dataclass(frozen=True)
class Label:
    """Words at a point; those that are needed get the best place there is, others none where all are taken."""

    text: str
    at: Point
    needed: bool = False


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float


def overlap(box: Box, others: Float[np.ndarray, "n 4"]) -> float:
    """Area that a rectangle has in common with others, summed.

    >>> overlap(Box(0.0, 0.0, 4.0, 4.0), np.array([[2.0, 2.0, 9.0, 9.0], [3.0, 0.0, 4.0, 1.0], [5.0, 0.0, 9.0, 9.0]]))
    5.0
    """
    shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return float(shared.clip(min=0).prod(1).sum())


def places_for(
    labels: Sequence[Label], *, points: Iterable[Point] = (), lines: Iterable[Sequence[Point]] = ()
) -> list[Place | None]:
    """A place for every label, in the order of the labels; None where there is no room.

    Args:
        labels: words at points; those that come first choose first, needed ones before all others.
        points: points that have none.
        lines: lines between points.

    >>> places_for([Label("a", (0.2, 0.5)), Label("b", (0.21, 0.5))])
    [Place(align='center', dx=0, dy=-14), Place(align='center', dx=0, dy=15)]
    """
    beside = [_around(at, MARK) for at in [*(label.at for label in labels), *points]]
    marks = np.array(beside + [_around(at, 1) for line in lines for at in _along(line)])
    taken = np.empty((0, 4))
    found: dict[int, Place | None] = {}
    for i in sorted(range(len(labels)), key=lambda i: not labels[i].needed):
        label = labels[i]
        places = NEAR + FAR * label.needed
        boxes = [words_box(label, place) for place in places]
        costs = [_cost(box, marks, taken) for box in boxes]
        best = costs.index(min(costs))
        if costs[best] > 0 and not label.needed:
            found[i] = None
            continue
        found[i] = places[best]
        taken = np.vstack((taken, boxes[best]))
    return [found[i] for i in range(len(labels))]


def _pixels(at: Point) -> Point:
    x, y = at
    return PADDING + x * (WIDTH - 2 * PADDING), PADDING + (1 - y) * (HEIGHT - 2 * PADDING)


def _around(at: Point, half: int | float) -> Box:
    x, y = _pixels(at)
    return Box(x - half, y - half, x + half, y + half)


def words_box(label: Label, place: Place) -> Box:
    """The rectangle that words take, in the smallest plane.

    >>> words_box(Label("ab", (0.5, 0.5)), Place("left", 10, 0))
    Box(left=145.0, top=89.0, right=157.8, bottom=101.0)
    """
    x, y = _pixels(label.at)
    wide = LETTER * len(label.text)
    left = x + place.dx - wide * {"left": 0, "center": 0.5, "right": 1}[place.align]
    return Box(left, y + place.dy - LINE / 2, left + wide, y + place.dy + LINE / 2)


def _along(line: Sequence[Point]) -> Iterable[Point]:
    """Points of a line, close to each other."""
    for (x, y), (to_x, to_y) in pairwise(line):
        parts = math.ceil(math.hypot((to_x - x) * WIDTH, (to_y - y) * HEIGHT) / STEP)
        yield from ((x + (to_x - x) * i / parts, y + (to_y - y) * i / parts) for i in range(1, parts))


def _cost(box: Box, marks: Float[np.ndarray, "n 4"], taken: Float[np.ndarray, "m 4"]) -> float:
    """What lies under the words; other words weigh most, then what sticks out of the plane."""
    inside = overlap(box, np.array([[0.0, 0.0, WIDTH, HEIGHT]]))
    outside = (box.right - box.left) * (box.bottom - box.top) - inside
    return overlap(box, marks) + 100 * overlap(box, taken) + 10 * outside
