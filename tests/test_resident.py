"""Images in the memory of the device: what is kept, how it is cropped, and that training on it can be repeated."""

import numpy as np
import pytest
import torch
from image_sets import image_folder, opened
from PIL import Image

from asvit.contents import Contents
from asvit.errors import UserError
from asvit.images import Normalisation
from asvit.training import resident as room
from asvit.training.augment import evaluation_transform
from asvit.training.data import EvaluationOrder, TrainingOrder
from asvit.training.recipe import RECIPES, TrainRecipe
from asvit.training.resident import RandomCrops, Resident, ResidentBatches, centre, stored_size
from asvit.training.sources import Source

CPU = torch.device("cpu")
PHOTOGRAPHS = Normalisation.usual(3)


class Fixed(Source):
    """Images that are given."""

    def __init__(self, images, *, damaged=()):
        super().__init__("fixed", ["a", "b"], Contents(channels=3))
        self.images, self.damaged = images, damaged

    def __len__(self):
        return len(self.images)

    def read(self, index):
        if index in self.damaged:
            raise OSError("broken")
        return self.images[index], index % 2

    def file(self, index):
        return f"{index}.png"


def photographs(count, height=12, width=16):
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)) for _ in range(count)]


def recipe(**changes):
    return TrainRecipe(
        **{
            "image_size": (8, 8),
            "epochs": 2,
            "batch_size": 4,
            "lr": 1e-3,
            "warmup_epochs": 0,
            "weight_decay": 0.0,
            "schedule": "none",
            "test_crop": 1.0,
        }
        | changes
    )


def test_photographs_stay_bytes_and_arrays_stay_exact():
    kept = Resident(Fixed(photographs(3, 8, 8)), (8, 8), CPU)
    assert kept.images.dtype == torch.uint8
    assert (kept.images[1].permute(1, 2, 0).numpy() == np.array(photographs(3, 8, 8)[1])).all()
    image = torch.rand(3, 8, 8) / 1000  # 8 bits would keep nothing of it
    kept = Resident(Fixed([image]), (8, 8), CPU)
    assert torch.equal(kept.pixels([0])[0], image)


def test_images_are_spread_over_the_source():
    kept = Resident(Fixed(photographs(10, 8, 8)), (8, 8), CPU, images=4)
    assert kept.kept == [0, 2, 5, 7]
    assert kept.labels.tolist() == [0, 0, 1, 1]
    assert kept.file(2) == "5.png"
    with pytest.raises(UserError, match="has 10 images, not 11"):
        Resident(Fixed(photographs(10, 8, 8)), (8, 8), CPU, images=11)


def test_a_damaged_image_gives_way_and_is_named_in_its_batches():
    kept = Resident(Fixed(photographs(4, 8, 8), damaged=[1]), (8, 8), CPU)
    assert torch.equal(kept.images[1], kept.images[2])
    order = EvaluationOrder(4, 2, rank=0, processes=1)
    first, second = ResidentBatches(kept, order, centre((8, 8)), PHOTOGRAPHS)
    assert first.problems == ("1.png: broken",)
    assert second.problems == ()


def test_evaluation_leaves_damaged_images_out():
    kept = Resident(Fixed(photographs(5, 8, 8), damaged=[1, 4]), (8, 8), CPU, evaluation=True)
    assert kept.kept == [0, 2, 3]
    assert kept.labels.tolist() == [0, 0, 1]
    order = EvaluationOrder(len(kept), 2, rank=0, processes=1)
    first, second = ResidentBatches(kept, order, centre((8, 8)), PHOTOGRAPHS)
    assert (first.problems, second.problems) == (("1.png: broken",), ("4.png: broken",))


def test_what_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(room, "memory", lambda device: 1000)
    with pytest.raises(UserError, match="leave out --resident"):
        Resident(Fixed(photographs(3, 8, 8)), (8, 8), CPU)


def test_evaluation_sees_what_it_would_see_from_files(tmp_path):
    source = opened(image_folder(tmp_path), "val")
    kept = Resident(source, (24, 24), CPU)
    order = EvaluationOrder(len(source), 64, rank=0, processes=1)
    (batch,) = ResidentBatches(kept, order, centre((24, 24)), PHOTOGRAPHS)
    transform = evaluation_transform((24, 24), 1.0, PHOTOGRAPHS)
    square = [Image.fromarray(kept.images[i].permute(1, 2, 0).numpy()) for i in range(len(source))]
    expected = torch.stack([transform(image) for image in square])
    assert torch.allclose(batch.images, expected, atol=1e-6)


def test_without_crop_and_mirror_the_image_is_itself():
    kept = Resident(Fixed(photographs(4, 8, 8)), (8, 8), CPU)
    whole = RandomCrops(recipe(smallest_crop=1.0, flip=0.0), 4, seed=0)
    whole.of_epoch = lambda epoch: torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).expand(4, 2, 3)
    order = TrainingOrder(4, 4, seed=0, rank=0, processes=1)
    (batch,) = ResidentBatches(kept, order, whole, PHOTOGRAPHS)
    (places,) = order
    assert torch.allclose(batch.images, PHOTOGRAPHS(kept.pixels([index for _, index in places])), atol=1e-5)


def test_mirrored_images_are_mirror_images():
    images = torch.rand(2, 3, 8, 8)
    crops = RandomCrops(recipe(flip=1.0), 2, seed=0)
    plain = RandomCrops(recipe(flip=0.0), 2, seed=0)
    places = [(0, 0), (0, 1)]
    assert torch.allclose(crops(images, places), plain(images, places).flip(3), atol=1e-5)


def test_crops_lie_within_the_image_and_have_the_asked_area():
    crops = RandomCrops(recipe(smallest_crop=0.25), 4000, seed=3).draw(0)
    width, height = crops[:, 0, 0].abs(), crops[:, 1, 1]
    assert (width + crops[:, 0, 2].abs() <= 1 + 1e-6).all()
    assert (height + crops[:, 1, 2].abs() <= 1 + 1e-6).all()
    area = width * height
    assert area.min() >= 0.25 - 1e-6
    assert area.mean() == pytest.approx(0.62, abs=0.02)  # uniform from 0.25 to 1, less what a side above 1 is cut by
    assert (crops[:, 0, 0] < 0).float().mean() == pytest.approx(0.5, abs=0.03)


def test_a_crop_depends_on_seed_epoch_and_index_alone():
    one, other = (RandomCrops(recipe(), 10, seed=1) for _ in range(2))
    images = torch.rand(10, 3, 8, 8)
    together = one(images, [(5, i) for i in range(10)])
    alone = other(images[7:8], [(5, 7)])
    assert torch.equal(together[7], alone[0])
    assert not torch.equal(one.draw(5), one.draw(6))
    assert not torch.equal(one.draw(5), RandomCrops(recipe(), 10, seed=2).draw(5))


@pytest.mark.parametrize("changes", [{"randaugment": "rand-m5"}, {"random_erasing": 0.5}])
def test_what_is_not_done_on_the_device_is_refused(changes):
    with pytest.raises(UserError, match="cropped and mirrored only"):
        RandomCrops(recipe(**changes), 4, seed=0)


def test_stored_size_leaves_evaluation_its_share():
    assert stored_size(RECIPES["imagenet"]) == (256, 256)
