"""Arrays as images: ``.npy`` files, their layout, and which of their values become 0 and 1."""

import math
import os
from collections.abc import Sequence
from io import BufferedIOBase
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asvit.images.bounds import Unfit, check_values, damage_named
from asvit.units import ValueRange

OWN_RANGE = ("uint8", "uint16", "int8", "int16")
"""Whole numbers whose largest value becomes 1. Wider ones hold counts or labels of any size."""
NOT_FINITE = "it has values that are not finite: expected numbers without NaN and infinity"
FEW = 4
"""Channels up to which a layout is beyond doubt. More have to be so many times fewer than the pixels of a side."""


def load_npy(source: BufferedIOBase, channels: int | None = None) -> np.ndarray:
    """Numbers of a ``.npy`` file, height x width x channels. The header is checked before any are read.

    Args:
        source: open file.
        channels: channels that are expected; None: as the shape suggests.

    Raises:
        One of :data:`~asvit.images.bounds.UNREADABLE`: it is damaged, cut off, or holds no numbers.
    """
    with damage_named():
        start = source.tell()
        version = np.lib.format.read_magic(source)
        if version not in ((1, 0), (2, 0)):
            raise Unfit(f"it is a .npy file of version {version}: expected numbers, which need version 1.0 or 2.0")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(source)
        _check_header(shape, dtype)
        here = source.tell()
        there = source.seek(0, os.SEEK_END) - here
        if (needed := math.prod(shape) * dtype.itemsize) > there:
            raise ValueError(f"it is cut off: its header promises {needed:,} bytes of numbers, {there:,} are there")
        source.seek(start)
        return channels_last(np.load(source, allow_pickle=False), channels)


def _check_header(shape: Sequence[int], dtype: np.dtype) -> None:
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise Unfit(f"it is an array of {dtype}: expected numbers, such as uint8, uint16 or float32")
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise Unfit(f"it is an array of {tuple(shape)} {dtype}, not of height x width x channels")
    check_values(height=shape[0], width=shape[1], channels=math.prod(shape[2:]))


def channels_last(array: np.ndarray, channels: int | None = None) -> np.ndarray:
    """An array as height x width x channels, where it may be channels x height x width, or lack channels.

    Args:
        array: numbers.
        channels: channels that are expected; None: as the shape suggests.

    Raises:
        Unfit: it has another number of dimensions, or could be either.

    >>> channels_last(np.zeros((3, 40, 48))).shape, channels_last(np.zeros((9, 9, 200))).shape
    ((40, 48, 3), (9, 9, 200))
    >>> channels_last(np.zeros((32, 48, 200)))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    asvit.images.bounds.Unfit: it is 32x48x200: 200 channels last, or 32 first? say which with --in-chans, or ...
    """
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim != 3:
        raise Unfit(f"it is an array of {array.shape} {array.dtype}, not of height x width x channels")
    return np.moveaxis(array, 0, 2) if layout(*array.shape, channels=channels) == "first" else array


def layout(first: int, middle: int, last: int, *, channels: int | None = None) -> Literal["first", "last"]:
    """Where the channels of an array of three dimensions are.

    Args:
        first: its first dimension.
        middle: its second.
        last: its third.
        channels: channels that are expected; None: as the shape suggests.

    Raises:
        Unfit: nothing tells.
    """
    if channels is not None and (first == channels) != (last == channels):
        return "first" if first == channels else "last"
    if last <= FEW or (first == middle != last):
        return "last"
    if first <= FEW or (middle == last != first):
        return "first"
    if FEW * last <= min(first, middle) or first == middle:
        return "last"
    if FEW * first <= min(middle, last):
        return "first"
    if channels not in (None, first, last):  # then it has other channels, whichever they are
        return "last"
    raise Unfit(
        f"it is {first}x{middle}x{last}: {last} channels last, or {first} first? say which with --in-chans, or store "
        "channels last"
    )


