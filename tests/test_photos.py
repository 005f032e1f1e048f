"""The kernel's images: built-in photographs and folders, good and bad."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from asvit.errors import UserError
from asvit.measure.photos import BUILT_IN, BuiltIn, Folder, random_crop
from asvit.networks.architecture import Task

SMALL = Task(image_size=(32, 48))
DATA = Path(__file__).parents[2] / "shared" / "data"


def photo_folder(path: Path, n: int = 4, mode: str = "RGB") -> Path:
    rng = np.random.default_rng(0)
    for i in range(n):
        pixels = rng.integers(0, 256, (40 + i, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(path / f"{i}.png" if mode != "CMYK" else path / f"{i}.jpg")
    return path


def test_built_in_photographs_are_different_and_drawn_without_repetition():
    photographs = BuiltIn()
    assert len(set(BUILT_IN)) == len(BUILT_IN) >= 16
    images = photographs.draw(len(BUILT_IN), SMALL, seed=0)
    assert images.shape == (len(BUILT_IN), 3, 32, 48)
    distances = torch.cdist(images.flatten(1), images.flatten(1)) + 1e6 * torch.eye(len(BUILT_IN))
    assert distances.min() > 1


def test_a_draw_is_a_function_of_its_seed():
    torch.testing.assert_close(BuiltIn().draw(3, SMALL, seed=5), BuiltIn().draw(3, SMALL, seed=5), rtol=0, atol=0)
    assert not torch.equal(BuiltIn().draw(3, SMALL, seed=5), BuiltIn().draw(3, SMALL, seed=6))


def test_other_channels_repeat_grey_values():
    images = BuiltIn().draw(2, Task(image_size=(32, 32), in_chans=5), seed=0)
    assert images.shape == (2, 5, 32, 32)
    assert torch.equal(images[:, 0], images[:, 4])


def test_a_crop_keeps_a_constant_image_and_a_full_crop_its_mean():
    rng = np.random.default_rng(0)
    constant = torch.full((3, 50, 70), 0.25)
    torch.testing.assert_close(random_crop(constant, (32, 48), rng), torch.full((3, 32, 48), 0.25))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK"])
def test_every_raster_mode_is_read(tmp_path, mode):
    assert Folder(photo_folder(tmp_path, mode=mode)).draw(4, SMALL, seed=0).shape == (4, 3, 32, 48)


def test_arrays_of_any_channels_are_read_in_full_range(tmp_path):
    array = np.full((40, 40, 5), 65535, dtype=np.uint16)
    np.save(tmp_path / "a.npy", array)
    tifffile.imwrite(tmp_path / "b.tif", array, photometric="minisblack", planarconfig="contig")
    folder = Folder(tmp_path)
    for path in folder.files:
        assert torch.equal(folder.read(path, 5), torch.ones(5, 40, 40))


def test_digest_follows_the_files(tmp_path):
    folder = Folder(photo_folder(tmp_path))
    assert Folder(tmp_path).digest == folder.digest
    (tmp_path / "9.png").write_bytes((tmp_path / "0.png").read_bytes())
    assert Folder(tmp_path).digest != folder.digest


def truncated(path: Path) -> None:
    content = (path / "0.png").read_bytes()
    (path / "0.png").write_bytes(content[: len(content) // 2])


def not_an_image(path: Path) -> None:
    (path / "0.png").write_text("not an image")


def pickled(path: Path) -> None:
    np.save(path / "0.npy", np.array([object()]), allow_pickle=True)


@pytest.mark.parametrize("damage", [truncated, not_an_image, pickled])
def test_a_damaged_file_is_named(tmp_path, damage):
    damage(photo_folder(tmp_path))
    folder = Folder(tmp_path)
    with pytest.raises(UserError, match=r"cannot read the image .*0\.(png|npy)"):
        folder.draw(len(folder.files), SMALL, seed=0)


def test_an_array_with_other_channels_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((8, 8, 4)))
    with pytest.raises(UserError, match=r"5 channels are read: expected numbers of height x width x 5"):
        Folder(tmp_path).read(tmp_path / "a.npy", 5)


def test_a_raster_file_cannot_feed_five_channels(tmp_path):
    folder = Folder(photo_folder(tmp_path))
    with pytest.raises(UserError, match="at most three channels, but 5 channels are read"):
        folder.read(folder.files[0], 5)


def test_too_few_and_no_images_are_refused(tmp_path):
    with pytest.raises(UserError, match="no images in"):
        Folder(tmp_path)
    with pytest.raises(UserError, match=r"there is no folder .*missing"):
        Folder(tmp_path / "missing")
    with pytest.raises(UserError, match="found 4 images, but a kernel takes 16"):
        Folder(photo_folder(tmp_path)).draw(16, SMALL, seed=0)


@pytest.mark.skipif(not DATA.is_dir(), reason="real photographs stand beside the project only while it is developed")
def test_real_photographs_with_grey_and_cmyk_among_them(tmp_path):
    import tarfile

    with tarfile.open(DATA / "coco_mini_320.tar") as tar:
        members = [m for m in tar if "/val2017/" in m.name and m.name.endswith(".jpg")][:60]
        tar.extractall(tmp_path, members, filter="data")
    assert Folder(tmp_path).draw(60, Task(image_size=(64, 64)), seed=0).isfinite().all()


def test_another_process_lists_a_folder_itself_and_refuses_one_that_has_changed(tmp_path):
    photographs = Folder(photo_folder(tmp_path))
    sent = pickle.dumps(photographs)
    assert b"3.png" not in sent
    again = pickle.loads(sent)
    assert (again.files, again.digest) == (photographs.files, photographs.digest)
    assert pickle.loads(pickle.dumps(BuiltIn())).files == BuiltIn().files
    (tmp_path / "3.png").unlink()
    with pytest.raises(UserError, match="have changed while they were in use: repeat the command"):
        pickle.loads(sent)
