"""What a set of images holds: channels, size, values; what does not fit is refused with the option that says it."""

import numpy as np
import pytest
from image_sets import array_folder, image_folder, opened
from PIL import Image

from asvit.contents import Glance, contents_of, look_into_paths
from asvit.errors import UserError
from asvit.images import Normalisation
from asvit.listing import images_in
from asvit.training.statistics import normalisation_of


def array(name="a.npy", channels=5, kind="uint8", low=0, high=255):
    return Glance(name, channels, (8, 9), (kind, low, high))


def picture(mode, size=(8, 9)):
    return Glance.of_picture("a.png", mode=mode, size=size)


@pytest.mark.parametrize(("modes", "channels"), [(["L", "I;16", "1"], 1), (["L", "RGB"], 3), (["CMYK"], 3), ([], 3)])
def test_channels_of_pictures_are_read_off_them(modes, channels):
    contents = contents_of("set", [picture(mode) for mode in modes])
    assert (contents.channels, contents.arrays) == (channels, False)
    assert contents_of("set", [picture(mode) for mode in modes], in_chans=1).channels == 1


def test_size_is_known_where_all_have_the_same():
    assert contents_of("set", [picture("RGB"), picture("L")]).size == (8, 9)
    assert contents_of("set", [picture("RGB"), picture("RGB", (9, 9))]).size is None


@pytest.mark.parametrize(
    ("glances", "in_chans", "complaint"),
    [
        ([array(channels=5)], 3, "5 channels, not 3: arrays keep theirs, give --in-chans 5 or leave it out"),
        ([array(channels=5), array("b.npy", channels=4)], None, "a.npy has 5 channels, b.npy 4"),
        ([picture("RGB")], 5, "in grey .--in-chans 1. or colour .--in-chans 3., not with 5 channels"),
        ([array(kind="float32", high=255.0)], None, "float32, 0 to 255 seen, .* --value-range 255"),
        ([array(kind="float64", low=-1.5, high=3)], None, "--value-range=-1.5:3"),
        ([array(), array(kind="uint16", high=900)], None, "of uint16 and uint8, .* --value-range 900"),
        ([array(kind="int32", high=900)], None, "int32, 0 to 900 seen, .* expected: .* --value-range 900"),
        ([array(kind="int64", high=1)], None, "int64, 0 to 1 seen, .* --value-range 1"),
        ([array(kind="int16", low=-5, high=9)], None, "int16, -5 to 9 seen, .* --value-range=-5:9"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_option(glances, in_chans, complaint):
    with pytest.raises(UserError, match=complaint):
        contents_of("a set", glances, in_chans=in_chans)


def test_a_range_that_is_said_is_believed():
    mixed = [array(kind="float32", low=-2.0, high=9.0), array(kind="uint8", high=9)]
    assert contents_of("a set", mixed, value_range=(-2, 9)).remarks == ()


def test_empty_images_say_nothing_of_a_range():
    assert contents_of("a set", [array(kind="uint16", high=0)], value_range=(0, 4095)).remarks == ()


@pytest.mark.parametrize(
    ("said", "become"), [((0, 255), "0 to 16.1"), ((0, 65535), "0 to 0.0625"), ((9, 4095), "-0.0022")]
)
def test_a_range_that_is_said_and_hardly_fits_is_remarked_on(said, become):
    (remark,) = contents_of("a set", [array(kind="uint16", high=4095)], value_range=said).remarks
    assert "uint16, 0 to 4095 seen, which become " + become in remark
    assert remark.endswith("--value-range 4095 makes them 0 to 1")


def test_a_range_that_changes_nothing_is_remarked_on():
    pictures = [Glance.of_picture("a.png", mode="I;16", size=(8, 9))]
    (remark,) = contents_of("a set", pictures, value_range=(0, 4095)).remarks
    assert remark.startswith("a set holds pictures, which are read in 8 bits a channel: the range of values from 0 to")


@pytest.mark.parametrize(("high", "said"), [(4095, True), (65535, False), (0, False)])
def test_a_part_of_a_range_is_remarked_on(high, said):
    remarks = contents_of("a set", [array(kind="uint16", high=high)]).remarks
    assert [f"uint16, 0 to {high} seen" in remark for remark in remarks] == [True] * said
    assert not said or "--value-range 4095" in remarks[0]


def test_unreadable_files_are_looked_past(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 2), np.uint8))
    (tmp_path / "b.npy").write_text("no array")
    np.save(tmp_path / "c.npy", np.zeros(3))
    (glance,) = look_into_paths("a set", images_in(tmp_path).paths)
    assert (glance.channels, glance.size, glance.values) == (2, (4, 5), ("uint8", 0, 0))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (np.zeros((4, 5), bool), "it is an array of bool: expected numbers"),
        (np.full((4, 5), np.nan), "it has values that are not finite: expected numbers without NaN"),
        (np.zeros((32, 48, 200)), "it is 32x48x200: 200 channels last, or 32 first? say which with --in-chans"),
    ],
)
def test_a_set_of_which_nothing_can_be_read_says_why_before_anything_is_done(tmp_path, content, why):
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", content)
    with pytest.raises(UserError) as told:
        look_into_paths("a set", images_in(tmp_path).paths)
    said = f"none of 2 images of a set that were looked at can be read, the first: {tmp_path / 'a.npy'}: "
    assert str(told.value).startswith(said + why)
    assert "JPEG" not in str(told.value)


def test_pictures_can_be_read_in_grey_or_colour_and_arrays_keep_their_channels(tmp_path):
    source = opened(image_folder(tmp_path / "pictures"), "val")
    grey = source.with_channels(1)
    assert (source.channels, grey.channels) == (3, 1)
    assert (source.read(0)[0].mode, grey.read(0)[0].mode) == ("RGB", "L")
    with pytest.raises(UserError, match="has 5 channels, where 3 are read"):
        opened(array_folder(tmp_path / "arrays", 5), "val").with_channels(3)


def test_grey_files_make_a_grey_set(tmp_path):
    folder = image_folder(tmp_path)
    for path in folder.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert opened(folder, "train").channels == 1
    assert opened(folder, "train", in_chans=3).channels == 3


def test_mean_and_deviation_are_those_of_all_pixels():
    rng = np.random.default_rng(0)
    images = rng.random((40, 3, 5, 4)) * np.array([1, 10, 0])[:, None, None] + np.array([0, 5, 0.25])[:, None, None]

    def read(index):
        import torch

        if index == 7:
            raise OSError("broken")
        return torch.from_numpy(images[index])

    found = normalisation_of("set", 40, read)
    kept = np.delete(images, 7, 0)
    assert found.mean == pytest.approx(kept.mean((0, 2, 3)), rel=1e-5)
    assert found.std == pytest.approx([*kept.std((0, 2, 3))[:2], 1], rel=1e-5)
    assert found == Normalisation(found.mean, found.std)
    with pytest.raises(UserError, match="none of the images of set can be read"):
        normalisation_of("set", 3, lambda index: read(7))
