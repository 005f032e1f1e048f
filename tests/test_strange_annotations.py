"""Annotations as annotation tools write them: read where they can only mean one thing, refused by name elsewhere."""

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from coco_sets import check_refused, coco_folder, edit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as rle

from asvit.commands.app import main
from asvit.detection import annotations
from asvit.detection.annotations import Picture
from asvit.detection.coco import find_coco
from asvit.detection.data import Scenes
from asvit.errors import UserError

Document = dict[str, Any]
TRAIN = "annotations/instances_train2017.json"


@pytest.fixture
def root(tmp_path) -> Path:
    return coco_folder(tmp_path / "set", train=4, val=2)


def boxes(change: Callable[[list[float], Document], Any], which: slice = slice(None)) -> Callable[[Document], None]:
    """Change boxes of objects that are no crowds."""

    def edited(document: Document) -> None:
        for one in [one for one in document["annotations"] if not one["iscrowd"]][which]:
            one["bbox"] = change(one["bbox"], one)

    return edited


def outlines(change: Callable[[list[float]], Any]) -> Callable[[Document], None]:
    """Change polygons."""

    def edited(document: Document) -> None:
        for one in document["annotations"]:
            if not one["iscrowd"]:
                one["segmentation"] = change(one["segmentation"][0])

    return edited


def relative(document: Document) -> None:
    """Boxes and outlines as shares of the picture."""
    for one in document["annotations"]:
        one["bbox"] = [x / (96, 72)[i % 2] for i, x in enumerate(one["bbox"])]
        if isinstance(one["segmentation"], list):
            one["segmentation"] = [[x / (96, 72)[i % 2] for i, x in enumerate(one["segmentation"][0])]]


def as_masks(change: Callable[[Document], None]) -> Callable[[Document], None]:
    """The same with run lengths for polygons."""

    def edited(document: Document) -> None:
        for one in document["annotations"]:
            if isinstance(one["segmentation"], list):
                (runs,) = rle.frPyObjects(one["segmentation"], 72, 96)
                one["segmentation"] = {"size": [72, 96], "counts": runs["counts"].decode()}
        change(document)

    return edited


def first(document: Document) -> dict:
    return document["annotations"][0]


def without(document: Document, name: str) -> None:
    for one in document["annotations"]:
        del one[name]


def named(name: str) -> Callable[[Document], None]:
    """Another name for the second picture."""
    return lambda document: document["images"][1].update(file_name=name)


def twin(document: Document) -> None:
    document["images"].append({**document["images"][0], "id": 9999})


def two_kinds(document: Document) -> None:
    """Three boxes of corners among eight, and no outlines."""
    boxes(corners, slice(0, 5))(document)
    without(document, "segmentation")


def corners(box: list[float], _: Any = None) -> list[float]:
    x, y, w, h = box
    return [x, y, x + w, y + h]


HUGE = 2**70
CORNERS = r"boxes in .*instances_train2017\.json fit only as \[x1, y1, x2, y2\]: expected \[left, top, width, height\]"
SHARES = r"in .*json are relative, shares of width and height from 0 to 1: expected .* in pixels; export them"
OUT = r"which leads out of .*set: expected a path within that folder"

