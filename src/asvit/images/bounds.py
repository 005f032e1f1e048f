"""What is refused before it is decoded, by the header alone; and one kind of error for all that decoders raise."""

from collections.abc import Iterator
from contextlib import contextmanager

from asvit.errors import one_line, reason

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError)
"""Exceptions that decoding a damaged file may raise."""
MOST_VALUES = 2**28
"""Values of an image at most, over all channels: 1 GiB as float32, or 89 million pixels in colour."""


class Unfit(ValueError):
    """The file is whole, but is read as no image; the message says what was expected instead."""


def why_unreadable(error: Exception) -> str:
    """Why an image cannot be read, and what was expected, in one line.

    >>> why_unreadable(ValueError("it is cut off")), why_unreadable(Unfit("it is 1x1 pixels: too small"))
    ('it is cut off; expected a whole JPEG, PNG, .npy or TIFF file', 'it is 1x1 pixels: too small')
    """
    return (
        reason(error) if isinstance(error, Unfit) else f"{reason(error)}; expected a whole JPEG, PNG, .npy or TIFF file"
    )


def check_values(*, height: int, width: int, channels: int) -> None:
    """Refuse an image with more values than are read.

    >>> check_values(height=13000, width=13000, channels=3)
    Traceback (most recent call last):
    asvit.images.bounds.Unfit: it is 13000x13000x3, 507,000,000 values: at most 268,435,456 are read; make it smaller
    """
    if (values := height * width * channels) > MOST_VALUES:
        raise Unfit(
            f"it is {height}x{width}x{channels}, {values:,} values: at most {MOST_VALUES:,} are read; make it smaller"
        )


@contextmanager
def damage_named() -> Iterator[None]:
    """Context for decoders of others: whatever they raise on damaged bytes is one of :data:`UNREADABLE`.

    >>> with damage_named():
    ...     {}["tag"]
    Traceback (most recent call last):
    ValueError: damaged: 'tag'
    """
    try:
        yield
    except UNREADABLE:
        raise
    except MemoryError as error:  # sizes have been checked: a header that contradicts itself
        raise ValueError("damaged: it asks for more memory than there is") from error
    except Exception as error:
        # Decoders check little: struct.error, zlib.error, KeyError, TypeError, OverflowError and others were seen.
        raise ValueError(f"damaged: {one_line(error)}") from error
