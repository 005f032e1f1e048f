"""Where a detector is wrong, as its page shows it: from records made by hand, in words and in a browser."""

import io
import json
import re
from base64 import b64encode
from pathlib import Path

import pytest
from browser import CHROMIUM, chromium, look_at
from pages import detected
from PIL import Image
from test_report import text_of
from test_train_report import tables_of

from asvit.errors import UserError
from asvit.report import write_report
from asvit.runs.records import RESULT, to_json, write_file


def jpeg(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height), (0, 90, 180)).save(content, "JPEG")
    return content.getvalue()


PICTURES = {"mistakes/01.jpg": jpeg(640, 480), "mistakes/02.jpg": jpeg(320, 640)}
WRONG = [
    {"file": "a/<1>.jpg", "found": {"kind 0": 1}, "missed": {"kind <0>": 12, "kind 2": 1}, "false": {"kind 1": 2}},
    {"file": "b.jpg", "found": {}, "missed": {"kind 3": 1}, "false": {}},
]


def page_of(directory: Path, classes: int, *, mistakes: int = 2, without: int = 0, in_chans: int = 3) -> str:
    """The page of a detector of some classes, of which the last ones have no objects."""
    detected(directory)
    record = json.loads((directory / RESULT).read_text())
    names = [f"kind {i}" for i in range(classes)]
    record["classes"], record["task"] = names, record["task"] | {"num_classes": classes, "in_chans": in_chans}
    record["by_class"] = [
        {"name": name, "objects": 1000 + i, "boxes": 0.9 - i / 100, "masks": 0.5 - i / 1000}
        if i < classes - without
        else {"name": name, "objects": 0, "boxes": None, "masks": None}
        for i, name in enumerate(names)
    ]
    record["mistakes"] = [one | {"picture": file} for one, file in zip(WRONG[:mistakes], PICTURES, strict=False)]
    for file, content in PICTURES.items():
        write_file(directory / file, content)
    write_file(directory / RESULT, to_json(record))
    return write_report(directory).read_text(encoding="utf-8")


def class_tables(page: str) -> list[list[list[str]]]:
    return [rows for rows in tables_of(page) if rows and rows[0][0].startswith("kind ")]


def test_classes_come_with_the_worst_first(tmp_path):
    page = page_of(tmp_path, 7, without=2)
    (rows,) = class_tables(page)
    assert rows[0] == ["kind 4", "1,004", "86.0 %", "49.6 %"]
    assert [row[0] for row in rows] == ["kind 4", "kind 3", "kind 2", "kind 1", "kind 0"]
    text = text_of(page)
    assert "Of the 5,010 objects in the validation images, after epoch 36." in text
    assert "Without an object in the validation images: kind 5, kind 6." in text


def test_one_class_is_a_row(tmp_path):
    page = page_of(tmp_path, 1)
    assert class_tables(page) == [[["kind 0", "1,000", "90.0 %", "50.0 %"]]]
    assert "Without an object" not in text_of(page)


def test_of_many_classes_all_but_the_worst_are_folded(tmp_path):
    page = page_of(tmp_path, 80)
    worst, rest = class_tables(page)
    assert [row[0] for row in worst] == [f"kind {i}" for i in range(79, 69, -1)]
    assert [row[0] for row in rest] == [f"kind {i}" for i in range(69, -1, -1)]
    assert "<summary>The other 70 classes</summary>" in page


def test_images_show_what_was_found_and_missed(tmp_path):
    page = page_of(tmp_path, 7)
    for content in PICTURES.values():
        assert page.count(f'<img src="data:image/jpeg;base64,{b64encode(content).decode()}" alt="') == 1
    assert 'alt="a/&lt;1&gt;.jpg"' in page
    captions = [
        text_of(caption).replace("\N{NO-BREAK SPACE}", " ")
        for caption in re.findall(r"<figcaption>(missed.*?|<div>.*?)</figcaption>", page)
    ]
    assert captions == ["missed: kind <0> × 12, kind 2false: kind 1 × 2found: kind 0", "missed: kind 3"]
    text = text_of(page)
    assert "Of the detections with a score of at least 0.5, one is right where its box and that of an object" in text
    assert "have an intersection over union (IoU) of at least 0.5; no object is found twice." in text
    rule = "each image belongs to the class of most of its mistakes, and the classes take turns."
    assert f"Shown are the images with most mistakes, missed objects and false detections: {rule}" in text
    assert "channels of each image" not in text
    words = "Drawn are the first three channels of each image, stretched from the 2nd to the 98th percentile"
    assert words in text_of(page_of(tmp_path, 7, in_chans=5))
    (tmp_path / "mistakes" / "02.jpg").unlink()
    with pytest.raises(UserError, match=r"cannot read .*02\.jpg: No such file"):
        write_report(tmp_path)


def test_a_perfect_detector_missed_nothing(tmp_path):
    text = text_of(page_of(tmp_path, 7, mistakes=0))
    assert "What it found and missedEvery object was found, and nothing else." in text


def test_records_of_earlier_versions_say_nothing_of_it(tmp_path):
    page = detected(tmp_path)
    record = json.loads((tmp_path / RESULT).read_text())
    record.pop("by_class", None), record.pop("mistakes", None)
    (tmp_path / RESULT).write_text(json.dumps(record))
    assert write_report(tmp_path) == page
    text = text_of(page.read_text(encoding="utf-8"))
    assert "COCO's numbers" in text
    assert "Where it is wrong" not in text
    assert "What it found and missed" not in text


def test_classes_that_are_not_its_own_are_refused(tmp_path):
    page_of(tmp_path, 7)
    record = json.loads((tmp_path / RESULT).read_text())
    del record["by_class"][3]
    (tmp_path / RESULT).write_text(json.dumps(record))
    with pytest.raises(UserError, match="its average precisions are not those of its classes"):
        write_report(tmp_path)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("classes", [1, 80])
def test_nothing_is_out_of_place(tmp_path, classes, width):
    page_of(tmp_path, classes)
    with chromium() as browser:
        seen = look_at(browser, tmp_path / "report.html", width, ("light", "dark"))
    assert seen.faults == {}
    assert all(seen.charts.values())
