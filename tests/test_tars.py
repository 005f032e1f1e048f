"""Tar files that hold more than is found by reading one header after the other are refused, not half read."""

import io
import tarfile

import pytest

from asvit.errors import UserError
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
