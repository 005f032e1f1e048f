"""Tar files that hold more than is found by reading one header after the other are refused, not half read."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from asvit.detection.layouts import find_annotations
from asvit.errors import UserError
from asvit.listing import list_images
from asvit.training.tars import index

BLOCK = tarfile.BLOCKSIZE
MEMBER = 2 * BLOCK
"""Bytes of a member: its header and its content."""


def tar_of_three() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in ("cat/0.png", "cat/1.png", "dog/2.png"):
            member = tarfile.TarInfo(name)
            member.size = BLOCK
            tar.addfile(member, io.BytesIO(bytes([7]) * BLOCK))
    return content.getvalue()


WHOLE = tar_of_three()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(
            WHOLE[: MEMBER + 150] + b"x" + WHOLE[MEMBER + 151 :], "no header and no end at byte 1,024", id="damaged"
        ),
        pytest.param(WHOLE[: MEMBER + 100], "no header and no end at byte 1,024", id="cut off in a header"),
        pytest.param(WHOLE[: 2 * MEMBER], "it ends without the mark of the end", id="cut off between members"),
        pytest.param(WHOLE + WHOLE, "data behind the mark of the end", id="two, one after the other"),
    ],
)
def test_a_tar_file_is_read_whole_or_not_at_all(content, complaint, tmp_path):
    (tmp_path / "train.tar").write_bytes(content)
    with pytest.raises(UserError, match=f"cannot read the tar file .*: {complaint}"):
        index(tmp_path / "train.tar")


@pytest.mark.parametrize("ended", [WHOLE, WHOLE[: 3 * MEMBER + 2 * BLOCK], WHOLE[: 3 * MEMBER + BLOCK]])
def test_the_mark_of_the_end_may_have_any_length(ended, tmp_path):
    (tmp_path / "train.tar").write_bytes(ended)
    assert index(tmp_path / "train.tar").names == ["cat/0.png", "cat/1.png", "dog/2.png"]


def zipped(content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("cat/0.png", content)
    return archive.getvalue()


@pytest.mark.parametrize("read", [index, list_images, lambda path: find_annotations(path, "train")])
@pytest.mark.parametrize(
    ("compress", "kind", "how"),
    [
        (gzip.compress, "gzip", "tar -xf"),
        (bz2.compress, "bzip2", "tar -xf"),
        (lzma.compress, "xz", "tar -xf"),
        (zipped, "zip", "unzip"),
    ],
)
def test_a_compressed_file_is_told_from_a_damaged_one(read, compress, kind, how, tmp_path):
    path = tmp_path / "images"
    path.write_bytes(compress(WHOLE))
    with pytest.raises(UserError, match=rf"images is compressed \({kind}\).*unpack it \(`{how} "):
        read(path)


@pytest.mark.parametrize("read", [list_images, lambda path: find_annotations(path, "train")])
def test_a_file_where_a_folder_is_expected_is_called_a_file(read, tmp_path):
    (tmp_path / "images.tar").write_bytes(WHOLE)
    with pytest.raises(UserError, match=r"images\.tar is a file, not a folder"):
        read(tmp_path / "images.tar")
