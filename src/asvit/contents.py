"""What a set of image files holds, found out from a few of them: channels, size, and the values of arrays.

One rule for every command: channels are those of the images, unless others are asked for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import TypeVar

from asvit.errors import UserError
from asvit.files import open_regular
from asvit.images import (
    ARRAYS,
    UNREADABLE,
    Unfit,
    load_array,
    opened_picture,
    range_option,
    upright_size,
    why_unreadable,
)
from asvit.images.arrays import OWN_RANGE, extremes
from asvit.units import ValueRange, count

LOOKED_AT = 16
"""Files that are looked at, evenly spread over the set."""
LITTLE = 1 / 8
"""Largest value seen, as a share of its type's, up to which a narrower range of values is suggested."""

ItemT = TypeVar("ItemT")
File = tuple[str, str, Callable[[], BufferedIOBase]]
"""Name and suffix of a file, and what opens it."""


@dataclass(frozen=True)
class Glance:
    """What one image holds.

    >>> Glance.of_picture("a.png", mode="I;16", size=(480, 640))
    Glance(file='a.png', channels=1, size=(480, 640), values=None)
    """

    file: str
    """Name, for messages."""
    channels: int
    size: tuple[int, int]
    """Height and width."""
    values: tuple[str, int | float, int | float] | None
    """Type, least and largest value of an array; None: a picture, whose values are 8 bits a channel."""

    @classmethod
    def of_picture(cls, file: str, *, mode: str, size: tuple[int, int]) -> "Glance":
        """A picture, by Pillow's mode, and its height and width."""
        grey = mode.startswith(("1", "L", "I", "F")) and mode != "LAB"
        return cls(file, 1 if grey else 3, size, None)

    @classmethod
    def into(cls, file: str, suffix: str, content: BufferedIOBase, channels: int | None = None) -> "Glance":
        """Look into a file; ``channels`` says how many an array should have, where that is known.

        Raises:
            One of :data:`asvit.images.bounds.UNREADABLE`: it is damaged.
        """
        if suffix.lower() in ARRAYS:
            array = load_array(content, suffix, channels)
            if array.ndim != 3 or array.dtype.kind not in "uif" or not array.size:
                raise Unfit(f"it is an array of {array.shape} {array.dtype}, not of height x width x channels")
            height, width, found = array.shape
            low, high = extremes(array)
            return cls(file, found, (height, width), (array.dtype.name, low, high))
        with opened_picture(content) as image:
            return cls.of_picture(file, mode=image.mode, size=upright_size(image))


@dataclass(frozen=True)
class Contents:
    """What a set of images holds, and how it is read."""

    channels: int
    """Channels of every image, as it is read."""
    arrays: bool = False
    """Whether there are arrays, whose values need not be those of photographs."""
    size: tuple[int, int] | None = None
    """Height and width of the images, where all that were looked at have the same."""
    remarks: tuple[str, ...] = ()
    """What a user should know, in sentences without a full stop."""


def spread(items: Sequence[ItemT], count: int = LOOKED_AT) -> list[ItemT]:
    """At most so many of some items, evenly spread.

    >>> spread(range(100), 4), spread("ab", 4)
    ([0, 25, 50, 75], ['a', 'b'])
    """
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else list(items)


def look_into(name: str, files: Iterable[File], channels: int | None = None) -> list[Glance]:
    """Look into files; those that cannot be read are left out.

    Args:
        name: what the set is called, for messages.
        files: files.
        channels: channels that arrays should have; None: as their shapes suggest.

    Raises:
        UserError: none of several can be read.
    """
    glances, unreadable = [], []
    for file, suffix, opened in files:
        try:
            with opened() as content:
                glances.append(Glance.into(file, suffix, content, channels))
        except UNREADABLE as error:  # counted and named where it is to be learned from
            unreadable.append(f"{file}: {why_unreadable(error)}")
    if len(unreadable) > 1 and not glances:
        raise UserError(
            f"none of {len(unreadable)} images of {name} that were looked at can be read, the first: {unreadable[0]}"
        )
    return glances


def look_into_paths(name: str, paths: Sequence[Path], channels: int | None = None) -> list[Glance]:
    """Look into some of the files at paths, as :func:`look_into` does."""
    files = ((str(path), path.suffix, partial(open_regular, path)) for path in spread(paths))
    return look_into(name, files, channels)


