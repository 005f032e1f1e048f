"""Batches: the same for any number of processes, workers and interruptions; what cannot be read is named."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from image_sets import array_folder, image_folder, opened, tar_of
from PIL import Image

from asvit.errors import UserError
from asvit.images import Normalisation
from asvit.training.augment import evaluation_transform, training_transform
from asvit.training.data import Draws, EvaluationOrder, Examples, Labelled, TrainingOrder, batches, seed_everything
from asvit.training.recipe import RECIPES
from asvit.training.sources import Digits

CPU = torch.device("cpu")
PHOTOGRAPHS = Normalisation.usual(3)
SMOKE = RECIPES["smoke"]


def order(images=20, batch_size=6, *, seed=0, rank=0, processes=1):
    return TrainingOrder(images, batch_size, seed=seed, rank=rank, processes=processes)


@given(st.integers(8, 50), st.integers(0, 3), st.integers(0, 99))
def test_batches_hold_the_same_images_for_any_number_of_processes(images, epoch, seed):
    alone, *pair = (order(images, 4, seed=seed, rank=r, processes=p) for r, p in ((0, 1), (0, 2), (1, 2)))
    for one in (alone, *pair):
        one.go_to(epoch, 0)
    for batch, first, second in zip(alone, *pair, strict=True):
        assert sorted(batch) == sorted(first + second)
        assert len(first) == len(second) == 2
        assert {e for e, _ in batch} == {epoch}


def test_an_epoch_holds_every_image_once_and_the_next_another_order():
    one = order(20, 5)
    first = [place for batch in one for place in batch]
    assert sorted(index for _, index in first) == list(range(20))
    one.go_to(1, 0)
    assert [index for batch in one for _, index in batch] != [index for _, index in first]


def test_an_epoch_goes_on_at_any_step():
    one = order()
    whole = list(one)
    one.go_to(0, 2)
    assert len(one) == 1
    assert list(one) == whole[2:]


def test_batches_that_cannot_be_made_are_refused():
    with pytest.raises(UserError, match="batch of 6 cannot be shared by 4 processes"):
        order(processes=4)
    with pytest.raises(UserError, match="20 training images, fewer than a batch of 32"):
        order(batch_size=32)


@given(st.integers(0, 30), st.integers(1, 7), st.integers(1, 4))
def test_evaluation_sees_every_image_once(images, batch_size, processes):
    parts = [EvaluationOrder(images, batch_size, rank=rank, processes=processes) for rank in range(processes)]
    assert sorted(index for part in parts for batch in part for _, index in batch) == list(range(images))
    assert all(len(part) == len(list(part)) for part in parts)


def test_a_sample_is_a_function_of_seed_epoch_and_index(tmp_path):
    source = opened(image_folder(tmp_path), "train")
    transform = training_transform(SMOKE, PHOTOGRAPHS)

    def sample(epoch, index, seed=0):
        return Examples(source, Labelled(transform), seed=seed)[epoch, index].content[0]

    first = sample(3, 5)
    seed_everything(Draws.STEP, 7)
    assert torch.equal(sample(3, 5), first)
    assert first.shape == (3, 32, 32)
    for other in (sample(4, 5), sample(3, 5, seed=1)):
        assert not torch.equal(other, first)


def test_workers_load_the_same_batches(tmp_path):
    source = opened(image_folder(tmp_path), "train")
    examples = Examples(source, Labelled(training_transform(SMOKE, PHOTOGRAPHS)), seed=0)
    alone, helped = (list(batches(examples, order(24, 6), workers=workers, device=CPU)) for workers in (0, 2))
    assert len(alone) == 4
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.labels, b.labels)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_arrays_are_flipped_and_cropped_only(tmp_path, channels):
    source = opened(array_folder(tmp_path, channels), "train")
    examples = Examples(source, Labelled(training_transform(SMOKE, source.normalisation)), seed=0)
    image, label = source.read(0)
    whole, seen = source.normalisation(image), examples[0, 0].content[0]
    assert seen.shape == (channels, 32, 32)
    # Bilinear resizing stays within the values that are there.
    assert (whole.amin((1, 2)) - 1e-5 <= seen.amin((1, 2))).all()
    assert (seen.amax((1, 2)) <= whole.amax((1, 2)) + 1e-5).all()
    assert examples[0, 0].content[1] == label


def test_evaluation_looks_at_the_centre():
    image = torch.zeros(2, 40, 20)
    image[:, 14:26, 4:16] = 1  # the central 12 x 12 pixels, cut at 0.6 of the width
    seen = evaluation_transform((12, 12), 0.6, Normalisation.usual(2))(image)
    torch.testing.assert_close(seen, torch.full((2, 12, 12), (1 - 0.449) / 0.226))


def test_digits_are_scaled_up():
    examples = Examples(Digits("val"), Labelled(evaluation_transform((32, 32), 1.0, Normalisation.usual(1))), seed=None)
    assert examples[0, 0].content[0].shape == (1, 32, 32)


def spoil(root):
    """Two unreadable images: text, and one of a single pixel."""
    (root / "train" / "dark" / "0.png").write_text("no image")
    Image.new("RGB", (1, 1)).save(root / "train" / "light" / "3.png")
    return opened(root, "train")


def test_unreadable_training_images_are_named_and_replaced_by_the_next(tmp_path):
    source = spoil(image_folder(tmp_path))
    examples = Examples(source, Labelled(evaluation_transform((8, 8), 1.0, PHOTOGRAPHS)), seed=0)
    first, second = examples[0, 0], examples[0, 1]
    assert first.problem.startswith("dark/0.png: cannot identify image file")
    assert torch.equal(first.content[0], second.content[0])
    assert second.problem is None
    (place,) = [i for i in range(len(source)) if source.file(i) == "light/3.png"]
    assert examples[0, place].problem == "light/3.png: it is 1x1 pixels: too small"


def test_unreadable_images_are_left_out_of_evaluation(tmp_path):
    source = spoil(image_folder(tmp_path))
    examples = Examples(source, Labelled(evaluation_transform((8, 8), 1.0, PHOTOGRAPHS)), seed=None)
    found = list(batches(examples, EvaluationOrder(24, 8, rank=0, processes=1), workers=0, device=CPU))
    assert sum(len(batch.labels) for batch in found) == 22
    assert len([problem for batch in found for problem in batch.problems]) == 2


def test_after_ten_unreadable_images_in_a_row_a_sample_is_given_up(tmp_path):
    root = image_folder(tmp_path, train=6, val=1)
    first, *others = sorted((root / "train").rglob("*.png"))
    assert first.parent.name == "dark"
    for file in others:
        file.write_text("no image")
    examples = Examples(opened(root, "train"), Labelled(evaluation_transform((8, 8), 1.0, PHOTOGRAPHS)), seed=0)
    assert examples[0, 6].content is None
    assert examples[0, 6].problem == "light/0.png: cannot identify image file"


def test_what_is_said_of_a_damaged_image_in_a_tar_file_is_always_the_same(tmp_path):
    folder = spoil(image_folder(tmp_path / "set")).name
    source = opened(str(tar_of(Path(folder).parent, tmp_path / "set.tar")), "train")
    examples = Examples(source, Labelled(evaluation_transform((8, 8), 1.0, PHOTOGRAPHS)), seed=0)
    assert examples[0, 0].problem == examples[1, 0].problem == "set.tar/train/dark/0.png: cannot identify image file"
