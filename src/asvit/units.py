"""Sizes, memory, durations and image sizes, as people write and read them."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from asvit.errors import UserError

Kind = Literal["params", "macs", "memory", "latency"]
"""Parameters and multiply-adds are counted, bytes and seconds measured; those that are quick to find come first."""

ImageSize = int | Sequence[int]
"""Side of square images in pixels, or height and width."""

ValueRange = tuple[int | float, int | float]
"""Values of an array that become 0 and 1."""

WIDEST = 1e30
"""Bound of what values of an array are, and of one over their range."""

_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_BYTES = {"": 1, "b": 1} | {
    prefix + unit: base**power
    for power, prefix in enumerate("kmgt", start=1)
    for unit, base in (("", 1000), ("b", 1000), ("ib", 1024))
}
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def parse_size(text: str) -> int:
    """Whole number from a size as people write it.

    >>> parse_size("30M"), parse_size("4.5G"), parse_size("2_500_000")
    (30000000, 4500000000, 2500000)
    """
    return _whole(text, _COUNTS, "size", "a positive number such as 30M, 4.5G or 2500000")


def parse_memory(text: str) -> int:
    """Bytes from a size as people write it.

    >>> parse_memory("2GB"), parse_memory("512M"), parse_memory("512MiB")
    (2000000000, 512000000, 536870912)
    """
    return _whole(text, _BYTES, "amount of memory", "a positive number such as 2GB, 512MiB or 800M")


def parse_duration(text: str) -> float:
    """Seconds from a duration as people write it.

    >>> parse_duration("8ms"), parse_duration("0.5s"), parse_duration("250us"), parse_duration("1.5h")
    (0.008, 0.5, 0.00025, 5400.0)
    """
    expected = "a positive number and its unit, such as 8ms, 0.5s or 60min"
    number, unit = _number_and_unit(text, _SECONDS, "duration", expected)
    if not number:
        raise UserError(f"cannot read the duration {text!r}: expected {expected}")
    return float(f"{number * unit:.12g}")  # 0.008 and not 0.008000000000000002


def parse_minutes(text: str) -> float:
    """Minutes from a number of them, or from a duration as people write it.

    >>> parse_minutes("90"), parse_minutes("1.5h"), parse_minutes("90min")
    (90.0, 90.0, 90.0)
    """
    try:
        return float(text)
    except ValueError:
        return parse_duration(text) / 60


def _whole(text: str, units: Mapping[str, int], what: str, expected: str) -> int:
    number, unit = _number_and_unit(text, units, what, expected)
    if (value := round(number * unit)) < 1:
        raise UserError(f"cannot read the {what} {text!r}: expected {expected}")
    return value


def _number_and_unit(
    text: str, units: Mapping[str, int | float], what: str, expected: str
) -> tuple[float, int | float]:
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d+)?)\s*([a-zµ]*)\s*", text.replace("_", "").lower())
    if match is None or match[2] not in units:
        raise UserError(f"cannot read the {what} {text!r}: expected {expected}")
    return float(match[1]), units[match[2]]


def format_size(value: int) -> str:
    """Short form of a count, three significant digits or more.

    >>> format_size(29051296), format_size(5132134656), format_size(30000000), format_size(10**12)
    ('29.05M', '5.13G', '30M', '1T')
    """
    for unit, scale in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= 0.999995 * scale:  # below, two decimals of the smaller unit do not round up to 1000
            return f"{value / scale:.2f}".rstrip("0").rstrip(".") + unit
    return str(value)


def format_duration(seconds: float) -> str:
    """Short form of a duration, four significant digits.

    >>> format_duration(0.008), format_duration(1.5), format_duration(0.00025), format_duration(0.0123456)
    ('8ms', '1.5s', '0.25ms', '12.35ms')
    """
    return f"{seconds:.4g}s" if seconds >= 0.99995 else f"{1000 * seconds:.4g}ms"


def format_cost(kind: Kind, value: int | float) -> str:
    """Short form of what a network costs of a kind.

    >>> format_cost("memory", 2 * 10**9), format_cost("latency", 0.008), format_cost("params", 3 * 10**6)
    ('2GB', '8ms', '3M')
    """
    if kind == "latency":
        return format_duration(value)
    return format_size(round(value)) + "B" * (kind == "memory")


def parse_image_size(text: str) -> tuple[int, int]:
    """Height and width in pixels from ``224`` or ``96x128``.

    >>> parse_image_size("224"), parse_image_size("96x128")
    ((224, 224), (96, 128))
    """
    match = re.fullmatch(r"\s*(\d{1,5})(?:\s*[x×]\s*(\d{1,5}))?\s*", text)
    if match is None:
        raise UserError(f"cannot read the image size {text!r}: expected pixels such as 224, or height x width: 96x128")
    return int(match[1]), int(match[2] or match[1])


def height_and_width(size: ImageSize) -> tuple[int, int]:
    """Both sides of an image.

    >>> height_and_width(64), height_and_width([64, 96])
    ((64, 64), (64, 96))
    """
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def in_words(seconds: int | float) -> str:
    """A time as one would say it.

    >>> in_words(42.3), in_words(1500), in_words(9000), in_words(200_000)
    ('42 seconds', '25 minutes', '2.5 hours', '2.3 days')
    """
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:{'.0f' if unit == 'minute' else '.2g'}} {unit}s"
    return count(max(1, round(seconds)), "second")


def parse_range(text: str) -> ValueRange:
    """Values that become 0 and 1, from the largest one or from both.

    >>> parse_range("4095"), parse_range("-1:1")
    ((0.0, 4095.0), (-1.0, 1.0))
    """
    low, colon, high = text.rpartition(":")
    try:
        ends = float(low) if colon else 0.0, float(high)
    except ValueError as error:
        raise UserError(_no_range(text)) from error
    if not -WIDEST < ends[0] < ends[1] < WIDEST or ends[1] - ends[0] < 1 / WIDEST:
        raise UserError(_no_range(text))
    return ends


def _no_range(text: str) -> str:
    return (
        f"cannot read the range of values {text!r}: expected the value that becomes 1, such as 4095, or those that "
        "become 0 and 1: -1:1"
    )


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "image"), count(1000, "class")
    ('1 image', '1,000 classes')
    """
    plural = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{plural * (number != 1)}"


def format_share(share: float | None) -> str:
    """A share in per cent, as COCO's tables have it; a dash where there is none.

    >>> format_share(0.5271), format_share(None)
    ('52.7', '–')
    """
    return "–" if share is None else f"{share:.1%}".removesuffix("%")