def from_array(
    array: np.ndarray, channels: int, value_range: ValueRange | None = None
) -> Float[Tensor, "channels H W"]:
    """Numbers of height x width x channels as values from 0 to 1; channels may also come first.

    Args:
        array: numbers.
        channels: channels that are expected.
        value_range: values that become 0 and 1; None: 0 and, of whole numbers, the largest of their type, of others 1.

    Raises:
        Unfit: it has another shape, values that are no finite numbers, or that go beyond what is read.

    >>> from_array(np.full((2, 3, 1), 255, dtype=np.uint8), channels=1)
    tensor([[[1., 1., 1.],
             [1., 1., 1.]]])
    >>> from_array(np.full((1, 1, 1), 1023, dtype=np.uint16), channels=1, value_range=(0, 4092))
    tensor([[[0.2500]]])
    """
    return from_channels_last(channels_last(array, channels), channels, value_range)


def from_channels_last(
    array: np.ndarray, channels: int, value_range: ValueRange | None = None
) -> Float[Tensor, "channels H W"]:
    """As :func:`from_array`, of an array whose layout is known."""
    if array.ndim != 3 or array.shape[2] != channels or array.dtype.kind not in "uif" or not array.size:
        raise Unfit(
            f"it is an array of {array.shape} {array.dtype}, but {channels} channels are read: "
            f"expected numbers of height x width x {channels}"
        )
    check_values(height=array.shape[0], width=array.shape[1], channels=channels)
    low, high = usual_range(array) if value_range is None else value_range
    with np.errstate(over="ignore", invalid="ignore"):
        values = array.astype(np.float32)
        values -= low
        values /= high - low
    if not np.isfinite(values).all():
        raise Unfit(NOT_FINITE)
    return torch.from_numpy(values).permute(2, 0, 1)


def usual_range(array: np.ndarray) -> ValueRange:
    """Values of an array that become 0 and 1 where nobody has said which.

    Raises:
        Unfit: its values go beyond them, or its type has no such range.

    >>> usual_range(np.array([3], dtype=np.uint16))
    (0, 65535)
    >>> usual_range(np.array([0.0, 255.0]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    asvit.images.bounds.Unfit: it is float64, 0 to 255 seen: expected values from 0 to 1, or a training with ...
    """
    if array.dtype.kind == "u" and array.dtype.name in OWN_RANGE:
        return 0, int(np.iinfo(array.dtype).max)
    low, high = extremes(array)
    kind = array.dtype.name
    seen, option = f"it is {kind}, {low:g} to {high:g} seen", f"a training with {range_option(low, high)}"
    if array.dtype.kind == "f":
        if low < 0 or high > 1:
            raise Unfit(f"{seen}: expected values from 0 to 1, or {option}")
        return 0, 1
    if kind not in OWN_RANGE:
        raise Unfit(f"{seen}: expected uint8, uint16 or floats from 0 to 1, or {option}")
    if low < 0:
        raise Unfit(f"{seen}: expected whole numbers from 0, or {option}")
    return 0, int(np.iinfo(array.dtype).max)


def extremes(array: np.ndarray) -> tuple[int | float, int | float]:
    """Least and largest value of an array.

    Raises:
        Unfit: one of them is not finite.

    >>> extremes(np.array([3, 1], dtype=np.uint16)), extremes(np.array([0.5]))
    ((1, 3), (0.5, 0.5))
    """
    low, high = array.min().item(), array.max().item()
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Unfit(NOT_FINITE)
    return low, high


def range_option(low: int | float, high: int | float) -> str:
    """The option that says which values become 0 and 1.

    >>> range_option(0, 4095), range_option(-1.5, 3)
    ('--value-range 4095', '--value-range=-1.5:3')
    """
    if low >= 0:
        return f"--value-range {high or 1:g}"
    return f"--value-range={low:g}:{high if high > low else low + 1:g}"
