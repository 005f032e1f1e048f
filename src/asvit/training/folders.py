"""Images in folders or in a tar file: the class is the first folder below the split, however deep the image lies."""

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from asvit.contents import contents_of, look_into, spread
from asvit.errors import UserError
from asvit.files import open_regular
from asvit.images import decode
from asvit.listing import Skipped, class_of, classes_of, list_images, natural_key
from asvit.training.settings import ImageData
from asvit.training.source import Source
from asvit.training.tars import TarImage, TarIndex
from asvit.units import ValueRange


class FolderFiles(Source):
    """Image files below a folder, with their labels."""

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        classes: Sequence[str],
        *,
        in_chans: int | None = None,
        value_range: ValueRange | None = None,
        skipped: Skipped | None = None,
    ) -> None:
        label_of = {name: label for label, name in enumerate(classes)}
        self.root, self.names = root, names
        self.labels = [label_of[class_of(name)] for name in names]
        files = ((name, PurePosixPath(name).suffix, partial(open_regular, root / name)) for name in spread(names))
        glances = look_into(str(root), files, in_chans)
        contents = contents_of(str(root), glances, in_chans=in_chans, value_range=value_range)
        super().__init__(str(root), classes, contents, value_range, skipped=skipped)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> tuple[Any, int]:
        """Open and decode a file."""
        path = self.root / self.names[index]
        with open_regular(path) as file:
            return decode(file, path.suffix, self.channels, self.value_range), self.labels[index]

    def file(self, index: int) -> str:
        """Path of the file in its folder."""
        return self.names[index]


class TarFiles(Source):
    """Image files in tar files, with their labels."""

    def __init__(
        self,
        name: str,
        members: Sequence[TarImage],
        labels: Sequence[int],
        classes: Sequence[str],
        *,
        in_chans: int | None = None,
        value_range: ValueRange | None = None,
        skipped: Skipped | None = None,
    ) -> None:
        files = (
            (f"{member.tar}/{member.name}", member.suffix, lambda member=member: BytesIO(member.read()))
            for member in spread(members)
        )
        contents = contents_of(name, look_into(name, files, in_chans), in_chans=in_chans, value_range=value_range)
        super().__init__(name, classes, contents, value_range, skipped=skipped)
        self.members, self.labels = members, labels

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> tuple[Any, int]:
        """Read and decode a member."""
        member = self.members[index]
        image = decode(BytesIO(member.read()), member.suffix, self.channels, self.value_range)
        return image, self.labels[index]

    def file(self, index: int) -> str:
        """Tar file and member."""
        member = self.members[index]
        return f"{member.tar.name}/{member.name}"


def folder_split(path: Path, data: ImageData) -> FolderFiles:
    """Images of a split in a folder.

    Raises:
        UserError: there are none, images lie beside the class folders, or a class has none.
    """
    listing = list_images(path)
    if not listing.names:
        raise UserError(
            listing.skipped.appended(f"no images in {path}: expected a folder for each class, with its images")
        )
    classes = classes_of(listing.names, str(path))
    empty = sorted(listing.folders - set(classes))
    if empty:
        raise UserError(
            listing.skipped.appended(f"{path} has no images of the class {empty[0]}: add some or remove the folder")
        )
    # In the order of their paths as people read it, 2 before 10.
    names = sorted(sorted(listing.names), key=natural_key)
    return FolderFiles(
        path, names, classes, in_chans=data.in_chans, value_range=data.value_range, skipped=listing.skipped
    )


def tar_split(name: str, index: TarIndex, above: str, data: ImageData) -> TarFiles:
    """Images of a split in a tar file.

    Args:
        name: the split, for messages.
        index: what the tar file holds.
        above: beginning of the paths of the split's images.
        data: how they are read.

    Raises:
        UserError: there are none, or images lie beside the class folders.
    """
    members = [member for member in index.images if member.name.startswith(above)]
    names, skipped = [member.name.removeprefix(above) for member in members], index.skipped(above)
    if not names:
        raise UserError(skipped.appended(f"no images in {name}: expected a folder for each class, with its images"))
    classes = classes_of(names, name)
    label_of = {folder: label for label, folder in enumerate(classes)}
    labels = [label_of[class_of(member)] for member in names]
    return TarFiles(
        name, members, labels, classes, in_chans=data.in_chans, value_range=data.value_range, skipped=skipped
    )
