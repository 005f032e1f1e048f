"""The images that predict is given: files, and those of folders. Needs no torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

from asvit.errors import UserError
from asvit.listing import list_images, some
from asvit.runs.progress import tell


def files_among(images: Sequence[Path], is_drawn: Callable[[Path], bool] = lambda _: False) -> list[Path]:
    """Image files, and those below folders, of which it is said how many they are and what was left out.

    Args:
        images: files and folders.
        is_drawn: says of a file below a folder whether it is one that the command wrote before.

    Raises:
        UserError: there are none, or a folder has none.
    """
    if not images:
        raise UserError("no image to look at: expected one or more files, or folders of them")
    files: list[Path] = []
    for path in images:
        if path.is_dir():
            found = some(list_images(path).without(is_drawn, "drawn by an earlier call"))
            tell(found.summary)
            files += found.paths
        else:
            files.append(path)
    return files
