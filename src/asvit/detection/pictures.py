"""Files of pictures that an annotation file names: where they are, and how large."""

import os
import re
import stat
from pathlib import Path

from asvit.detection.annotations import Picture
from asvit.errors import UserError, reason
from asvit.images import ARRAYS, UNREADABLE, load_array, opened_picture, upright_size


def path_of(folder: Path, file_name: str) -> Path:
    r"""Path of a picture by its name in a folder: as text, so that ``..`` never follows a link.

    >>> path_of(Path("set/annotations"), "..\\images\\a.jpg").as_posix()
    'set/images/a.jpg'
    """
    return Path(os.path.normpath(folder / file_name.replace("\\", "/")))


def check_name(path: Path, root: Path, folder: Path, picture: Picture) -> None:
    """Refuse a name that is none, or leads out of the data set.

    Args:
        path: file of the annotations.
        root: folder of the data set.
        folder: folder that names are relative to.
        picture: picture whose name it is.

    Raises:
        UserError: it is, and what was expected.
    """
    name = picture.file_name
    if not name.strip() or "\0" in name:
        raise UserError(f"image {picture.id} in {path} has the file_name {name!r}: expected the path of a picture")
    file = os.path.abspath(path_of(folder, name))
    roots = (os.path.abspath(root), os.path.realpath(root))
    if re.match(r"[A-Za-z]:[\\/]", name) or not any(os.path.commonpath((base, file)) == base for base in roots):
        raise UserError(
            f"image {picture.id} in {path} has the file_name {name[:200]!r}, which leads out of {root}: expected a "
            "path within that folder, such as images/a.jpg"
        )


def check_file(path: Path, file: Path, picture: Picture) -> None:
    """Refuse a picture that is missing or of another size; one that is damaged is found when it is decoded.

    Args:
        path: file of the annotations.
        file: file of the picture.
        picture: what they say of it.

    Raises:
        UserError: it is missing, no file, or was annotated in another size.
    """
    try:
        mode = os.stat(file).st_mode
    except OSError as error:
        there = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise UserError(
            f"{f'there is no {file}' if there else f'cannot read {str(file)[:200]} ({reason(error)})'}, which {path} "
            f"names: put it there, or take image {picture.id} and its annotations out"
        ) from error
    if not stat.S_ISREG(mode):
        raise UserError(f"{file}, which {path} names, is no file: expected a picture")
    try:
        stored, upright = stored_and_upright(file)
    except UNREADABLE:
        return
    size = picture.height, picture.width
    if size == upright:
        return
    if size == stored:
        raise UserError(
            f"{file} is shown turned, as its EXIF orientation says, with {upright[1]} by {upright[0]} pixels, but "
            f"{path} has annotated it as it is stored, with {stored[1]} by {stored[0]}: take the orientation out of "
            "such pictures, for example with `exiftool -Orientation= FILE`, or annotate them upright"
        )
    raise UserError(
        f"{file} has {upright[1]} by {upright[0]} pixels, but {path} says {size[1]} by {size[0]}: "
        "expected the images that were annotated"
    )


Size = tuple[int, int]
"""Height and width."""


def stored_and_upright(file: Path) -> tuple[Size, Size]:
    """Size of an image file as it is stored, and as it is shown, of which only the head is read where it can be."""
    if file.suffix.lower() in ARRAYS:
        height, width, *_ = load_array(file, file.suffix).shape
        return (height, width), (height, width)
    with opened_picture(file) as image:
        stored = image.height, image.width
        # Of a PNG without EXIF in front, Pillow would decode all pixels in search of one behind them.
        known = image.format != "PNG" or "exif" in image.info
        return stored, upright_size(image) if known else stored
