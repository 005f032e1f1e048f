"""What is a user's is never written over: pictures, folders, links under guessable names; and nothing stays behind."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from asvit.detection.written import as_png, check_results, drawn_files, is_drawn
from asvit.errors import UserError
from asvit.export.job import LOCK, appearing, remove_unfinished
from asvit.runs.records import RUN, open_run, remedy, write_file

CONFIG, ENVIRONMENT = {"recipe": "quick"}, {"torch": "2.15", "threads": 2}
TOKEN = "0123456789abcdef"


def plain_png(path: Path) -> None:
    """A picture of a user."""
    Image.new("RGB", (4, 4)).save(path)


def another_program(path: Path) -> None:
    """A PNG file of another program that says so."""
    path.write_bytes(as_png(Image.new("RGB", (4, 4))).replace(b"asvit detect predict", b"another programme!!!"))


IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "a picture": plain_png,
    "a picture of another program": another_program,
    "a JPEG of that name": lambda path: Image.new("RGB", (4, 4)).save(path, "JPEG"),
    "text": lambda path: path.write_text("precious"),
    "an empty file": lambda path: path.touch(),
    "a folder": lambda path: path.mkdir(),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to a file": lambda path: (path.with_name("precious").write_text("precious"), path.symlink_to("precious")),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a pipe": os.mkfifo,
}


def there(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All files below a folder, links unfollowed, with their kind and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = stat.S_IFMT(path.lstat().st_mode)
        content = os.readlink(path).encode() if stat.S_ISLNK(kind) else b""
        found[str(path.relative_to(folder))] = (kind, path.read_bytes() if stat.S_ISREG(kind) else content)
    return found


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_a_drawn_picture_takes_nobody_elses_place(tmp_path, what):
    out = tmp_path / "out"
    out.mkdir()
    IN_THE_WAY[what](out / "street.png")
    before = there(tmp_path)
    with pytest.raises(UserError, match=r"out/street\.png is there already and was not drawn by .*another --out$"):
        drawn_files([Path("other/first.jpg"), Path("other/street.jpg")], out)
    assert there(tmp_path) == before


def test_a_drawn_picture_may_be_drawn_again_and_an_input_never(tmp_path):
    write_file(tmp_path / "a.png", as_png(Image.new("RGB", (4, 4))))
    assert is_drawn(tmp_path / "a.png")
    assert drawn_files([Path("x/a.jpg"), Path("y/a.jpg")], tmp_path) == [tmp_path / "a.png", tmp_path / "a-2.png"]
    assert drawn_files([tmp_path / "a.png"], tmp_path) == [tmp_path / "a-2.png"]


NO_RESULTS: dict[str, bytes | None] = {
    "annotations": b'{"images": [], "annotations": [], "categories": []}',
    "a list of others": b'[{"image_id": 1, "category_id": 2}]',
    "text": b"precious",
    "nothing": b"",
    "no UTF-8": b"\xff\xfe",
    "deep": b"[" * 9000,
}


@pytest.mark.parametrize("what", NO_RESULTS)
def test_detections_take_nobody_elses_place(tmp_path, what):
    file = tmp_path / "found.json"
    file.write_bytes(NO_RESULTS[what] or b"")
    with pytest.raises(UserError, match=r"found\.json is there already and holds no detections .*another --results$"):
        check_results(file)
    assert file.read_bytes() == NO_RESULTS[what]


def test_detections_may_be_written_again(tmp_path):
    check_results(tmp_path / "found.json")
    for content in (b"[]", b'[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}]'):
        (tmp_path / "found.json").write_bytes(content)
        check_results(tmp_path / "found.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="is no file"):
        check_results(tmp_path / "folder")


@pytest.mark.parametrize("name", [".run.json.tmp", f".run.json.{TOKEN}.tmp"])
def test_a_link_under_a_temporary_name_is_not_followed(tmp_path, name, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(victim)
    monkeypatch.setattr("asvit.runs.records.token_hex", lambda size: TOKEN)  # as if it had been guessed
    if name == ".run.json.tmp":
        write_file(tmp_path / "run" / RUN, b"{}")
        assert (tmp_path / "run" / RUN).read_bytes() == b"{}"
    else:
        with pytest.raises(UserError, match=r"cannot write .*run\.json: File exists; move what is in its place away"):
            write_file(tmp_path / "run" / RUN, b"{}")
    assert victim.read_text() == "precious"


def test_names_of_temporary_files_differ_and_none_stays(tmp_path, monkeypatch):
    names = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, target: (names.append(path.name), replace(path, target))[1])
    for _ in range(3):
        write_file(tmp_path / ("ä" * 127), b"x")  # as long as a name may be
    assert len(set(names)) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["ä" * 127]


def test_a_file_is_as_readable_as_any_other(tmp_path):
    write_file(tmp_path / "a", b"x")
    (tmp_path / "b").write_bytes(b"x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_run_removes_what_a_killed_one_had_not_finished(tmp_path):
    ours = (f".result.json.{TOKEN}.tmp", f"family/.3M.json.{TOKEN}.tmp", f"mistakes/.01.jpg.{TOKEN}.tmp")
    theirs = ("notes.tmp", ".notes.tmp", f"family/{TOKEN}.tmp", f".result.json.{TOKEN}.tmp.bak")
    with open_run(tmp_path, "design", CONFIG, ENVIRONMENT, "asvit design"):
        for name in (*ours, *theirs):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("half")
    with open_run(tmp_path, "design", CONFIG, ENVIRONMENT, "asvit design"):
        assert not any((tmp_path / name).exists() for name in ours)
        assert all((tmp_path / name).exists() for name in theirs)


def refused(number: int) -> Callable[..., None]:
    """A function of the operating system that fails."""

    def fail(*words: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


WRITING = {
    "read-only": (errno.EACCES, "Permission denied; allow writing in .*run or choose another --out, then repeat"),
    "a read-only disk": (errno.EROFS, "Read-only file system; allow writing in .*run or choose another --out"),
    "full": (errno.ENOSPC, "No space left on device; make room or choose another --out, then repeat the command"),
    "quota": (errno.EDQUOT, "Disk quota exceeded; make room or choose another --out"),
    "a large file": (errno.EFBIG, "File too large; make room or choose another --out"),
}


@pytest.mark.parametrize("what", WRITING)
def test_a_folder_that_can_no_longer_be_written_gives_its_own_line(tmp_path, monkeypatch, what):
    number, message = WRITING[what]
    path = tmp_path / "run"
    with (  # noqa: PT012, the folder is read-only from the middle of the run to its end
        pytest.raises(UserError, match=rf"^cannot write .*run/result\.json: {message}"),
        open_run(path, "design", CONFIG, ENVIRONMENT, "asvit design") as directory,
    ):
        monkeypatch.setattr("asvit.runs.records.os.open", refused(number))
        monkeypatch.setattr(Path, "unlink", refused(number))
        directory.write_result({"found": 1})


def test_a_folder_that_cannot_be_worked_in_is_not_told_by_a_file_of_ours(tmp_path, monkeypatch):
    monkeypatch.setattr("asvit.runs.records.os.fsync", refused(errno.EACCES))
    with (
        pytest.raises(UserError, match=r"^cannot use .*run as a run directory: Permission denied; allow writing in"),
        open_run(tmp_path / "run", "design", CONFIG, ENVIRONMENT, "asvit design"),
    ):
        pass


def test_a_remedy_of_what_is_no_error_of_the_system():
    assert remedy(ValueError("no"), Path("run")) == "make room"


EXPORTED: dict[str, Callable[[Path], object]] = {
    "a folder with a file": lambda out: (out.mkdir(), (out / "thesis.tex").write_text("precious")),
    "an export": lambda out: (out.mkdir(), (out / "config.json").write_text("{}")),
    "a hidden file": lambda out: (out.mkdir(), (out / ".git").touch()),
    "a file": lambda out: out.write_text("precious"),
    "a pipe": os.mkfifo,
    "a link to nothing": lambda out: out.symlink_to("nowhere"),
}


@pytest.mark.parametrize("what", EXPORTED)
def test_an_export_takes_nobody_elses_place(tmp_path, what):
    EXPORTED[what](tmp_path / "out")
    before = there(tmp_path)
    with pytest.raises(UserError, match=r"expected a new folder, choose another --out"), appearing(tmp_path / "out"):
        pass
    assert there(tmp_path) == before


def test_a_users_folder_beside_an_export_is_kept(tmp_path):
    for name in (".out.tmp", f".out.{TOKEN}.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.tex").write_text("precious")
    before = there(tmp_path)
    with appearing(tmp_path / "out") as folder:
        (folder / "model").write_text("weights")
    assert (tmp_path / "out" / "model").read_text() == "weights"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model"]
    assert {name: kind for name, kind in there(tmp_path).items() if not name.startswith("out")} == before


def test_an_export_removes_what_a_killed_one_had_not_finished(tmp_path):
    half = tmp_path / f".out.{TOKEN}.tmp"
    half.mkdir()
    (half / LOCK).touch()
    (half / "model").write_text("half")
    with appearing(tmp_path / "out") as folder:
        assert not half.exists()
        remove_unfinished(tmp_path / "out")  # by another export to the same place
        assert folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_export_whose_place_was_taken_meanwhile_is_refused(tmp_path):
    with (  # noqa: PT012, the place is taken while the export is being written
        pytest.raises(UserError, match=r"^cannot write .*out: Directory not empty; move what is in its place away"),
        appearing(tmp_path / "out"),
    ):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.tex").write_text("precious")
    assert there(tmp_path).keys() == {"out", "out/thesis.tex"}
