"""Where a trained detector is wrong: what it found and missed in validation images, and pictures of the worst ones."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from faster_coco_eval import COCO
from PIL import Image

from asvit.detection.coco import Coco
from asvit.detection.data import Scenes
from asvit.detection.draw import Mark, draw_marks
from asvit.detection.results import LEAST_SCORE, SceneMistakes
from asvit.detection.scores import Detection, ground_truth, objects_found
from asvit.errors import UserError, reason
from asvit.images import UNREADABLE
from asvit.runs.records import write_file
from asvit.training.mistakes import FOLDER, as_picture

MOST = 6
"""Pictures that are kept."""
SIDE = 640
"""Longer side of the pictures in pixels."""
QUALITY = 85
"""Quality of their JPEG files."""
FOUND, FALSE, MISSED = (0, 130, 200), (230, 25, 75), (255, 225, 25)
"""Colours of objects that were found, of finds that are no object, and of objects that were missed."""


@dataclass(frozen=True)
class Sight:
    """What was found and missed in a picture; all of it in COCO's format, the likeliest finds first."""

    image: int
    """Id of the picture."""
    found: list[Detection] = field(default_factory=list)
    """Finds that are objects."""
    false: list[Detection] = field(default_factory=list)
    """Finds that are none."""
    missed: list[dict[str, Any]] = field(default_factory=list)
    """Objects that no find is."""

    @property
    def mistakes(self) -> int:
        """How often the detector was wrong."""
        return len(self.missed) + len(self.false)

    @property
    def category(self) -> int:
        """Id of the category that most of the mistakes are of, the first of equal ones."""
        counts = Counter(entry["category_id"] for entry in (*self.missed, *self.false))
        return min(counts, key=lambda category: (-counts[category], category))


def sights_of(coco: Coco, detections: Sequence[Detection], seen: Sequence[int]) -> list[Sight]:
    """What was found and missed in pictures, by ascending id.

    Finds are detections with a score of :data:`asvit.detection.results.LEAST_SCORE` or more. A crowd is nothing that
    can be missed, and what is found in one is neither right nor false.

    Args:
        coco: the truth.
        detections: what was found in any of its pictures.
        seen: ids of the pictures that the detector looked at.
    """
    truth, sights = COCO(ground_truth(coco)), {image: Sight(image) for image in sorted(seen)}
    finds = [one for one in detections if one["score"] >= LEAST_SCORE and one["image_id"] in sights]
    finds.sort(key=lambda one: -one["score"])
    known = objects_found(truth, finds, seen)
    for place, find in enumerate(finds):
        sight = sights[find["image_id"]]
        if place not in known:
            sight.false.append(find)
        elif not truth.anns[known[place]]["iscrowd"]:
            sight.found.append(find)
    missed = truth.anns.keys() - set(known.values())
    for annotation in sorted(missed):
        entry = truth.anns[annotation]
        if entry["image_id"] in sights and not entry["iscrowd"]:
            sights[entry["image_id"]].missed.append(entry)
    return list(sights.values())


def worst_of(sights: Iterable[Sight]) -> list[Sight]:
    """Pictures with most mistakes, in turn from every category that most of a picture's mistakes are of.

    So the picture with most mistakes of each category comes first, then the second of each, up to :data:`MOST`; of
    equal ones, those with the smaller id come first.
    """
    wrong = sorted((sight for sight in sights if sight.mistakes), key=lambda sight: (-sight.mistakes, sight.image))
    before: Counter[int] = Counter()
    turns: list[int] = []
    for sight in wrong:
        turns.append(before[sight.category])
        before[sight.category] += 1
    return [sight for _, sight in sorted(zip(turns, wrong, strict=True), key=lambda pair: pair[0])][:MOST]


def write_mistakes(worst: Iterable[Sight], scenes: Scenes, run: Path) -> tuple[SceneMistakes, ...]:
    """Write pictures of what was found and missed into a run directory.

    Args:
        worst: what was found and missed in the pictures.
        scenes: the pictures.
        run: run directory.

    Raises:
        UserError: a picture can no longer be read, or cannot be written.
    """
    coco = scenes.coco
    names = {category.id: category.name for category in coco.categories}
    places = {picture.id: place for place, picture in enumerate(coco.pictures)}
    written = []
    for number, sight in enumerate(worst, start=1):
        place, picture = places[sight.image], f"{FOLDER}/{number:02}.jpg"
        try:
            image = scenes.image(place)
        except UNREADABLE as error:
            raise UserError(f"cannot read {scenes.file(place)} any more: {reason(error)}; put it back") from error
        write_file(run / picture, as_jpeg(draw_marks(as_picture(image), marks_of(sight, names), SIDE)))
        written.append(
            SceneMistakes(
                file=coco.pictures[place].file_name,
                found=counted(sight.found, names),
                missed=counted(sight.missed, names),
                false=counted(sight.false, names),
                picture=picture,
            )
        )
    return tuple(written)


def marks_of(sight: Sight, names: Mapping[int, str]) -> Iterator[Mark]:
    """What is drawn on a picture, the likeliest finds and then the missed objects on top.

    Args:
        sight: what was found and missed.
        names: names of the categories by their ids.
    """
    right = [(find, "", FOUND) for find in sight.found]
    wrong = [(find, "false: ", FALSE) for find in sight.false]
    for find, kind, colour in sorted(right + wrong, key=lambda one: one[0]["score"]):
        yield Mark(f"{kind}{names[find['category_id']]} {find['score']:.2f}", find, colour)
    for entry in sight.missed:
        yield Mark(names[entry["category_id"]], entry, MISSED, dashed=True)


def counted(entries: Iterable[Mapping[str, Any]], names: Mapping[int, str]) -> dict[str, int]:
    """How many objects there are of each category, the most frequent first.

    >>> counted([{"category_id": 3}, {"category_id": 1}, {"category_id": 1}], {1: "cat", 3: "owl"})
    {'cat': 2, 'owl': 1}
    """
    counts = Counter(entry["category_id"] for entry in entries)
    return {names[category]: counts[category] for category in sorted(counts, key=lambda one: (-counts[one], one))}


def as_jpeg(picture: Image.Image) -> bytes:
    """A picture as a JPEG file."""
    content = BytesIO()
    picture.save(content, "JPEG", quality=QUALITY)
    return content.getvalue()
