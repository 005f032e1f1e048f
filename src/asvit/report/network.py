"""A network as a drawing, stages left to right, and the legend of its text form."""

import math
from collections.abc import Iterator, Sequence

from asvit.networks.architecture import Architecture, Stage, Task, plane
from asvit.networks.drawing import legend
from asvit.report.markup import Markup, architecture, join, tag
from asvit.report.parts import images, times
from asvit.units import count

# In units of the drawing, which a phone shows at about a pixel each and a larger screen at one and a half.
WIDTH, NAMES, COLUMN = 364, 64, 75
"""The whole drawing, the names of its rows, and a stage."""
TALLEST, WIDEST = 96, 32
"""The first map's height, and the width of the widest block."""
ROOM, GAP = 60, 1.5
"""Width of a stage's blocks together, and between two of them."""
TOP, LINE = 26, 15
"""Where the tallest map begins, and the height of a row of words."""


def network_figure(
    name: str, network: Architecture, task: Task, caption: str, *, beside: Sequence[Architecture] = ()
) -> Markup:
    """A network's drawing with its text form.

    Args:
        name: name of the drawing, of which a page has one.
        network: architecture.
        task: images and classes.
        caption: heading over it.
        beside: networks that are drawn next to it, to the same scale.
    """
    words = tag("figcaption", tag("strong", caption), architecture(str(network)))
    return tag("figure", words, network_drawing(name, network, task, beside=beside))


def network_drawing(name: str, network: Architecture, task: Task, *, beside: Sequence[Architecture] = ()) -> Markup:
    """The drawing alone: a bar a block, the taller the more rows its map has, the wider the more channels.

    Args:
        name: name of the drawing, of which a page has one.
        network: architecture.
        task: images and classes.
        beside: networks that are drawn next to it, to the same scale.
    """
    stages = list(network.stages(task))
    scale = _scale([network, *beside])
    rows = _rows(stages)
    body = [
        tag("title", f"The network {network}", id=f"{name}-title"),
        tag("desc", _in_words(network, task), id=f"{name}-desc"),
        *_image(task),
    ]
    for i, stage in enumerate(stages):
        middle = NAMES + COLUMN * i + COLUMN / 2
        body += [_text(f"stage {i + 1}", middle, 12, class_="heading"), *_blocks(stage, middle, stages[0], scale)]
        body.append(_arrow(NAMES + COLUMN * i))
    for number, (title, cells) in enumerate(rows):
        y = TOP + TALLEST + 22 + LINE * number
        body.append(tag("text", title, x="0", y=f"{y}", class_="name"))
        body += [_text(cell, NAMES + COLUMN * i + COLUMN / 2, y) for i, cell in enumerate(cells)]
    height = TOP + TALLEST + 22 + LINE * len(rows)
    size = {"viewBox": f"0 0 {WIDTH} {height}"}
    return tag("svg", *body, class_="network", role="img", aria_labelledby=f"{name}-title {name}-desc", **size)


def how_to_read() -> str:
    """What the drawing's bars and lines are."""
    return (
        "Every bar is a block of attention and feed-forward layers (FFN): as tall as its map has rows of tokens, as "
        "wide as the square root of its channels. Lines across are the borders of attention windows."
    )


def network_legend(network: Architecture) -> Markup:
    """What each number of a text form means."""
    words = (
        (field, times(meaning).replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"))
        for field, meaning in legend(network)
    )
    rows = (tag("div", tag("dt", tag("code", field)), tag("dd", meaning)) for field, meaning in words)
    return tag("dl", join(rows), class_="legend")


def _rows(stages: Sequence[Stage]) -> list[tuple[str, list[str]]]:
    """What is said of every stage, below it."""
    return [
        ("tokens", [_sides(stage.resolution) for stage in stages]),
        ("channels", [str(stage.dim) for stage in stages]),
        ("blocks L", [str(stage.depth) for stage in stages]),
        ("heads", [str(stage.heads) for stage in stages]),
        ("windows S", [_windows(stage) for stage in stages]),
        ("of tokens", [_sides(stage.window) for stage in stages]),
        ("kernel K", [f"{stage.kernel}×{stage.kernel}" for stage in stages]),
        ("stride", [str(stage.stride) for stage in stages]),
        ("FFN E", [f"×{stage.expansion}" for stage in stages]),
    ]


def _in_words(network: Architecture, task: Task) -> str:
    """The drawing for those who do not see it."""
    words = [f"A Vision Transformer of four stages and {count(plane(network)[0], 'block')} for {images(task)}."]
    for i, stage in enumerate(network.stages(task), start=1):
        windows = "one attention window" if stage.window == stage.resolution else f"{_windows(stage)} attention windows"
        words.append(
            f"Stage {i}: {_sides(stage.resolution)} tokens of {stage.dim} channels, {count(stage.depth, 'block')}, "
            f"{count(stage.heads, 'head')}, {windows}, kernel {stage.kernel}, stride {stage.stride}, "
            f"FFN {stage.expansion} times as wide."
        )
    return " ".join(words)


def _sides(sides: tuple[int, int]) -> str:
    return f"{sides[0]}×{sides[1]}"


def _windows(stage: Stage) -> str:
    """Windows down and across the map; small maps have fewer than were asked for."""
    down, across = (-(-side // window) for side, window in zip(stage.resolution, stage.window, strict=True))
    return f"{down}×{across}"


def _scale(networks: Sequence[Architecture]) -> float:
    """Width of a block over the root of its channels: the largest at which no block and no stage is too wide."""
    scales = [WIDEST / math.sqrt(max(network.dims)) for network in networks]
    for network in networks:
        for depth, dim in zip(network.depths, network.dims, strict=True):
            scales.append((ROOM - _gap(depth) * (depth - 1)) / (depth * math.sqrt(dim)))
    return min(scales)


def _gap(depth: int) -> float:
    return min(GAP, ROOM / 3 / depth)


def _blocks(stage: Stage, middle: float, first: Stage, scale: float) -> Iterator[Markup]:
    """A bar a block, with the borders of attention windows across."""
    height = TALLEST * stage.resolution[0] / first.resolution[0]
    width, gap = math.sqrt(stage.dim) * scale, _gap(stage.depth)
    left = middle - (stage.depth * width + (stage.depth - 1) * gap) / 2
    top = TOP + (TALLEST - height) / 2
    for i in range(stage.depth):
        x = left + i * (width + gap)
        yield tag("rect", class_="block", x=_n(x), y=_n(top), width=_n(width), height=_n(height))
        for border in range(stage.window[0], stage.resolution[0], stage.window[0]):
            y = _n(top + height * border / stage.resolution[0])
            yield tag("line", class_="border", x1=_n(x), x2=_n(x + width), y1=y, y2=y)


def _image(task: Task) -> list[Markup]:
    """The image, which is not drawn to the scale of the maps."""
    middle = TOP + TALLEST / 2
    return [
        tag("text", "image", x="0", y=_n(middle - 12), class_="heading"),
        tag("text", _sides(task.image_size), x="0", y=_n(middle + 4)),
        tag("text", f"{task.in_chans} ch.", x="0", y=_n(middle + 19)),
    ]


def _arrow(x: int | float) -> Markup:
    y = TOP + TALLEST / 2
    return tag("path", class_="arrow", d=f"M{_n(x - 4)} {_n(y - 5)} l6 5 l-6 5")


def _text(words: str, x: int | float, y: int | float, class_: str = "number") -> Markup:
    return tag("text", words, x=_n(x), y=_n(y), class_=class_)


def _n(value: int | float) -> str:
    """A length with two digits at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
