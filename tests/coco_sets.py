"""Small data sets in COCO's format: shapes on noise, with all that real files have."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from asvit.detection.coco import find_coco
from asvit.errors import UserError

CATEGORIES = [{"id": 7, "name": "disc"}, {"id": 3, "name": "box"}, {"id": 90, "name": "wedge"}]
"""Ids with gaps and out of order: labels are box 1, disc 2, wedge 3."""
COLOURS = {3: (220, 60, 60), 7: (60, 90, 230), 90: (250, 220, 60)}


def polygon(category: int, left: float, top: float, side: float) -> list[float]:
    """Outline of a shape within a square."""
    if category == 3:
        corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    elif category == 90:
        corners = [(0.5, 0), (1, 1), (0, 1)]
    else:
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        corners = [(0.5 + 0.5 * np.cos(a), 0.5 + 0.5 * np.sin(a)) for a in angles]
    return [float(x) for u, v in corners for x in (left + side * u, top + side * v)]


def picture(
    rng: np.random.Generator, height: int, width: int, objects: int
) -> tuple[Image.Image, list[dict[str, Any]]]:
    """A picture with shapes, and its annotations."""
    image = Image.fromarray(rng.integers(90, 150, (height, width, 3), dtype=np.uint8))
    pen, annotations = ImageDraw.Draw(image), []
    for _ in range(objects):
        category = int(rng.choice([3, 7, 90]))
        side = float(rng.uniform(0.3, 0.5) * min(height, width))
        left, top = float(rng.uniform(0, width - side)), float(rng.uniform(0, height - side))
        outline = polygon(category, left, top, side)
        pen.polygon([round(x) for x in outline], fill=COLOURS[category])
        annotation = {"category_id": category, "bbox": [left, top, side, side], "segmentation": [outline]}
        annotations.append({**annotation, "area": side * side, "iscrowd": 0})
    return image, annotations


def write_part(root: Path, split: str, images: int, seed: int, *, objects: int = 2, size=(72, 96)) -> dict[str, Any]:
    """Write a split; the first picture has a crowd, the last no annotation."""
    rng = np.random.default_rng(seed)
    folder = root / f"{split}2017"
    folder.mkdir(parents=True)
    document: dict[str, Any] = {"images": [], "annotations": [], "categories": CATEGORIES}
    for i in range(images):
        shown, annotations = picture(rng, *size, objects if i < images - 1 else 0)
        name, image_id = f"{i:03d}.png", 100 + 7 * i
        shown.save(folder / name)
        document["images"].append({"id": image_id, "file_name": name, "height": size[0], "width": size[1]})
        if i == 0:
            runs = [0, 500, size[0] * size[1] - 500]
            crowd = {"category_id": 3, "bbox": [0, 0, 7, size[0]], "area": 500, "iscrowd": 1}
            annotations.append({**crowd, "segmentation": {"size": list(size), "counts": runs}})
        for annotation in annotations:
            document["annotations"].append(
                {"id": len(document["annotations"]), "image_id": image_id, **annotation}
            )  # ids from 0, which COCO's evaluation takes for none
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(document))
    return document


def coco_folder(root: Path, *, train: int = 9, val: int = 5) -> Path:
    """A data set laid out like COCO."""
    write_part(root, "train", train, 0)
    write_part(root, "val", val, 1)
    return root


def edit(root: Path, split: str, change: Any) -> None:
    """Change a split's JSON file."""
    path = root / "annotations" / f"instances_{split}2017.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def check_refused(root: Path, change: Any, message: str) -> None:
    """Change the training set's file, which is then refused in one line of sensible length."""
    edit(root, "train", change)
    with pytest.raises(UserError, match=message) as caught:
        find_coco(root, "train")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
