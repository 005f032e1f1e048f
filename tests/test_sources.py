"""Where labelled images come from: every form gives the same images; what is wrong is named."""

import io
import pickle
import tarfile

import numpy as np
import pytest
import torch
from image_sets import CLASSES, array_folder, image_folder, opened, pixels, png, shard, tar_of
from PIL import Image

from asvit.errors import UserError
from asvit.images import open_raster
from asvit.training.settings import ImageData
from asvit.training.sources import Digits, check_classes, open_data


def images_of(source) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for i in range(len(source)):
        image, label = source.read(i)
        found.setdefault(source.classes[label], []).append(np.asarray(image).tobytes())
    return {name: sorted(images) for name, images in found.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return image_folder(tmp_path_factory.mktemp("set"))


def test_a_folder_names_its_classes(folder):
    source = opened(str(folder), "train")
    assert source.classes == CLASSES
    assert source.channels == 3
    assert len(source) == 24
    expected = {name: sorted(pixels(name, i).tobytes() for i in range(8)) for name in CLASSES}
    assert images_of(source) == expected


def test_tar_files_hold_the_same(folder, tmp_path):
    expected = images_of(opened(str(folder), "train"))
    whole = tar_of(folder, tmp_path / "whole.tar")
    assert images_of(opened(str(whole), "train")) == expected
    for split in ("train", "val"):
        tar_of(folder / split, tmp_path / f"{split}.tar")
    assert images_of(opened(str(tmp_path), "train")) == expected
    assert len(opened(str(whole), "val")) == len(opened(str(tmp_path), "val")) == 9


def test_shards_hold_the_same_and_go_to_other_processes(folder, tmp_path):
    samples = [(f"{name}{i}", png(name, i), label) for label, name in enumerate(CLASSES) for i in range(8)]
    shard(tmp_path / "train-000.tar", samples[::2])
    shard(tmp_path / "train-001.tar", samples[1::2])
    shard(tmp_path / "val-000.tar", samples[:9])
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    source = opened(f"wds:{tmp_path}", "train")
    assert images_of(source) == images_of(opened(str(folder), "train"))
    assert source.file(0) == "train-000.tar/dark0.png"
    assert images_of(pickle.loads(pickle.dumps(source))) == images_of(source)


def test_shards_may_hold_masks_and_other_parts(tmp_path):
    samples = [("a", png("dark", 0), 0), ("a.mask", png("mid", 0), 1), ("b", png("mid", 1), 1)]
    shard(tmp_path / "train-0.tar", samples[::2])
    with tarfile.open(tmp_path / "train-0.tar", "a") as tar:
        mask = tarfile.TarInfo("a.mask.png")
        mask.size = len(samples[1][1])
        tar.addfile(mask, io.BytesIO(samples[1][1]))
    for name in ("val-0", "validation-0", "test-0"):
        shard(tmp_path / f"{name}.tar", samples[::2])
    shard(tmp_path / "trainval-0.tar", samples[::2])
    train, val = (opened(f"wds:{tmp_path}", split) for split in ("train", "val"))
    assert [train.file(i) for i in range(2)] == ["train-0.tar/a.png", "train-0.tar/b.png"]
    assert len(train) == len(val) == 2


def test_tar_files_of_arrays_and_with_a_dot_in_front(tmp_path):
    folder = array_folder(tmp_path / "set", 5)
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        tar.add(folder, ".")
    source = opened(str(tmp_path / "set.tar"), "train")
    assert (source.channels, source.classes, len(source)) == (5, CLASSES, 12)
    assert torch.equal(source.read(0)[0], opened(str(folder), "train").read(0)[0])


def test_shards_without_names_number_their_classes(tmp_path):
    shard(tmp_path / "train-0.tar", [("a", png("dark", 0), 0), ("b", png("mid", 0), 2)])
    assert opened(f"wds:{tmp_path}", "train").classes == ("0", "1", "2")
    (tmp_path / "classes.txt").write_text("only\none\n")
    with pytest.raises(UserError, match="names 2 classes"):
        opened(f"wds:{tmp_path}", "train")


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_arrays_name_their_channels(tmp_path, suffix):
    source = opened(str(array_folder(tmp_path, 5, suffix)), "val")
    assert source.channels == 5
    image, label = source.read(0)
    expected = torch.from_numpy(pixels("dark", 0, channels=5).astype(np.float32) / 255).permute(2, 0, 1)
    torch.testing.assert_close(image, expected)
    assert source.classes[label] == "dark"


def test_hugging_face(folder, tmp_path):
    pytest.importorskip("datasets")
    source = opened(f"hf:{folder}", "train", folder=tmp_path)
    assert source.classes == CLASSES
    assert images_of(source) == images_of(opened(str(folder), "train"))
    assert len(opened(f"hf:{folder}", "val", folder=tmp_path)) == 9


def test_torchvision(tmp_path):
    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    with pytest.raises(UserError, match=r"cannot open torch:cifar10 in .* downloaded there"):
        opened("torch:cifar10", "train", folder=tmp_path)
    with pytest.raises(UserError, match="cannot open torch:nonsense"):
        opened("torch:nonsense", "train", folder=tmp_path)


def test_fashion_mnist_of_torchvision(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 6), ("t10k", 4)):
        images = np.arange(count * 28 * 28, dtype=np.uint32).astype(np.uint8)
        header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = b"\0\0\x08\x01" + count.to_bytes(4, "big") + bytes(range(count))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    source = opened("torch:fashion_mnist", "val", folder=tmp_path, in_chans=1)
    assert (len(source), source.channels, source.classes[3]) == (4, 1, "Dress")
    image, label = source.read(3)
    assert (image.mode, image.size, label) == ("L", (28, 28), 3)


