"""Readers of files that people bring: pictures, arrays, annotations, tar files, tables, addresses of databases."""

import csv
import json
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import test_strange_tables
import tifffile
import torch
from coco_sets import write_part
from image_sets import CLASSES, png
from PIL import Image
from test_strange_data_sets import pairs

from asvit.commands.said import SAID, repeat_command
from asvit.contents import contents_of, look_into_paths
from asvit.detection.coco import find_coco
from asvit.errors import UserError
from asvit.images import UNREADABLE, read_image, to_tensor
from asvit.runs.urls import hide_passwords, parsed_url, shown_url, without_passwords
from asvit.study.results import read_csv
from asvit.training.settings import ImageData
from asvit.training.shards import class_names
from asvit.training.sources import open_data

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (6, 9, 5), dtype=np.uint16)
CHANNELS = {"five": 5, "grey": 1}
"""Channels that a file's name begins with; others have three."""


def bytes_of(write, *args, **options) -> bytes:
    content = BytesIO()
    write(content, *args, **options)
    return content.getvalue()


@cache
def pictures() -> Mapping[str, bytes]:
    image, exif = Image.fromarray(COLOURS), Image.Exif()
    exif[0x0112] = 6
    return {
        "plain.png": bytes_of(image.save, "PNG"),
        "turned.png": bytes_of(image.save, "PNG", exif=exif),
        "palette.png": bytes_of(image.quantize(16).save, "PNG"),
        "grey.png": bytes_of(Image.fromarray(DEEP[:, :, 0]).save, "PNG"),
        "plain.jpg": bytes_of(image.save, "JPEG", exif=exif),
        "steps.jpg": bytes_of(image.save, "JPEG", progressive=True),
        "moving.gif": bytes_of(image.save, "GIF", save_all=True, append_images=[image.rotate(180)]),
        "plain.webp": bytes_of(image.save, "WEBP"),
        "exact.webp": bytes_of(image.save, "WEBP", lossless=True),
        "plain.bmp": bytes_of(image.save, "BMP"),
        "plain.ppm": bytes_of(image.save, "PPM"),
        "grey.pbm": bytes_of(image.convert("1").save, "PPM"),
    }


@cache
def arrays() -> Mapping[str, bytes]:
    return {
        "plain.npy": bytes_of(np.save, COLOURS),
        "first.npy": bytes_of(np.save, COLOURS.transpose(2, 0, 1)),
        "five.npy": bytes_of(np.save, DEEP.astype(">u2")),
        "grey.npy": bytes_of(np.save, COLOURS[:, :, 0]),
        "floats.npy": bytes_of(np.save, np.asfortranarray(COLOURS / 255).astype(np.float32)),
    }