REFUSED: dict[str, tuple[Callable[[Document], Any], str]] = {
    "corners": (boxes(corners), CORNERS),
    "corners beside masks": (as_masks(boxes(corners)), CORNERS),
    "corners without outlines": (two_kinds, CORNERS),
    "corners of one": (boxes(corners, slice(3, 4)), r"has a box that fits its outline only as \[x1, y1, x2, y2\]"),
    "centres": (boxes(lambda b, _: [b[0] + b[2] / 2, b[1] + b[3] / 2, *b[2:]]), r"only as \[centre x, centre y, width"),
    "rows first": (boxes(lambda b, _: [b[1], b[0], b[3], b[2]]), r"only as \[y, x, height, width\]"),
    "corners, rows first": (boxes(lambda b, _: [b[1], b[0], b[1] + b[3], b[0] + b[2]]), r"only as \[y1, x1, y2, x2\]"),
    "per cent": (
        boxes(lambda b, _: [100 * x / (96, 72)[i % 2] for i, x in enumerate(b)]),
        r"only as \[left, top, width, height\] in percent",
    ),
    "relative": (relative, f"^7 of 7 boxes {SHARES}"),
    "relative boxes": (boxes(lambda b, _: [x / 96 for x in b]), f"^6 of 7 boxes {SHARES}"),
    "relative outlines": (outlines(lambda p: [[x / 96 for x in p]]), f"^6 of 6 outlines {SHARES}"),
    "elsewhere": (lambda d: first(d).update(bbox=[0, 0, 2, 2]), "has an outline that lies outside of its box"),
    "a file twice": (twin, r"images 100 and 9999 in .* are the same file .*000\.png: expected each file once"),
    "a file twice, differently written": (
        lambda d: (twin(d), d["images"][-1].update(file_name="./000.png")),
        "are the same file",
    ),
    "no pixel": (
        lambda d: first(d).update(segmentation=[[5.0, 5, 40, 5, 20, 5]], bbox=[5, 4, 35, 2]),
        "annotation 0 of 000.png has an outline that fills no pixel of its picture",
    ),
    "crowds that are counted": (
        lambda d: first(d).update(iscrowd=HUGE),
        r"Expected `int` <= 1 - at `\$\.annotations\[0\]\.iscrowd`",
    ),
    "a scribble": (
        lambda d: first(d).update(segmentation=[[-900.0, 5, 900, 30] * 600], bbox=[0, 5, 90, 25]),
        "has an outline that is 2,160,208 pixels long: expected one of an object",
    ),
    "an empty mask": (
        lambda d: first(d).update(segmentation={"size": [72, 96], "counts": [72 * 96]}),
        "fills no pixel of its picture",
    ),
    "boxes only": (
        lambda d: without(d, "segmentation"),
        r"the 7 annotations in .* are boxes without outlines \(segmentation\), .* export polygons or masks",
    ),
    "empty outlines": (outlines(lambda p: []), "--max-left-out 6"),  # the crowd has one
    "nothing can be used": (
        lambda d: [one.update(bbox=[1, 1, 0, 0]) for one in d["annotations"]],
        "none of the 7 annotations in .* can be used, the first: annotation 0 of 000.png has a box of 0 by 0 pixels",
    ),
    "an image of 70 bits": (lambda d: d["images"][0].update(id=HUGE), f"has the id {HUGE} in images: expected whole"),
    "a category of 70 bits": (lambda d: d["categories"][0].update(id=-HUGE), "of at most 64 bits; number the cat"),
    "an annotation of 70 bits": (lambda d: first(d).update(id=HUGE), "number the annotations anew, such as from 1"),
    "an image that is not there, of 70 bits": (lambda d: first(d).update(image_id=HUGE), "is of image 1180591620717"),
    "an id as text": (lambda d: d["images"][0].update(id="a"), r"Expected `int`, got `str` - at `\$.images\[0\].id`"),
    "no id": (lambda d: d["images"][0].update(id=None), r"Expected `int`, got `null` - at `\$.images"),
    "no name": (named(""), "image 107 in .* has the file_name '': expected the path of a picture"),
    "blanks": (named("  "), "has the file_name '  '"),
    "nul": (named("a\0b.png"), "has the file_name 'a.x00b.png'"),
    "another's": (named("/etc/hostname"), OUT),
    "above": (named("../../../other/001.png"), OUT),
    "above, in Windows": (named("..\\..\\..\\001.png"), OUT),
    "a drive": (named("C:\\pictures\\001.png"), OUT),
    "a share": (named("\\\\server\\pictures\\001.png"), OUT),
    "an address": (named("https://example.com/001.png"), "there is no .*001.png, which"),
    "long": (named("a" * 5000 + ".png"), "File name too long"),
    "a folder": (named("."), "is no file: expected a picture"),
    "below a file": (named("000.png/001.png"), "there is no .*000.png/001.png, which"),
    "no width": (lambda d: d["images"][0].pop("width"), "missing required field `width`"),
    "no area": (lambda d: d["images"][0].update(width=0), "image 100 in .* is said to have 0 by 72 pixels: expected"),
    "below nothing": (lambda d: d["images"][0].update(height=-72), "to have 96 by -72 pixels"),
    "endless": (lambda d: d["images"][0].update(width=10**9, height=10**9), "at most 268 million pixels"),
    "turned": (lambda d: d["images"][0].update(width=72, height=96), "has 96 by 72 pixels, but .* says 72 by 96"),
    "a box of three": (lambda d: first(d).update(bbox=[1, 2, 3]), "is not of COCO's format: Expected `array` of"),
    "a flat outline": (lambda d: first(d).update(segmentation=[1, 2, 3, 4, 5, 6]), "is not of COCO's format: Expected"),
    "two names": (lambda d: d["categories"].append({"id": 4, "name": "box"}), "has two names of categories 'box'"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_contradicts_itself_is_refused_in_one_line(root, what):
    check_refused(root, *REFUSED[what])


@pytest.mark.parametrize("what", ["boxes only", "nothing can be used"])
def test_no_training_on_nothing(root, what):
    edit(root, "train", REFUSED[what][0])
    with pytest.raises(UserError, match=REFUSED[what][1]) as caught:
        find_coco(root, "train", max_left_out=7)
    assert "--max-left-out" not in str(caught.value)


def moved(name: str) -> Callable[[Path], None]:
    """Pictures elsewhere in the data folder."""
    return lambda root: os.renames(root / "train2017", root / name)


def annotated(*names: str) -> Callable[[Path], None]:
    """The annotations of both parts under other names."""

    def change(root: Path) -> None:
        for old, new in zip(("instances_train2017", "instances_val2017"), names, strict=True):
            (root / new).parent.mkdir(parents=True, exist_ok=True)
            (root / "annotations" / f"{old}.json").rename(root / new)

    return change


def all_named(name: Callable[[str], str]) -> Callable[[Path], None]:
    """Other names for all pictures."""
    return lambda root: edit(root, "train", lambda d: [x.update(file_name=name(x["file_name"])) for x in d["images"]])


def both(*changes: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """One change after another."""
    return lambda root: [change(root) for change in changes]


def roboflow(root: Path) -> None:
    """As Roboflow exports: annotations among the pictures, a category in front that groups the others."""
    for split, name in (("train", "train"), ("val", "valid")):
        edit(root, split, lambda d: d["categories"].insert(0, {"id": 0, "name": "box", "supercategory": "none"}))
        edit(root, split, lambda d: [one.setdefault("supercategory", "box") for one in d["categories"]])
        (root / f"{split}2017").rename(root / name)
        (root / f"annotations/instances_{split}2017.json").rename(root / name / "_annotations.coco.json")
    (root / "annotations").rmdir()


def encoded(change: Callable[[str], bytes]) -> Callable[[Path], Any]:
    """The same text in other bytes."""
    return lambda root: (root / TRAIN).write_bytes(change((root / TRAIN).read_text()))


def cluttered(root: Path) -> None:
    """What systems and tools leave behind."""
    for name in ("._instances_train2017.json", ".instances_train2017.json.swp", "instances_train2017.json.bak"):
        (root / "annotations" / name).write_bytes(b"\0\5\26\7")
    (root / "annotations" / "train.json").mkdir()


READ: dict[str, Callable[[Path], Any]] = {
    "COCO": lambda root: None,
    "a mark in front": encoded(lambda text: b"\xef\xbb\xbf" + text.encode()),
    "UTF-16": encoded(lambda text: text.encode("utf-16")),
    "line feeds in front": encoded(lambda text: f"\r\n\n{text}\n".encode()),
    "Windows' paths": both(moved("images"), all_named("images\\{}".format)),
    "relative to the data folder": both(moved("images/train"), all_named("images/train/{}".format)),
    "relative to images": both(moved("images/Train"), all_named("Train/{}".format)),
    "relative to the annotations": both(moved("images"), all_named("../images/{}".format)),
    "relative to a folder, with a dot": all_named("./{}".format),
    "in the split": moved("train"),
    "in the split, below images": moved("images/TRAIN"),
    "in images below the split": moved("train/images"),
    "in Images": moved("Images"),
    "in data": moved("data"),
    "of labelme2coco": both(moved("JPEGImages"), all_named("JPEGImages/{}".format)),
    "beside the folders": both(moved("all"), all_named("all/{}".format)),
    "CVAT": both(
        annotated("annotations/instances_Train.json", "annotations/instances_Validation.json"), moved("images/Train")
    ),
    "plain names": annotated("annotations/train.json", "annotations/val.json"),
    "capitals": both(
        annotated("Annotations/TRAIN.JSON", "Annotations/VAL.JSON"), lambda root: (root / "annotations").rmdir()
    ),
    "in the data folder": annotated("train.json", "val.json"),
    "the latest": annotated("annotations/latest_train.json", "annotations/latest_val.json"),
    "FiftyOne": both(annotated("train/labels.json", "validation/labels.json"), moved("train/data")),
    "training and test": annotated("annotations/training.json", "annotations/test.json"),
    "Roboflow": roboflow,
    "clutter": cluttered,
    "key points": lambda root: (root / "annotations/person_keypoints_train2017.json").write_text("{}"),
    "an empty folder of that name": lambda root: (moved("images")(root), (root / "train2017").mkdir()),
    "absolute": lambda root: all_named(lambda name: str(root / "train2017" / name))(root),
    "ids of 63 bits": lambda root: edit(root, "train", lambda d: first(d).update(id=2**63 - 1)),
    "a loose box": lambda root: edit(root, "train", boxes(lambda b, _: [b[0] - 2, b[1] - 2, b[2] + 4, b[3] + 4])),
    "crowds by true and false": lambda root: edit(
        root, "train", lambda d: [one.update(iscrowd=bool(one["iscrowd"])) for one in d["annotations"]]
    ),
    "a link": lambda root: (moved("../elsewhere")(root), os.symlink(root.parent / "elsewhere", root / "train2017")),
}


@pytest.mark.parametrize("what", READ)
def test_layouts_and_spellings_are_read(root, what):
    wanted = find_coco(root, "train")
    READ[what](root)
    coco = find_coco(root, "train")
    assert coco.classes == ("box", "disc", "wedge")
    assert [len(coco.learned(i)) for i in range(4)] == [len(wanted.learned(i)) for i in range(4)]
    images = Scenes(coco)
    assert all(images.image(i).shape == (3, 72, 96) for i in range(4))
    assert len(find_coco(root, "val").pictures) == 2


def test_a_group_of_categories_is_said_to_be_no_class(root):
    roboflow(root)
    assert find_coco(root, "train").remarks == (
        f"category 0 (box) in {root}/train/_annotations.coco.json is a group of others and has no object: it is no "
        "class",
    )


NOT_FOUND: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing": (
        lambda root: [path.unlink() for path in (root / "annotations").iterdir()],
        r"expected one JSON file for train in .*, found none: .*annotations holds nothing; choose",
    ),
    "another part": (
        lambda root: (root / TRAIN).unlink(),
        r"found none: .*annotations holds instances_val2017\.json; choose a folder laid out like COCO",
    ),
    "no annotations": (
        annotated("labels/a.json", "labels/b.json"),
        r"found none: .*annotations holds nothing",
    ),
    "no folder": (
        lambda root: (annotated("labels/a.json", "labels/b.json")(root), (root / "annotations").rmdir()),
        r"found none: .*set holds labels/, train2017/, val2017/; choose",
    ),
    "many": (
        lambda root: (root / "annotations/instances_train2014.json").write_text("{}"),
        r"found instances_train2014\.json, instances_train2017\.json: leave one of them there",
    ),
    "train and val in one": (
        lambda root: (root / TRAIN).rename(root / "annotations/trainval.json"),
        r"found none: .*annotations holds instances_val2017\.json, trainval\.json",
    ),
    "no pictures": (
        moved("elsewhere"),
        r"there is no folder of images for .*, the first of which it calls '000\.png': expected it in .*train2017 or "
        r".*images; .*set holds annotations/, elsewhere/, val2017/",
    ),
    "no data": (lambda root: root.rename(root.with_name("other")), "but there is no folder .*set: choose a folder"),
    "a file": (
        lambda root: (root.rename(root.with_name("other")), root.write_text("x")),
        "set is a file, not a folder",
    ),
    "much": (
        lambda root: [(root / TRAIN).unlink(), *((root / f"annotations/{i}.json").touch() for i in range(50))],
        r"annotations holds 0\.json, .* and 43 more; choose",
    ),
}


@pytest.mark.parametrize("what", NOT_FOUND)
def test_what_is_not_found_lists_what_there_is(root, what):
    change, message = NOT_FOUND[what]
    change(root)
    with pytest.raises(UserError, match=message) as caught:
        find_coco(root, "train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_sizes_are_those_of_the_picture_as_it_is_shown(root, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = orientation > 4
    picture = Image.fromarray(np.zeros((96, 72, 3) if turned else (72, 96, 3), np.uint8))
    picture.save(root / f"train2017/turned.{ending}", exif=exif)
    edit(root, "train", named(f"turned.{ending}"))
    assert len(find_coco(root, "train").pictures) == 4
    if turned:  # as it is stored, with the same objects
        edit(root, "train", lambda d: d["images"][1].update(width=72, height=96))
        edit(root, "train", lambda d: d.update(annotations=[x for x in d["annotations"] if x["image_id"] != 107]))
        with pytest.raises(UserError, match=r"EXIF orientation says, with 96 by 72 pixels, but .* as it is stored"):
            find_coco(root, "train")


def test_a_picture_that_has_changed_its_size_is_not_learned_from(root):
    scenes = Scenes(find_coco(root, "train"))
    Image.new("RGB", (60, 50)).save(root / "train2017/001.png")
    with pytest.raises(ValueError, match="it has 60 by 50 pixels, not the 96 by 72 annotated"):
        scenes.read(1)


ARCHITECTURE = "8,2,3|4,1,2|4,1,4|4,1,6|32"
WITHOUT_OBJECTS = {
    "none": ("train", lambda d: d.update(annotations=[]), "has no objects, so there is nothing to learn"),
    "none to score": ("val", lambda d: d.update(annotations=[]), "has no objects, so there is nothing to score"),
    "crowds": (
        "train",
        lambda d: d.update(annotations=[one for one in d["annotations"] if one["iscrowd"]]),
        r"has no objects but crowds \(iscrowd\), so there is nothing to learn: expected annotations with",
    ),
    "boxes only": ("train", lambda d: without(d, "segmentation"), "export polygons or masks"),
}


@pytest.mark.parametrize("what", WITHOUT_OBJECTS)
def test_a_set_without_objects_is_no_training(root, capsys, what):
    split, change, message = WITHOUT_OBJECTS[what]
    edit(root, split, change)
    with pytest.raises(SystemExit) as ended:
        main(["detect", "train", ARCHITECTURE, "--data", str(root), "--max-left-out", "99", "--out", str(root / "run")])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("asvit: ")
    assert re.search(message, line)
    assert not (root / "run").exists()


BOUNDED = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
"""Any JSON."""


def refused_or_read(root: Path) -> None:
    """A part is read, or refused."""
    with suppress(UserError):
        coco = find_coco(root, "train", max_left_out=3)
        assert any(coco.learned(i) for i in range(len(coco.pictures)))


@BOUNDED
@given(st.sampled_from(["images", "annotations", "categories"]), st.data())
def test_any_value_of_a_field(root, part, data):
    document = json.loads((root / TRAIN).read_text())
    whole = (root / TRAIN).read_text()
    name = data.draw(st.sampled_from(sorted(document[part][0])))
    document[part][0][name] = data.draw(JSON)
    (root / TRAIN).write_bytes(msgspec.json.encode(document))
    try:
        refused_or_read(root)
    finally:
        (root / TRAIN).write_text(whole)


@BOUNDED
@given(st.lists(st.floats(-1e4, 1e4), min_size=4, max_size=4), st.lists(st.floats(-1e4, 1e4), max_size=9))
def test_any_box_and_outline(root, box, outline):
    whole = (root / TRAIN).read_text()
    edit(root, "train", lambda d: first(d).update(bbox=box, segmentation=[outline]))
    try:
        refused_or_read(root)
    finally:
        (root / TRAIN).write_text(whole)


@BOUNDED
@given(st.lists(st.tuples(st.floats(0, 96), st.floats(0, 72)), min_size=3, max_size=8), st.floats(0.05, 1))
def test_what_is_called_thick_fills_pixels(points, scale):
    picture = Picture(1, "a.png", 72, 96)
    outline = [scale * x for point in points for x in point]
    if annotations._is_thick(outline, picture):
        assert rle.area(rle.frPyObjects([outline], 72, 96)[0]) > 0


@BOUNDED
@given(st.text(max_size=12).map(lambda text: text.encode("utf-8", "ignore").decode()))
def test_any_name_stays_within_the_data(root, name):
    whole = (root / TRAIN).read_text()
    edit(root, "train", named(name))
    with suppress(UserError):
        coco = find_coco(root, "train")
        assert coco.file(1).is_relative_to(root)
    (root / TRAIN).write_text(whole)
