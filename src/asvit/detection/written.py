"""Files that detectors write where a user says: known again by us, and never in the place of anything else."""

import os
from collections.abc import Sequence
from io import BytesIO
from itertools import chain, count
from pathlib import Path

import msgspec
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from asvit.errors import UserError

SIGNATURE = ("Software", "asvit detect predict")
"""Word in a drawn picture by which it is known."""


class Detection(msgspec.Struct):
    """An entry of COCO's results format, as far as it is known by."""

    image_id: int
    category_id: int
    score: float


def as_png(picture: Image.Image) -> bytes:
    """A picture as a PNG file that says who has drawn it."""
    content, about = BytesIO(), PngInfo()
    about.add_text(*SIGNATURE)
    picture.save(content, "PNG", pnginfo=about)
    return content.getvalue()


def is_drawn(file: Path) -> bool:
    """Whether a file is a picture of :func:`as_png`."""
    if not file.is_file():
        return False
    try:
        with Image.open(file, formats=["PNG"]) as picture:
            return picture.info.get(SIGNATURE[0]) == SIGNATURE[1]
    except (OSError, SyntaxError, ValueError):
        return False


def drawn_files(images: Sequence[Path], out: Path) -> list[Path]:
    """A PNG file in a folder for each image; nothing else may be there under that name.

    Raises:
        UserError: something is that was not drawn by us.
    """
    taken = {os.path.realpath(path) for path in images}
    files = []
    for path in images:
        names = chain([path.stem], (f"{path.stem}-{number}" for number in count(2)))
        drawn = next(file for name in names if os.path.realpath(file := out / f"{name}.png") not in taken)
        if os.path.lexists(drawn) and not is_drawn(drawn):
            raise UserError(
                f"{drawn} is there already and was not drawn by `asvit detect predict`: choose another --out"
            )
        taken.add(os.path.realpath(drawn))
        files.append(drawn)
    return files


def check_results(file: Path) -> None:
    """Refuse to write detections in the place of anything else.

    Raises:
        UserError: the file is there and holds no detections.
    """
    if not os.path.lexists(file):
        return
    try:
        if not file.is_file():
            raise UserError(f"{file} is there already and is no file: choose another --results")
        msgspec.json.decode(file.read_bytes(), type=list[Detection])
    except (OSError, msgspec.DecodeError, UnicodeError) as error:
        raise UserError(
            f"{file} is there already and holds no detections in COCO's format: choose another --results"
        ) from error