def test_digits_are_split_without_overlap():
    train, val = Digits("train"), Digits("val")
    assert (len(train), len(val)) == (1438, 359)
    assert train.classes == tuple("0123456789")
    image, label = val.read(0)
    assert (image.shape, label) == ((1, 8, 8), 4)
    assert 0 <= image.min() < image.max() <= 1


def test_grey_and_cmyk_and_16_bit_images_are_converted(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=100)
    red = np.asarray(open_raster(tmp_path / "red.jpg", "RGB")).reshape(-1, 3).mean(0)
    assert red == pytest.approx([254, 0, 0], abs=3)
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert np.asarray(open_raster(tmp_path / "deep.png", "L")).tolist() == [[0, 1, 128, 255]]
    assert np.asarray(open_raster(tmp_path / "deep.png", "RGB"))[0, 2].tolist() == [128, 128, 128]


def broken(root, what):
    """A folder with one thing wrong; returns what is asked for."""
    image_folder(root, train=2, val=1)
    match what:
        case "empty class":
            (root / "train" / "none").mkdir()
        case "single class":
            for split in ("train", "val"):
                for name in CLASSES[1:]:
                    for file in (root / split / name).iterdir():
                        file.unlink()
                    (root / split / name).rmdir()
        case "no split":
            (root / "train").rename(root / "other")
        case "no images":
            for file in (root / "train").rglob("*.png"):
                file.unlink()
        case "truncated tar":
            path = tar_of(root / "train", root / "train.tar")
            path.write_bytes(path.read_bytes()[:3000])
            (root / "train").rename(root / "unpacked")
        case "truncated shard":
            path = shard(root / "train-0.tar", [("a", png("dark", 0), 0)])
            path.write_bytes(path.read_bytes()[:700])
            return f"wds:{root}"
        case "no label":
            return f"wds:{tar_of(root / 'train', root / 'train-0.tar').parent}"
        case "no shards":
            return f"wds:{root / 'val'}"
    return str(root)


@pytest.mark.parametrize(
    ("what", "said"),
    {
        "empty class": "no images of the class none",
        "single class": "a single class folder, dark",
        "no split": "there is no train or training folder",
        "no images": "no images in .*train: expected a folder for each class",
        "truncated tar": r"cannot read the tar file .*train\.tar",
        "truncated shard": r"cannot read the tar file .*train-0\.tar",
        "no label": "has no label for dark/0",
        "no shards": r"no shards named train\*.tar",
    }.items(),
)
def test_what_is_wrong_is_named(tmp_path, what, said):
    with pytest.raises(UserError, match=said):
        opened(broken(tmp_path, what), "train")


def test_a_hugging_face_name_that_is_not_there(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    with pytest.raises(UserError, match="cannot open the train images of hf:"):
        opened(f"hf:{tmp_path / 'nothing'}", "train", folder=tmp_path)


def test_classes_and_channels_of_both_parts_must_be_the_same(folder, tmp_path):
    train = opened(str(folder), "train")
    other = image_folder(tmp_path)
    (other / "val" / "mid").rename(other / "val" / "middle")
    with pytest.raises(UserError, match=r"differ \(only in the first: mid; only in the second: middle\)"):
        check_classes(train, opened(str(other), "val"))
    with pytest.raises(UserError, match=r"has 3 channels, .* has 1"):
        check_classes(train, Digits("val"))
    check_classes(train, opened(str(folder), "val"))


def test_digits_keep_their_channel():
    assert open_data(ImageData(data="digits", in_chans=1), "val").channels == 1
    with pytest.raises(UserError, match="the digits have 1 channel, not 3: give --in-chans 1"):
        open_data(ImageData(data="digits", in_chans=3), "val")
