"""The images that predict is given: files, and those of folders. Needs no torch."""

from collections.abc import Sequence
from pathlib import Path

from asvit.errors import UserError
from asvit.listing import images_in
from asvit.runs.progress import tell


def files_among(images: Sequence[Path]) -> list[Path]:
    """Image files, and those below folders, of which it is said how many they are and what was left out.

    Args:
        images: files and folders.

    Raises:
        UserError: there are none, or a folder has none.
    """
    if not images:
        raise UserError("no image to look at: expected one or more files, or folders of them")
    files: list[Path] = []
    for path in images:
        if path.is_dir():
            found = images_in(path)
            tell(found.summary)
            files += found.paths
        else:
            files.append(path)
    return files