def contents_of(
    name: str, glances: Sequence[Glance], *, in_chans: int | None = None, value_range: ValueRange | None = None
) -> Contents:
    """What a set holds, by what was seen of it.

    Args:
        name: what the set is called, for messages.
        glances: what was seen; nothing where no file could be read.
        in_chans: channels that were asked for; None: those of the images.
        value_range: values of arrays that were said to become 0 and 1.

    Raises:
        UserError: the images have different channels, others than were asked for, or values out of any range.

    >>> contents_of("a set", [Glance("a.npy", 5, (8, 9), ("uint8", 0, 255))])
    Contents(channels=5, arrays=True, size=(8, 9), remarks=())
    >>> contents_of("a set", [Glance.of_picture("a.png", mode="L", size=(9, 8))]).channels
    1
    """
    arrays = [glance for glance in glances if glance.values is not None]
    sizes = {glance.size for glance in glances}
    size = sizes.pop() if len(sizes) == 1 else None
    if not arrays:
        remarks = () if value_range is None else (_unused(name, value_range),)
        return Contents(_channels_of_pictures(name, glances, in_chans), size=size, remarks=remarks)
    remarks = _values_of_arrays(name, arrays) if value_range is None else _values_in(value_range, name, arrays)
    return Contents(_channels_of_arrays(name, arrays, in_chans), arrays=True, size=size, remarks=remarks)


def _values_in(value_range: ValueRange, name: str, arrays: Sequence[Glance]) -> tuple[str, ...]:
    """A remark where a range of values that was asked for hardly fits those seen."""
    types, seen_low, seen_high = _seen(arrays)
    low, high = ((value - value_range[0]) / (value_range[1] - value_range[0]) for value in (seen_low, seen_high))
    if seen_low == seen_high or (low >= 0 and LITTLE < high <= 1):  # empty images say nothing
        return ()
    return (
        f"the arrays in {name} are {' and '.join(types)}, {seen_low:g} to {seen_high:g} seen, which become {low:.3g} "
        f"to {high:.3g}: {range_option(seen_low, seen_high)} makes them 0 to 1",
    )


def _unused(name: str, value_range: ValueRange) -> str:
    return (
        f"{name} holds pictures, which are read in 8 bits a channel: the range of values from {value_range[0]:g} to "
        f"{value_range[1]:g} is for arrays, .npy and TIFF files, and changes nothing"
    )


def _channels_of_arrays(name: str, arrays: Sequence[Glance], in_chans: int | None) -> int:
    first = arrays[0]
    other = next((glance for glance in arrays if glance.channels != first.channels), None)
    if other is not None:
        raise UserError(
            f"{first.file} has {count(first.channels, 'channel')}, {other.file} {other.channels}: expected arrays with "
            "the same channels in all files"
        )
    if in_chans not in (None, first.channels):
        raise UserError(
            f"the arrays in {name} have {count(first.channels, 'channel')}, not {in_chans}: arrays keep theirs, give "
            f"--in-chans {first.channels} or leave it out"
        )
    return first.channels


def _channels_of_pictures(name: str, pictures: Sequence[Glance], in_chans: int | None) -> int:
    if in_chans is None:
        return max((glance.channels for glance in pictures), default=3)
    if in_chans not in (1, 3):
        raise UserError(
            f"{name} holds pictures, which are read in grey (--in-chans 1) or colour (--in-chans 3), not with "
            f"{in_chans} channels: give .npy or TIFF files of height x width x channels"
        )
    return in_chans


def _values_of_arrays(name: str, arrays: Sequence[Glance]) -> tuple[str, ...]:
    """Remarks on the values of arrays whose range nobody has said."""
    import numpy as np

    types, low, high = _seen(arrays)
    kinds, found = " and ".join(types), f"{low:g} to {high:g} seen"
    if len(types) > 1:
        raise UserError(
            f"the arrays in {name} are of {kinds}, which mean different values ({found}): say which values become 0 "
            f"and 1, {range_option(low, high)}"
        )
    if np.dtype(kinds).kind == "f":
        if low < 0 or high > 1:
            raise UserError(
                f"the arrays in {name} are {kinds}, {found}, where values from 0 to 1 are expected: say which become 0 "
                f"and 1, {range_option(low, high)}"
            )
        return ()
    if low < 0 or kinds not in OWN_RANGE:
        raise UserError(
            f"the arrays in {name} are {kinds}, {found}, where uint8, uint16 or floats from 0 to 1 are expected: say "
            f"which values become 0 and 1, {range_option(low, high)}"
        )
    largest = np.iinfo(kinds).max
    if not 0 < high <= largest * LITTLE:
        return ()
    return (
        f"the arrays in {name} are {kinds}, {found}, and are divided by {largest}: {range_option(0, high)} divides "
        "them by the largest value seen",
    )


def _seen(arrays: Sequence[Glance]) -> tuple[list[str], int | float, int | float]:
    """Types of some arrays, their least and their largest value."""
    seen = [glance.values for glance in arrays if glance.values is not None]
    types = sorted({kind for kind, _, _ in seen})
    return types, min(least for _, least, _ in seen), max(most for _, _, most in seen)
