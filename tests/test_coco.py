"""COCO's format: real files, and everything in a file that does not fit."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from coco_sets import check_refused, coco_folder, edit
from pycocotools import mask as rle
from pycocotools.coco import COCO as Reference

from asvit.detection.coco import find_coco, read_coco
from asvit.errors import UserError


@pytest.fixture
def root(tmp_path) -> Path:
    return coco_folder(tmp_path)


def test_ids_with_gaps_become_labels_by_ascending_id(root):
    coco = find_coco(root, "train")
    assert coco.classes == ("box", "disc", "wedge")
    assert coco.labels == {3: 1, 7: 2, 90: 3}
    assert len(coco.pictures) == 9
    assert len(coco.objects[-1]) == 0
    assert [one.iscrowd for one in coco.objects[0]] == [0, 0, 1]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools itself
def test_masks_are_those_of_pycocotools(root):
    coco = find_coco(root, "train")
    reference = Reference(str(coco.path))
    for i in range(len(coco.pictures)):
        wanted = [reference.annToMask(reference.anns[one.id]) for one in coco.objects[i] if not one.iscrowd]
        masks = coco.masks(i)
        assert masks.shape == (len(wanted), 72, 96)
        assert all(np.array_equal(a, b) for a, b in zip(masks, wanted, strict=True))


@pytest.mark.parametrize("compressed", [False, True])
def test_masks_by_run_lengths(root, compressed):
    wanted = np.zeros((72, 96), np.uint8)
    wanted[10:30, 40:70] = 1
    runs = rle.encode(np.asfortranarray(wanted))
    lengths = [len(list(group)) for _, group in groupby(wanted.flatten(order="F"))]

    def change(document):
        shape = runs["counts"].decode() if compressed else lengths
        mask = {"size": [72, 96], "counts": shape}
        document["annotations"][1].update(bbox=[40, 10, 30, 20], segmentation=mask)

    edit(root, "train", change)
    assert np.array_equal(find_coco(root, "train").masks(0)[1], wanted)


def first(document) -> dict:
    return document["annotations"][0]


BROKEN = {
    "no such image": (
        lambda d: first(d).update(image_id=5),
        "annotation 0 in .* is of image 5, which",
    ),
    "no such category": (lambda d: first(d).update(category_id=4), "is of category 4, which the file does not have"),
    "twice": (lambda d: d["annotations"].append(first(d)), "has two annotations 0: expected each once"),
    "twin categories": (lambda d: d["categories"].append({"id": 3, "name": "x"}), "has two categories 3"),
    "twin names": (lambda d: d["categories"].append({"id": 4, "name": "box"}), "has two names of categories 'box'"),
    "no categories": (lambda d: d.update(categories=[], annotations=[]), "has no categories: expected COCO's JSON"),
    "zero area": (
        lambda d: first(d).update(bbox=[4, 4, 0, 9]),
        r"1 annotations in .* annotation 0 of 000.png has a",
    ),
    "negative": (lambda d: first(d).update(bbox=[4, 4, -3, 9]), "has a box of -3 by 9 pixels: expected an area"),
    "beside": (lambda d: first(d).update(bbox=[200, 4, 9, 9]), "has a box beside its picture of 96 by 72 pixels"),
    "outline beside": (
        lambda d: first(d).update(segmentation=[[200.0, 5, 220, 5, 220, 9]]),
        "has an outline beside its picture of 96 by 72",
    ),
    "no outline": (lambda d: first(d).pop("segmentation"), "has no outline: expected polygons of three points"),
    "two points": (lambda d: first(d).update(segmentation=[[1.0, 2, 3, 4]]), "has no outline"),
    "mask of another size": (
        lambda d: first(d).update(segmentation={"size": [9, 9], "counts": [81]}),
        "has a mask of 9 by 9 pixels, its picture 96 by 72",
    ),
    "runs": (
        lambda d: first(d).update(segmentation={"size": [72, 96], "counts": [5, 6]}),
        "has a mask whose runs do not add up to its picture",
    ),
    "runs in text": (
        lambda d: first(d).update(segmentation={"size": [72, 96], "counts": "garbage"}),
        "has a mask that cannot be decoded: ",
    ),
    "text of another length": (
        lambda d: first(d).update(segmentation={"size": [72, 96], "counts": "zzzz"}),
        "has a mask that cannot be decoded: ",
    ),
    "far away": (
        lambda d: first(d).update(segmentation=[[0.0, 0, 1e30, 0, 1e30, 9]]),
        "has an outline far from its picture of 96 by 72 pixels",
    ),
    "a sliver": (
        lambda d: first(d).update(bbox=[50, 10, 1e-6, 9]),
        "has a box of 1e-06 by 9 pixels within its",
    ),
    "all but outside": (
        lambda d: first(d).update(bbox=[95.9999999, 1, 9, 9]),
        "pixels within its picture: expected",
    ),
    "endless": (
        lambda d: first(d).update(bbox=[-1e300, 10, 2e300, 9]),
        "has a box far beyond its picture of 96 by 72 pixels",
    ),
    "a word": (lambda d: first(d).update(image_id="seven"), "is not of COCO's format: Expected `int`"),
    "missing file": (lambda d: d["images"][2].update(file_name="gone.jpg"), "there is no .*gone.jpg, which .* names"),
    "another size": (
        lambda d: d["images"][2].update(width=90),
        r"002.png has 96 by 72 pixels, but .*json says 90 by 72: expected the images that were annotated",
    ),
    "not COCO": (lambda d: d.pop("images"), "is not of COCO's format: .*images"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_does_not_fit_is_refused(root, what):
    check_refused(root, *BROKEN[what])


def test_useless_annotations_may_be_left_out_up_to_a_number(root):
    def change(document):
        document["annotations"][0]["bbox"] = [4, 4, 0, 9]
        document["annotations"][1]["bbox"] = [4, 4, 9, 0]

    edit(root, "train", change)
    with pytest.raises(UserError, match=r"2 annotations .* --max-left-out 2 \(now 1\)"):
        find_coco(root, "train", max_left_out=1)
    coco = find_coco(root, "train", max_left_out=2)
    assert len(coco.left_out) == 2
    assert coco.left_out[0] == "annotation 0 of 000.png has a box of 0 by 9 pixels: expected an area"
    assert [one.iscrowd for one in coco.objects[0]] == [1]


def test_layouts(tmp_path):
    root = coco_folder(tmp_path / "data")
    (root / "images").mkdir()
    (root / "train2017").rename(root / "images" / "train2017")
    assert find_coco(root, "train").folder == root / "images" / "train2017"
    (root / "val2017").rename(root / "val")
    assert find_coco(root, "val").folder == root / "val"
    (root / "val").rename(root / "elsewhere")
    (root / "images" / "train2017").rename(root / "somewhere")
    (root / "images").rmdir()
    with pytest.raises(UserError, match=r"there is no folder of images for .*expected .*train2017"):
        find_coco(root, "train")
    (root / "annotations" / "instances_train2014.json").write_text("{}")
    with pytest.raises(UserError, match=r"expected one JSON file for train .*, found instances_train2014"):
        find_coco(root, "train")
    (root / "annotations" / "instances_val2017.json").write_text('{"images": [')
    with pytest.raises(UserError, match="is not of COCO's format"):
        read_coco(root / "annotations" / "instances_val2017.json", root)


def test_a_damaged_picture_is_left_to_the_reader(root):
    (root / "train2017" / "002.png").write_bytes(b"no picture")
    assert len(find_coco(root, "train").pictures) == 9


@pytest.mark.parametrize("content", [b'{"images": "\xff"}', b"[" * 100_000, b"", b"null"])
def test_what_is_no_json_is_refused(root, content):
    (root / "annotations" / "instances_train2017.json").write_bytes(content)
    with pytest.raises(UserError, match="is not of COCO's format"):
        find_coco(root, "train")


def test_polygons_of_two_points_are_no_part_of_an_outline(root):
    before = find_coco(root, "train").masks(0)
    edit(root, "train", lambda d: first(d)["segmentation"].append([1.0, 2, 3, 4]))
    assert np.array_equal(find_coco(root, "train").masks(0), before)


def test_a_picture_too_large_to_open_is_left_to_the_reader(root, monkeypatch):
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 10)
    assert len(find_coco(root, "train").pictures) == 9