@cache
def tiffs() -> Mapping[str, bytes]:
    image, tiff = Image.fromarray(COLOURS), tifffile.imwrite
    return {
        "plain.tif": bytes_of(tiff, COLOURS, photometric="rgb"),
        "deflate.tif": bytes_of(tiff, COLOURS, photometric="rgb", compression="zlib", predictor=True),
        "big.tif": bytes_of(tiff, COLOURS, photometric="rgb", bigtiff=True, byteorder=">"),
        "tiles.tif": bytes_of(tiff, np.tile(COLOURS, (4, 4, 1)), photometric="rgb", tile=(16, 16)),
        "five.tif": bytes_of(tiff, DEEP, photometric="minisblack", planarconfig="contig"),
        "fivepages.tif": bytes_of(tiff, DEEP.transpose(2, 0, 1), photometric="minisblack"),
        "five-imagej.tif": bytes_of(tiff, DEEP.transpose(2, 0, 1), imagej=True, metadata={"axes": "CYX"}),
        "five-ome.tif": bytes_of(tiff, DEEP.transpose(2, 0, 1), ome=True, metadata={"axes": "CYX"}),
        "grey-white.tif": bytes_of(tiff, DEEP[:, :, 0], photometric="miniswhite"),
        "lzw.tif": bytes_of(image.save, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": bytes_of(image.save, "TIFF", compression="jpeg"),
        "packbits.tif": bytes_of(image.save, "TIFF", compression="packbits"),
        "palette.tif": bytes_of(image.quantize(16).save, "TIFF"),
        "grey-fax.tif": bytes_of(image.convert("1").save, "TIFF", compression="group4"),
        "grey-deep.tif": bytes_of(Image.fromarray(DEEP[:, :, 0]).save, "TIFF", compression="tiff_lzw"),
    }


def read_picture(path: Path) -> None:
    channels = next((count for word, count in CHANNELS.items() if path.name.startswith(word)), 3)
    with suppress(UserError):
        contents = contents_of("them", look_into_paths("them", [path]))
        assert contents.channels >= 1
        assert contents.size is None or min(contents.size) >= 1
    pixels = to_tensor(read_image(path, channels))
    assert pixels.shape[0] == channels
    assert min(pixels.shape[1:]) >= 2
    assert torch.isfinite(pixels).all()
    assert 0 <= pixels.min() <= pixels.max() <= 1


@cache
def pictured() -> Path:
    """A data set in COCO's layout, for whose pictures annotations are tried."""
    root = Path(tempfile.mkdtemp()) / "set"
    for split, images in (("train", 3), ("val", 2)):
        write_part(root, split, images, 0)
    return root


@cache
def annotations() -> Mapping[str, bytes]:
    whole = (pictured() / "annotations/instances_train2017.json").read_bytes()
    document = json.loads(whole)
    for one in document["annotations"]:
        one["segmentation"] = {"size": [72, 96], "counts": [100, 500, 72 * 96 - 600]}
        one["bbox"] = [1, 0, 8, 72]
    return {"outlines.json": whole, "masks.json": json.dumps(document).encode()}


def read_annotations(path: Path) -> None:
    file = pictured() / "annotations/instances_train2017.json"
    file.write_bytes(path.read_bytes())
    coco = find_coco(pictured(), "train", max_left_out=2)
    for i, picture in enumerate(coco.pictures):
        assert coco.file(i).is_relative_to(pictured())
        assert (picture.height, picture.width) == (72, 96)
        masks = coco.masks(i)
        assert masks.shape == (len(coco.learned(i)), 72, 96)
        for one in coco.learned(i):
            assert coco.labels[one.category_id] >= 1
            assert one.bbox[2] > 0 < one.bbox[3]
            assert np.isfinite(one.bbox).all()


def tar_of(*members: tuple[str, bytes]) -> bytes:
    content = BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, held in members:
            member = tarfile.TarInfo(name)
            member.size = len(held)
            made.addfile(member, BytesIO(held))
        link = tarfile.TarInfo("dark/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "0.png"
        made.addfile(link)
    return content.getvalue()


@cache
def tars() -> Mapping[str, bytes]:
    return {
        "folders.tar": tar_of(*((f"{name}/{i}.png", png(name, i)) for i, name in enumerate(CLASSES))),
        "long.tar": tar_of(("dark/" + "long" * 40 + ".png", png("dark", 0)), ("light/é.png", png("light", 1))),
        "shards.tar": tar_of(*pairs("0", "1")),
        "shards-classes.txt": b"cat\ndog\nowl\n",
    }


def read_tar(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, labelled = Path(folder), path.name.startswith("shards")
        (root / "train.tar").write_bytes(tars()["shards.tar"] if path.suffix == ".txt" else path.read_bytes())
        if path.suffix == ".txt":
            shutil.copy(path, root / "classes.txt")
            names = class_names(root / "classes.txt")
            assert all(names)
            assert len(set(names)) == len(names)
        source = open_data(ImageData(data=f"wds:{root}" if labelled else str(root)), "train")
        for i in range(len(source)):
            with suppress(*UNREADABLE):
                image, label = source.read(i)
                assert 0 <= label < len(source.classes)
                assert to_tensor(image).shape[0] == source.channels


@cache
def tables() -> Mapping[str, bytes]:
    return {"commas.csv": test_strange_tables.GOOD.encode(), "tabs.csv": test_strange_tables.SAME["tabs"]}


def read_trainings(path: Path) -> None:
    for one in read_csv(path, test_strange_tables.PROVENANCE):
        assert 0 <= one.top1 <= 1
        assert 0 <= one.seconds < float("inf")
        assert 0 <= one.loss < float("inf")
        assert one.seed >= 0
    assert csv.field_size_limit() == 131072


@cache
def urls() -> Mapping[str, bytes]:
    return {f"{number}.url": text.encode() for number, text in enumerate(test_strange_tables.URLS.values())} | {
        "file.url": b"sqlite:////a/b.sqlite3"
    }


def read_url(path: Path) -> None:
    """Nothing is connected to: what of a URL is shown is what matters."""
    text, secret = path.read_bytes().decode(errors="replace"), test_strange_tables.SECRET
    url = parsed_url(text)
    open_parts = [] if url is None else [url.drivername, url.host or "", url.database or ""]
    words = ["study", "--storage", text, "--seed", "1"]
    SAID.set(tuple(words))
    shown = [shown_url(text), *without_passwords(words), hide_passwords(f"unknown: {text}", words), repeat_command()]
    if not any(secret in part for part in open_parts):
        assert not any(secret in line for line in shown), shown
    if url is None:
        raise UserError("cannot read the URL")
