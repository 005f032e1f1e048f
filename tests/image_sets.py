"""Small labelled images on disk in every form that training reads. The class is the brightness."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from asvit.training.settings import ImageData
from asvit.training.sources import Source, Split, open_data

CLASSES = ("dark", "light", "mid")
LEVELS = {"dark": 40, "light": 210, "mid": 125}


def pixels(name: str, number: int, *, side: int = 12, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng([number, *name.encode()])
    return (LEVELS[name] + rng.integers(-30, 30, (side, side, channels))).astype(np.uint8)


def png(name: str, number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(name, number)).save(file, "PNG")
    return file.getvalue()


def image_folder(root: Path, *, train: int = 8, val: int = 3) -> Path:
    """``root/{train,val}/CLASS/NUMBER.png``."""
    for split, count in (("train", train), ("val", val)):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                (root / split / name / f"{i}.png").write_bytes(png(name, i + 100 * (split == "val")))
    return root


def array_folder(root: Path, channels: int, suffix: str = ".npy") -> Path:
    import tifffile

    for split in ("train", "val"):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
            for i in range(4):
                array = pixels(name, i, channels=channels)
                path = root / split / name / f"{i}{suffix}"
                np.save(path, array) if suffix == ".npy" else tifffile.imwrite(path, array, photometric="minisblack")
    return root


def tar_of(folder: Path, path: Path) -> Path:
    """A tar file of a folder's content."""
    with tarfile.open(path, "w") as tar:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                tar.add(file, str(file.relative_to(folder)))
    return path


def shard(path: Path, samples: list[tuple[str, bytes, int]]) -> Path:
    """A WebDataset shard: ``KEY.png`` and ``KEY.cls`` side by side."""
    with tarfile.open(path, "w") as tar:
        for key, content, label in samples:
            for suffix, data in (("png", content), ("cls", str(label).encode()), ("json", json.dumps({}).encode())):
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def opened(data: Path | str, split: Split, *, folder: Path | None = None, in_chans: int | None = None) -> Source:
    """Images of a split."""
    return open_data(ImageData(data=str(data), data_folder=folder, in_chans=in_chans), split)
