"""JSON files as anybody may have left them: read whole, bounded in size, typed, and refused in one line."""

import codecs
import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from asvit.errors import UserError, reason, shortened
from asvit.files import open_regular

MOST_BYTES = 64 * 2**20
"""Largest JSON file that is read; the largest that asvit writes, on thousands of classes, has some 20 MB."""

T = TypeVar("T")


def read_regular(path: Path, expected: str, most: int = MOST_BYTES) -> bytes:
    """Content of a regular file.

    Args:
        path: file; a folder, a device or a named pipe, which nobody may ever fill, is refused.
        expected: what it should be, for messages.
        most: bytes from which on it is refused.

    Raises:
        UserError: it is missing, no regular file, or too large.
    """
    try:
        with open_regular(path) as file:
            size, content = os.fstat(file.fileno()).st_size, file.read(most + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {reason(error)}; expected {expected}") from error
    if len(content) > most:
        raise UserError(f"cannot read {path}: it has {size:,} bytes, more than {most:,}; expected {expected}")
    return content


def read_json(path: Path, record_type: type[T], expected: str) -> T:
    """What a JSON file holds, as a type.

    Raises:
        UserError: it is missing, too large, no JSON, or something else.
    """
    return decode_json(read_regular(path, expected), record_type, str(path), expected)


def decode_json(content: bytes | str, record_type: type[T], name: str, expected: str) -> T:
    """What JSON holds, as a type.

    Args:
        content: JSON text; a mark of byte order before it is skipped.
        record_type: what it has to be.
        name: what it is called, for messages.
        expected: what it should be, for messages.

    Raises:
        UserError: it is no JSON, or something else.

    >>> decode_json("[1, 2]", list, "a file", "two numbers")
    [1, 2]
    >>> decode_json("null", list, "a file", "two numbers")
    Traceback (most recent call last):
    asvit.errors.UserError: cannot read a file: Expected `array`, got `null`; expected two numbers
    """
    try:
        text = content.encode() if isinstance(content, str) else content
        return msgspec.json.decode(text.removeprefix(codecs.BOM_UTF8), type=record_type)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UserError(f"cannot read {name}: {complaint(error)}; expected {expected}") from error


def converted(content: Any, record_type: type[T], name: str) -> T:
    """What was read from a file of ours, as a type.

    Raises:
        UserError: it is something else.
    """
    try:
        return msgspec.convert(content, record_type)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UserError(f"{name} is damaged: {complaint(error)}; repeat the job that wrote it") from error


def complaint(error: BaseException) -> str:
    """What a decoder says, in one line of sensible length.

    >>> complaint(ValueError("no\\nsuch " + "x" * 999))[:12], len(complaint(ValueError("x" * 999)))
    ('no such xxxx', 210)
    """
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return shortened(" ".join(str(error).split()) or type(error).__name__)
