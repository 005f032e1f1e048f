"""Names of classes that a file system writes in two ways, and those that are names of splits too."""

import tarfile
from unicodedata import normalize

import pytest
from image_sets import png

from asvit.errors import UserError
from asvit.measure.photos import classes_in
from asvit.training.settings import ImageData
from asvit.training.sources import open_both
from asvit.training.trained import labels_of

COMPOSED, DECOMPOSED = normalize("NFC", "café"), normalize("NFD", "café")


def put(folder, *classes):
    for name in classes:
        (folder / name).mkdir(parents=True)
        (folder / name / f"{len(name)}.png").write_bytes(png("dark", 0))


def test_a_class_is_the_same_however_its_accents_are_written(tmp_path):
    put(tmp_path / "train", COMPOSED, "dog")
    put(tmp_path / "val", DECOMPOSED, "dog")
    train, val = open_both(ImageData(data=str(tmp_path)))
    assert train.classes == val.classes == (COMPOSED, "dog")
    assert [val.read(i)[1] for i in range(2)] == [0, 1]


def test_two_folders_that_look_the_same_are_one_class(tmp_path):
    for split in ("train", "val"):
        put(tmp_path / split, COMPOSED, DECOMPOSED, "dog")
    train, _ = open_both(ImageData(data=str(tmp_path)))
    assert train.summary == f"{tmp_path / 'train'}: 3 images of 2 classes"
    assert sorted(train.read(i)[1] for i in range(3)) == [0, 0, 1]
    assert classes_in(tmp_path) == 2


def test_a_network_that_learned_decomposed_names_knows_composed_ones():
    assert labels_of(["dog", COMPOSED], ["ant", DECOMPOSED, "dog"], "a network") == (2, 1)


@pytest.mark.parametrize("above", ["", "photos/"])
def test_a_class_may_have_the_name_of_a_split(tmp_path, above):
    put(tmp_path, "bus", "train", "val")
    for split in ("train", "val"):
        with tarfile.open(tmp_path / f"{split}.tar", "w") as tar:
            for name in ("bus", "train", "val"):
                tar.add(tmp_path / name, f"{above}{name}")
    for name in ("train", "val"):
        (tmp_path / name).rename(tmp_path / f"{name}-images")
    if above:  # a class that holds all
        with pytest.raises(UserError, match="has a single class folder, photos: expected one for each class"):
            open_both(ImageData(data=str(tmp_path)))
    else:
        assert open_both(ImageData(data=str(tmp_path)))[0].classes == ("bus", "train", "val")
