"""What a training keeps of its best detector: what it found and missed, and pictures of the worst images."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from coco_sets import coco_folder
from coco_squares import detection_of, squares
from PIL import Image
from test_detect_training import SMOKE, ignore, training

from asvit.detection import mistakes
from asvit.detection.coco import find_coco
from asvit.detection.data import Scenes
from asvit.detection.draw import TINT, Mark, draw_marks, write_apart
from asvit.detection.mistakes import FALSE, FOUND, MISSED, MOST, SIDE, Sight, sights_of, worst_of, write_mistakes
from asvit.detection.results import DetectResult
from asvit.errors import UserError
from asvit.runs.records import RESULT, read_record, write_record

CAT, OWL = 3, 8


def boxes(entries) -> list[tuple[int, int]]:
    """Category and left side of each."""
    return [(entry["category_id"], entry["bbox"][0]) for entry in entries]


def test_finds_are_right_or_false_and_objects_are_missed():
    coco = squares(
        {CAT: "cat", OWL: "owl"},
        [[(CAT, 0, 0, 20, 20), (CAT, 40, 0, 20, 20), (OWL, 80, 0, 20, 20)], [(OWL, 0, 0, 10, 10)]],
    )
    found = [
        detection_of(0, CAT, 0.6, 0, 0, 20, 20),  # again what a likelier one has found
        detection_of(0, CAT, 0.9, 1, 0, 20, 20),
        detection_of(0, CAT, 0.49, 40, 0, 20, 20),  # not sure enough
        detection_of(0, CAT, 0.8, 80, 0, 20, 20),  # another class
        detection_of(0, OWL, 0.5, 89, 0, 20, 20),  # 9/31 in common
        detection_of(1, OWL, 0.5, 3, 0, 10, 10),  # 7/13 in common
    ]
    first, second = sights_of(coco, found, [1, 0])
    assert (first.image, second.image) == (0, 1)
    assert boxes(first.found) == [(CAT, 1)]
    assert boxes(first.false) == [(CAT, 80), (CAT, 0), (OWL, 89)]
    assert boxes(first.missed) == [(CAT, 40), (OWL, 80)]
    assert (boxes(second.found), second.mistakes) == ([(OWL, 3)], 0)
    (alone,) = sights_of(coco, found, [1])  # the other picture could not be read
    assert (alone.image, boxes(alone.found)) == (1, [(OWL, 3)])
    (nothing,) = sights_of(coco, [], [0])
    assert boxes(nothing.missed) == [(CAT, 0), (CAT, 40), (OWL, 80)]


def test_crowds_are_neither_missed_nor_do_finds_in_them_count():
    coco = squares({CAT: "cat"}, [[(CAT, 70, 70, 20, 20), (CAT, 0, 0, 60, 60)]], crowds=1)
    found = [detection_of(0, CAT, 0.9, 10, 10, 20, 20), detection_of(0, CAT, 0.8, 70, 70, 20, 20)]
    (sight,) = sights_of(coco, found, [0])
    assert boxes(sight.found) == [(CAT, 70)]
    assert sight.mistakes == 0


def test_more_detections_than_coco_looks_at_are_matched():
    """COCO looks at the likeliest hundred of an image and class."""
    coco = squares({CAT: "cat"}, [[(CAT, 0, 0, 20, 20)]])
    found = [detection_of(0, CAT, 0.9, 50, 50, 20, 20) for _ in range(100)] + [detection_of(0, CAT, 0.6, 0, 0, 20, 20)]
    (sight,) = sights_of(coco, found, [0])
    assert (len(sight.false), boxes(sight.found)) == (100, [(CAT, 0)])


def wrong(image: int, cats: int = 0, owls: int = 0, *, false: int = 0) -> Sight:
    missed = [{"category_id": CAT}] * cats + [{"category_id": OWL}] * owls
    return Sight(image, false=[{"category_id": CAT}] * false, missed=missed)


def test_classes_take_turns_with_their_worst_images():
    sights = [
        wrong(1, cats=9),
        wrong(2, cats=8, owls=1),
        wrong(3, cats=7),
        wrong(4),  # without a mistake
        wrong(5, owls=2),
        wrong(6, owls=2, cats=1, false=1),  # of both classes the same number: the first one's
        wrong(7, owls=1),
        wrong(8, owls=2),
        wrong(9, cats=3, false=1),
    ]
    assert [sight.image for sight in worst_of(sights)] == [1, 5, 2, 8, 3, 7]
    assert [sight.image for sight in worst_of(sights[:4])] == [1, 2, 3]
    assert worst_of([wrong(4)]) == []
    assert len(worst_of([wrong(i, cats=1) for i in range(9)])) == MOST


def test_a_find_is_tinted_and_outlined_and_a_missed_object_dashed():
    found = Mark("", detection_of(0, CAT, 0.9, 10, 20, 30, 20), FOUND)
    missed = Mark("", detection_of(0, CAT, 0.9, 60, 20, 30, 20), MISSED, dashed=True)
    drawn = draw_marks(Image.new("L", (100, 100)), [found, missed], 400)
    assert (drawn.mode, drawn.size) == ("RGB", (400, 400))
    pixels = np.asarray(drawn).astype(int)
    assert tuple(pixels[120, 41]) == FOUND
    assert pixels[120, 80] == pytest.approx(TINT * np.array(FOUND), abs=2)
    assert tuple(pixels[120, 200]) == (0, 0, 0)
    assert tuple(pixels[120, 300]) == (0, 0, 0)
    bottom = (pixels[:, 245:355] == MISSED).all(-1)[159:162].any(0)
    assert 0.4 < bottom.mean() <= 1


@pytest.mark.parametrize(("size", "drawn"), [((100, 50), (400, 200)), ((2000, 1), (400, 1)), ((1, 3000), (1, 400))])
def test_pictures_have_one_longer_side(size, drawn):
    assert draw_marks(Image.new("RGB", size), [], 400).size == drawn


def test_words_do_not_cover_others():
    """Above their box, within it, below it; those of the last mark, for which no place is left, are not written."""
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 0, 200)]
    entry = {"bbox": (20, 40, 60, 40)}
    picture = Image.new("RGB", (200, 120))
    box = (20.0, 40.0, 80.0, 80.0)
    write_apart(picture, [(Mark("word", entry, colour), box) for colour in colours], 16)
    pixels = np.asarray(picture).astype(int)
    rows = [np.nonzero((pixels == colour).all(-1).any(1))[0] for colour in colours]
    (above, within, below), nowhere = [(row.min(), row.max()) for row in rows[:3]], rows[3]
    assert above[0] < above[1] <= 40 <= within[0] + 1 < within[1] < 80 <= below[0] + 1
    assert len(nowhere) == 0


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return coco_folder(tmp_path_factory.mktemp("coco"))


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def near(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """Pixels of about a colour."""
    return int((np.abs(np.asarray(picture).astype(int) - colour).max(-1) < 60).sum())


def test_pictures_show_what_was_found_and_missed(root, tmp_path):
    scenes = Scenes(find_coco(root, "val"))
    coco = scenes.coco
    truth = [one for one in coco.objects[1] if not one.iscrowd]
    image, names = coco.pictures[1].id, {category.id: category.name for category in coco.categories}
    (blank,) = sights_of(coco, [], [image])
    (shown,) = write_mistakes([blank], scenes, tmp_path)
    assert (shown.file, shown.found, shown.false, shown.picture) == ("001.png", {}, {}, "mistakes/01.jpg")
    assert sum(shown.missed.values()) == len(truth) == 2
    assert shown.missed.keys() == {names[one.category_id] for one in truth}
    picture = opened((tmp_path / shown.picture).read_bytes())
    assert (picture.format, picture.size) == ("JPEG", (SIDE, SIDE * 72 // 96))
    assert near(picture, MISSED) > 500

    entry = blank.missed[0]
    find = {key: entry[key] for key in ("image_id", "category_id", "bbox", "segmentation")} | {"score": 0.75}
    far = find | {"bbox": [0.0, 0.0, 3.0, 3.0], "score": 0.6}
    (half,) = sights_of(coco, [find, far], [image])
    (shown,) = write_mistakes([half], scenes, tmp_path)
    name = names[entry["category_id"]]
    assert (shown.found, shown.false, sum(shown.missed.values())) == ({name: 1}, {name: 1}, 1)
    again = opened((tmp_path / shown.picture).read_bytes())
    assert near(again, FOUND) > near(picture, FOUND)
    corner = (0, 0, 100, 20)  # where the false one's words are
    assert near(again.crop(corner), FALSE) > 1000 > near(picture.crop(corner), FALSE)


def test_a_picture_that_is_gone_is_named(tmp_path):
    scenes = Scenes(find_coco(coco_folder(tmp_path), "val"))
    (sight,) = sights_of(scenes.coco, [], [scenes.coco.pictures[1].id])
    (tmp_path / "val2017" / "001.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"cannot read .*val2017/001\.png any more: .*; put it back"):
        write_mistakes([sight], scenes, tmp_path / "run")


def files_of(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "mistakes").iterdir()}


def test_a_run_keeps_what_its_best_detector_finds(root, tmp_path, monkeypatch):
    monkeypatch.setattr(mistakes, "LEAST_SCORE", 0.06)  # of two epochs nothing is sure
    folder, recipe = tmp_path / "checkpoints", replace(SMOKE, evaluate_every=2)
    one = training(root, recipe)
    result = one.look_back(one.run(folder, ignore), tmp_path)
    assert [scores.name for scores in result.by_class] == ["box", "disc", "wedge"]
    assert sum(scores.objects for scores in result.by_class) == 8
    for kind in ("boxes", "masks"):
        known = [ap for scores in result.by_class if (ap := getattr(scores, kind)) is not None]
        assert getattr(result.best, kind).ap == pytest.approx(np.mean(known), abs=1e-9)
    assert 4 <= len(result.mistakes) <= 5
    assert any(shown.false for shown in result.mistakes)
    objects = [sum(shown.missed.values()) + sum(shown.found.values()) for shown in result.mistakes]
    assert max(objects) == 2
    pictures = files_of(tmp_path)
    assert sorted(pictures) == [f"{i:02}.jpg" for i in range(1, len(result.mistakes) + 1)]

    write_record(tmp_path / RESULT, "detect", result)
    assert read_record(tmp_path / RESULT, DetectResult) == result

    one = training(root, recipe)
    again = one.look_back(one.run(folder, ignore), tmp_path)  # killed after its last epoch, before the result
    assert (again.by_class, again.mistakes, files_of(tmp_path)) == (result.by_class, result.mistakes, pictures)
