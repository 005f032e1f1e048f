"""Data sets as strangers bring them: what a class is, what is data, what is left out and said, what is refused."""

import io
import os
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from image_sets import CLASSES, image_folder, opened, png, tar_of
from PIL import Image
from torch import nn

from asvit.commands.pictures import files_among
from asvit.errors import UserError
from asvit.images import Normalisation
from asvit.listing import Skipped, images_in, list_images, natural_key, part_of, why_not
from asvit.measure.job import prepare
from asvit.measure.photos import Folder, classes_in
from asvit.measure.settings import Measuring, Settings
from asvit.networks.architecture import Task
from asvit.networks.named import TimmModel
from asvit.runs.job import Job
from asvit.runs.next_steps import training_set_of
from asvit.training.job import run_evaluate, run_predict
from asvit.training.settings import ImageData
from asvit.training.shards import class_names
from asvit.training.sources import open_both
from asvit.training.tars import index
from asvit.training.trained import Classifier, Looking, read_classifier


def put(root: Path, *names: str) -> None:
    """Images at paths below a folder."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png("mid", number))


def nest(root: Path) -> None:
    for split in ("train", "val"):
        for name in CLASSES:
            for part in ("indoor", "outdoor/deep"):
                put(root / split / name / part, "extra.png")


def leftovers(root: Path) -> None:
    """What Jupyter, macOS, Windows and network drives leave behind."""
    for split in ("train", "val"):
        put(root / split, ".ipynb_checkpoints/0-checkpoint.png", "__MACOSX/dark/._0.png", "@eaDir/0.png", ".git/0.png")
        for name in CLASSES:
            for file in ("._0.png", "Thumbs.db", "desktop.ini", ".DS_Store", ".hidden.png"):
                (root / split / name / file).write_bytes(b"\0\5\x16\7")


def linked(root: Path) -> None:
    for split in ("train", "val"):
        (root / split).rename(root / f"store-{split}")
        (root / split).mkdir()
        for name in CLASSES:
            (root / split / name).symlink_to(root / f"store-{split}" / name)


def linked_files(root: Path) -> None:
    (root / "train").rename(root / "store")
    for file in sorted((root / "store").rglob("*.png")):
        link = root / "train" / file.relative_to(root / "store")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)


def loops(root: Path) -> None:
    for split in ("train", "val"):
        (root / split / "up").symlink_to("..")
        (root / split / "dark" / "again").symlink_to("../../" + split)
        (root / split / "dark" / "itself").symlink_to("itself")
        (root / split / "light" / "away.png").symlink_to("nowhere.png")
        (root / split / "latest").symlink_to("mid")


def pipes(root: Path) -> None:
    for split in ("train", "val"):
        os.mkfifo(root / split / "dark" / "pipe.png")


def other_kinds(root: Path) -> None:
    for split in ("train", "val"):
        (root / split / "dark" / "photo.HEIC").write_bytes(b"")
        (root / split / "dark" / "notes.txt").write_text("")
        (root / split / "labels.csv").write_text("")


def capital(root: Path) -> None:
    (root / "train").rename(root / "Train")
    (root / "val").rename(root / "VALID")


def jfif(root: Path) -> None:
    for file in sorted(root.rglob("1.png")):
        Image.open(file).save(file.with_suffix(".jfif"), "JPEG")
        file.unlink()


SAME = {
    "nested": (nest, None),
    "leftovers": (leftovers, "skipped: 19 left by an operating system or a tool, such as .git"),
    "linked classes": (linked, None),
    "linked files": (linked_files, None),
    "loops": (loops, "3 linked to a folder that is read already"),
    "pipes": (pipes, "1 no regular file, such as dark/pipe.png"),
    "other kinds": (
        other_kinds,
        "2 of a kind that is no image, .*1 of a kind of image that is not read.*photo.HEIC",
    ),
    "capital": (capital, None),
    "jfif": (jfif, None),
}


@pytest.mark.parametrize("what", SAME)
def test_classes_are_the_first_folders_and_what_is_left_out_is_said(tmp_path, what):
    change, said = SAME[what]
    change(image_folder(tmp_path))
    train, val = open_both(ImageData(data=str(tmp_path)))
    assert train.classes == val.classes == CLASSES
    extra = 2 * len(CLASSES) if what == "nested" else 0
    assert (len(train), len(val)) == (24 + extra, 9 + extra)
    assert f": {24 + extra} images of 3 classes" in train.summary
    assert f": {9 + extra} images of 3 classes" in val.summary
    assert ("skipped" in train.summary) == (said is not None)
    assert re.search(said or "", train.summary)
    assert all(train.read(i)[1] == CLASSES.index(train.file(i).split("/")[0]) for i in range(len(train)))


@pytest.mark.parametrize("what", ["nested", "leftovers", "other kinds"])
@pytest.mark.parametrize("layout", ["whole", "wrapped", "parts", "wrapped parts"])
def test_tar_files_hold_the_same(tmp_path, what, layout):
    folder = image_folder(tmp_path / "photos")
    SAME[what][0](folder)
    expected = [opened(str(folder), split) for split in ("train", "val")]
    place = tmp_path / "tars"
    place.mkdir()
    match layout:
        case "whole":
            data = tar_of(folder, place / "photos.tar")
        case "wrapped":
            data = tar_of(tmp_path, tmp_path.parent / f"{tmp_path.name}.tar")
        case "parts":
            data = place
            for split in ("train", "val"):
                tar_of(folder / split, place / f"{split}.tar")
        case _:
            data = place
            for split in ("train", "val"):
                with tarfile.open(place / f"{split}.tar", "w") as tar:
                    tar.add(folder / split, f"./{split}")
    for split, source in zip(("train", "val"), expected, strict=True):
        found = opened(str(data), split)
        assert (found.classes, len(found)) == (source.classes, len(source))
        assert sorted(found.labels) == sorted(source.labels)
        assert ("skipped" in found.summary) == ("skipped" in source.summary)


def test_links_within_a_tar_file_are_followed(tmp_path):
    with tarfile.open(tmp_path / "train.tar", "w") as tar:
        for name, kind, target in [
            ("dark/0.png", tarfile.REGTYPE, ""),
            ("light/0.png", tarfile.SYMTYPE, "../dark/0.png"),
            ("mid/0.png", tarfile.LNKTYPE, "dark/0.png"),
            ("mid/1.png", tarfile.SYMTYPE, "1.png"),
            ("mid/2.png", tarfile.SYMTYPE, "nothing.png"),
        ]:
            member, content = tarfile.TarInfo(name), png("dark", 0) if kind == tarfile.REGTYPE else b""
            member.type, member.linkname, member.size = kind, target, len(content)
            tar.addfile(member, io.BytesIO(content))
    source = opened(str(tmp_path), "train")
    assert (source.classes, len(source)) == (CLASSES, 3)
    assert len({np.asarray(source.read(i)[0]).tobytes() for i in range(3)}) == 1
    assert "skipped: 2 linked to nothing, such as mid/1.png" in source.summary


def flat(root: Path) -> None:
    for file in sorted((root / "val").rglob("*.png")):
        file.rename(root / "val" / f"{file.parent.name}{file.name}")
    for name in CLASSES:
        (root / "val" / name).rmdir()


def in_images(root: Path) -> None:
    flat(root)
    (root / "val" / "images").mkdir()
    for file in sorted((root / "val").glob("*.png")):
        file.rename(root / "val" / "images" / file.name)


def one_class(root: Path) -> None:
    for split in ("train", "val"):
        (root / split).rename(root / f"all-{split}")
        (root / split).mkdir()
        (root / f"all-{split}").rename(root / split / "trees")


def locked(root: Path) -> None:
    (root / "train").rename(root / "x")
    (root / "train").write_text("no folder")


REFUSED = {
    "a stray image": (lambda root: put(root / "train", "sheet.png"), "1 image in .*train lies beside .* sheet.png"),
    "stray images": (lambda root: put(root / "train", "b.png", "a.png"), "2 images in .*train lie beside .* a.png"),
    "a flat part": (flat, "val has no class folders: its 9 images lie directly in it, such as dark0.png"),
    "all in images": (
        in_images,
        "val has a single class folder, images: expected one for each class, two or more",
    ),
    "a single class": (one_class, "train has a single class folder, trees"),
    "an empty class": (lambda root: (root / "train" / "birch").mkdir(), "no images of the class birch"),
    "a class of other kinds": (
        lambda root: [(root / "train" / "birch").mkdir(), (root / "train" / "birch" / "a.avif").write_bytes(b"")],
        "no images of the class birch: .*; skipped: 1 of a kind of image that is not read, to be converted",
    ),
    "no part": (
        lambda root: (root / "train").rename(root / "images"),
        "no train or training .*, only images, val: exp",
    ),
    "a file called train": (locked, "no train or training folder"),
    "other classes": (lambda root: (root / "val" / "mid").rename(root / "val" / "Mid"), "classes .* differ"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_data_sets_that_are_none_are_refused_in_one_line(tmp_path, what):
    change, said = REFUSED[what]
    change(image_folder(tmp_path))
    with pytest.raises(UserError, match=said) as raised:
        open_both(ImageData(data=str(tmp_path)))
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("data", ["", " ", "hf:", "wds:", "torch:", "hf: "])
def test_a_data_set_without_a_name_is_refused(data):
    with pytest.raises(UserError, match="names nothing: expected a folder or tar file"):
        opened(data, "train")


@pytest.mark.parametrize("data", ["no such place", "a\0b", "x" * 5000, "wds:no such place"])
def test_a_place_that_is_not_there_is_refused(data):
    with pytest.raises(UserError, match=r"there is no |cannot read |no shards"):
        opened(data, "train")


def test_linked_images_are_seen_by_measures_too(tmp_path):
    linked(image_folder(tmp_path))
    assert len(Folder(tmp_path / "train").files) == len(opened(str(tmp_path), "train")) == 24
    assert classes_in(tmp_path) == 3


def test_the_name_of_a_part_is_one_rule_for_all(tmp_path):
    capital(image_folder(tmp_path))
    assert part_of(tmp_path, "train") == tmp_path / "Train"
    assert part_of(tmp_path, "val") == tmp_path / "VALID"
    assert classes_in(tmp_path) == 3
    assert training_set_of({"images": str(tmp_path), "command": ""}) == ["--data", str(tmp_path)]
    leftovers_only = tmp_path / "other"
    put(leftovers_only / "train", ".ipynb_checkpoints/0.png")
    assert classes_in(leftovers_only) is None


def test_a_folder_is_counted_where_it_is_and_not_where_it_is_linked_to(tmp_path):
    put(tmp_path, "b/1.png")
    (tmp_path / "a").symlink_to("b")
    found = list_images(tmp_path)
    assert (found.names, found.folders) == (("b/1.png",), {"b"})
    assert str(found.skipped) == "skipped: 1 linked to a folder that is read already, such as a"


@pytest.mark.parametrize("name", ["a\nb.txt", "a\x1b[31m.txt", "\udcff.png", "a\r.csv", "\u202e.txt"])
def test_examples_of_what_is_skipped_are_one_harmless_line(name):
    skipped = Skipped()
    skipped.add(str(why_not(name)), name)
    assert str(skipped).isprintable()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=30))
def test_any_name_is_data_or_has_a_reason(name):
    assert why_not(name) is None or why_not(name)
    assert natural_key(name) == natural_key(name.lower())


# Shards


def shard(path: Path, *files: tuple[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def pairs(*labels: str | bytes, key: str = "i{}") -> list[tuple[str, bytes]]:
    """Images, each with what stands in its ``.cls``."""
    files = []
    for i, label in enumerate(labels):
        files.append((f"{key.format(i)}.png", png("mid", i)))
        files.append((f"{key.format(i)}.cls", label if isinstance(label, bytes) else label.encode()))
    return files


@pytest.mark.parametrize("key", ["22.{:02}", "a.b/1.{}", "{}", "./x{}", "v1.2.3-{}"])
def test_dots_in_keys_lose_no_image(tmp_path, key):
    shard(tmp_path / "train-0.tar", *pairs(*"0101", key=key))
    source = opened(f"wds:{tmp_path}", "train")
    assert (len(source), list(source.labels)) == (4, [0, 1, 0, 1])


@pytest.mark.parametrize("label", ["0", " 1\n", "\ufeff1", "007", "1\r\n"])
def test_labels_are_whole_numbers(tmp_path, label):
    shard(tmp_path / "train-0.tar", *pairs(label, "1", "0"))
    assert opened(f"wds:{tmp_path}", "train").labels[0] == int(label.strip("\ufeff"))


@pytest.mark.parametrize(
    "label",
    [
        "-1",
        "cat",
        "",
        "1.0",
        "1e3",
        "1_0",
        "0x1",
        "4000000000",
        "9" * 30,
        "1 2",
        b"\xff\xfe",
        "nan",
        "٣",
        "0" * 500,
        "1\x00",
    ],
)
def test_labels_that_are_none_are_refused_in_one_line(tmp_path, label):
    shard(tmp_path / "train-0.tar", *pairs(label, "1"))
    with pytest.raises(
        UserError, match=r"i0.cls in .* says .*: expected labels that are whole numbers from 0"
    ) as raised:
        opened(f"wds:{tmp_path}", "train")
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("\ufeffcat\r\ndog\r\n\r\n", ["cat", "dog"]),
        ("cat\ndog", ["cat", "dog"]),
        ("  cat \n dog\n\n\n", ["cat", "dog"]),
        ("great white shark\n犬\n", ["great white shark", "犬"]),
    ],
)
def test_names_of_classes_are_lines(tmp_path, content, names):
    (tmp_path / "classes.txt").write_bytes(content.encode())
    assert class_names(tmp_path / "classes.txt") == names


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"cat\n\ndog\n", "line 2 of .* is empty"),
        (b"", "line 1 of .* is empty"),
        (b"cat\ndog\ncat\n", "lines 1 and 3 of .* are both cat"),
        ("cat\ndög".encode("latin-1"), "cannot read .*UTF-8"),
        ("cat\ndog".encode("utf-16"), "cannot read .*UTF-8"),
    ],
)
def test_names_of_classes_that_are_none_are_refused(tmp_path, content, said):
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(UserError, match=said):
        class_names(tmp_path / "classes.txt")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=st.text(max_size=60))
def test_any_text_is_names_of_classes_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "classes.txt"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        names = class_names(path)
    except UserError:
        return
    assert len(set(names)) == len(names) > 0
    assert all(names)


def test_a_header_of_a_negative_size_ends(tmp_path):
    """It leads back to an earlier one, round and round (CVE-2025-8194)."""
    member = tarfile.TarInfo("a.png")
    content = bytearray(member.tobuf(tarfile.GNU_FORMAT) * 3)
    for start in (512, 1024):
        content[start + 124 : start + 136] = (-1024).to_bytes(12, "big", signed=True)
        checksum = 256 + sum(content[start : start + 148]) + sum(content[start + 156 : start + 512])
        content[start + 148 : start + 156] = f"{checksum:06o}\0 ".encode()
    (tmp_path / "train.tar").write_bytes(bytes(content))
    with pytest.raises(UserError, match="cannot read the tar file"):
        index(tmp_path / "train.tar")


# Hugging Face


def parquet(root: Path, split: str, columns: dict, features=None) -> Path:
    datasets = pytest.importorskip("datasets")
    (root / "data").mkdir(parents=True, exist_ok=True)
    table = datasets.Dataset.from_dict(columns, features=None if features is None else datasets.Features(features))
    table.to_parquet(root / f"data/{split}-00000-of-00001.parquet")
    return root


def image_columns(**labels):
    datasets = pytest.importorskip("datasets")
    pictures = [Image.new("RGB", (4, 4), (40 * i, 0, 0)) for i in range(4)]
    columns = {"img": pictures} | {name: values for name, (values, _) in labels.items()}
    return columns, {"img": datasets.Image()} | {name: kind for name, (_, kind) in labels.items()}


def test_columns_are_found_by_their_types(tmp_path):
    datasets = pytest.importorskip("datasets")
    kind = datasets.ClassLabel(names=["cat", "dog"])
    parquet(tmp_path / "set", "train", *image_columns(fine_label=([0, 1, 1, 0], kind)))
    source = opened(f"hf:{tmp_path / 'set'}", "train", folder=tmp_path / "cache")
    assert (source.classes, source.labels) == (("cat", "dog"), [0, 1, 1, 0])
    assert np.asarray(source.read(2)[0])[0, 0].tolist() == [80, 0, 0]
    assert source.summary.endswith("train: 4 images of 2 classes")


@pytest.mark.parametrize("what", ["no labels", "labels without names", "two labels", "no images", "a label of -1"])
def test_columns_that_are_missing_are_refused_with_those_there_are(tmp_path, what):
    datasets = pytest.importorskip("datasets")
    kind = datasets.ClassLabel(names=["cat", "dog"])
    match what:
        case "no labels":
            made, said = image_columns(), r"no column of labels .* its columns are img \(Image\)"
        case "labels without names":
            made = image_columns(label=([0, 1, 1, 0], datasets.Value("int64")))
            said = r"no column of labels of the type ClassLabel: .* img \(Image\), label \(int64\)"
        case "two labels":
            made = image_columns(fine=([0, 1, 1, 0], kind), coarse=([0, 1, 1, 0], kind))
            said = "several columns of labels"
        case "no images":
            made, said = ({"label": [0, 1]}, {"label": kind}), r"no column of images: .* label \(ClassLabel\)"
        case _:
            made, said = (
                image_columns(label=([0, -1, 1, 0], kind)),
                "label of row 1 of .* is -1: expected one from 0 to 1",
            )
    parquet(tmp_path / "set", "train", *made)
    with pytest.raises(UserError, match=said):
        opened(f"hf:{tmp_path / 'set'}", "train", folder=tmp_path / "cache")


# What is done with them


def small_classifier(weight: float) -> Classifier:
    """A network of one layer, whose first weight is given."""
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)).eval()
    with torch.no_grad():
        model[2].weight[0, 0] = weight
    task = Task(image_size=(32, 32), num_classes=2)
    looking = Looking(1.0, Normalisation.usual(3))
    return Classifier(TimmModel("resnet18"), model, task, ("cat", "dog"), looking)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_never_become_a_prediction(tmp_path, weight):
    put(tmp_path, "cat/0.png", "dog/0.png")
    with pytest.raises(UserError, match="are not finite: its weights or the image hold"):
        run_predict(small_classifier(weight), images_in(tmp_path).paths, top=1)
    folder = image_folder(tmp_path / "set", train=1, val=1)
    (folder / "val" / "mid").rename(folder / "val" / "cat")
    (folder / "val" / "dark").rename(folder / "val" / "dog")
    for file in (folder / "val" / "light").iterdir():
        file.unlink()
    (folder / "val" / "light").rmdir()
    with pytest.raises(UserError, match=r"outputs (of .* )?are not finite"):
        run_evaluate(
            *("run", small_classifier(weight), ImageData(data=str(folder)), "val"),
            batch_size=2,
            adjust=lambda usual: replace(usual, workers=0),
        )


@pytest.mark.parametrize("pixel", [float("nan"), float("inf")])
def test_pixels_that_are_no_numbers_never_become_a_prediction(pixel):
    classifier = small_classifier(1.0)
    with pytest.raises(UserError, match="not finite"):
        classifier.predict(np.full((8, 8, 3), pixel, np.float32))
    with pytest.raises(UserError, match="not finite"):
        classifier.predict(torch.full((3, 8, 8), pixel))


def test_a_turned_picture_and_the_same_upright_are_predicted_alike(tmp_path):
    upright = Image.fromarray(np.repeat(np.arange(0, 240, 6, dtype=np.uint8)[:, None], 40, 1)).convert("RGB")
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "sideways.png", exif=exif)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2)).eval()
    classifier = replace(small_classifier(1.0), model=model)
    files = [tmp_path / "upright.png", tmp_path / "sideways.png"]
    (_, first), (_, second) = run_predict(classifier, files, top=2)
    assert first == second
    with Image.open(files[1]) as opened_by_the_user:
        assert classifier.predict(opened_by_the_user, top=2) == first


def test_what_is_predicted_on_and_what_is_left_out_is_said(tmp_path, capsys):
    leftovers(image_folder(tmp_path, train=2, val=1))
    rows = run_predict(
        small_classifier(1.0), files_among([tmp_path / "train", tmp_path / "val" / "mid" / "0.png"]), top=1
    )
    assert len(rows) == 7
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'train'}: 6 images; skipped: 19 left by an operating")


def test_images_that_are_alike_are_refused_before_anything_is_measured(tmp_path):
    for i in range(20):
        Image.new("RGB", (40, 40)).save(tmp_path / f"{i}.png")
    measuring = Measuring(settings=Settings(repeats=1, kernel_images=4), images=tmp_path)
    with pytest.raises(UserError, match=r"all images that the kernel sees are alike, such as .* expected different"):
        prepare(measuring, Task(image_size=(32, 32)), Job())
    assert prepare(measuring, Task(image_size=(32, 32)), Job(), metrics=["length"]).draws
    put(tmp_path, "different.png")
    measuring = replace(measuring, settings=Settings(repeats=1, kernel_images=21))
    with pytest.raises(UserError, match="two of the images that the kernel sees are equal"):
        prepare(measuring, Task(image_size=(32, 32)), Job())


@pytest.mark.parametrize("weight", [float("nan"), float("-inf")])
def test_pretrained_weights_that_are_no_numbers_are_not_used(monkeypatch, weight):
    model = small_classifier(weight).model
    monkeypatch.setattr("timm.create_model", lambda name, pretrained: model)
    with pytest.raises(
        UserError, match=r"timm has no weights of timm:resnet18 here: 2\.weight has values that are NaN"
    ):
        read_classifier("timm:resnet18")
