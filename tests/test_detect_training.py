"""Training a detector: by heart, after interruptions, from a trained backbone, and however it is run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from coco_sets import coco_folder, write_part
from safetensors.torch import load_file

from asvit.contents import Contents
from asvit.detection.batch import SceneBatch
from asvit.detection.coco import find_coco
from asvit.detection.data import Prepare, Scenes, plain
from asvit.detection.recipe import RECIPES, Augmentation, DetectRecipe
from asvit.detection.settings import Resize
from asvit.detection.trained import load_detector
from asvit.detection.training import PARTS, DetectorTraining, plan
from asvit.errors import UserError
from asvit.images import Normalisation
from asvit.networks.named import parse_network
from asvit.training.checkpoint import checkpoints, last_checkpoint
from asvit.training.classifier import ClassifierTraining
from asvit.training.recipe import RECIPES as CLASSIFIERS
from asvit.training.schedule import named_schedule
from asvit.training.settings import Running
from asvit.training.sources import Digits
from asvit.training.start import load_start
from asvit.training.trained import load_checkpoint

TINY = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,8"
CPU = torch.device("cpu")
SMOKE = RECIPES["smoke"]
PLAIN = replace(SMOKE, drop_path=0.0, ema=None, augmentation=Augmentation(flip=0.0))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return coco_folder(tmp_path_factory.mktemp("coco"))


def training(root: Path, recipe: DetectRecipe = SMOKE, network: str = TINY, start=None, **running) -> DetectorTraining:
    train, val = (Scenes(find_coco(root, split)) for split in ("train", "val"))
    spec = plan(parse_network(network), train, recipe, start)
    return DetectorTraining(spec, train, val, recipe, start=start, seed=0, device=CPU, running=Running(**running))


def ignore(training: DetectorTraining) -> None:
    pass


def test_two_pictures_are_learned_by_heart(tmp_path):
    for split in ("train", "val"):
        write_part(tmp_path, split, 3, 3, size=(64, 64))  # the last has no objects
    detector = replace(SMOKE.detector, resize=Resize.to_square(64), channels=32, hidden=64, box_samples=32)
    recipe = replace(
        PLAIN, detector=detector, epochs=70, batch_size=3, lr=3e-3, warmup_epochs=10, clip=1.0, evaluate_every=70
    )
    result = training(tmp_path, recipe).run(tmp_path / "checkpoints", ignore)
    assert result.best.boxes.ap > 0.9
    assert result.best.masks.ap > 0.8
    first, last = result.epochs[0], result.epochs[-1]
    assert last.train_loss < 0.3 * first.train_loss
    assert last.train_loss == pytest.approx(sum(getattr(last, part) for part in PARTS), rel=1e-5)
    assert [epoch.boxes is None for epoch in result.epochs] == [True] * 69 + [False]


class Killed(Exception):
    pass


@pytest.mark.parametrize("step", [1, 2, 4])
def test_killed_in_any_step_the_weights_end_the_same_bit_for_bit(root, tmp_path, step):
    training(root).run(tmp_path / "whole", ignore)
    one, count = training(root, checkpoint_minutes=0.0), iter(range(1, 100))
    real = one.step

    def stumble(*arguments):
        if next(count) == step:
            raise Killed
        return real(*arguments)

    one.step = stumble
    with pytest.raises(Killed):
        one.run(tmp_path / "parts", ignore)
    result = training(root).run(tmp_path / "parts", ignore)
    a, b = (load_file(last_checkpoint(tmp_path / name)) for name in ("whole", "parts"))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert [epoch.epoch for epoch in result.epochs] == [1, 2]
    assert (result.epochs[0].macs, result.epochs[1].macs) == (8 * 3 * one.macs, 16 * 3 * one.macs)


def test_a_checkpoint_gives_the_detector_back(root, tmp_path):
    one = training(root)
    result = one.run(tmp_path, ignore)
    model, header = load_detector(tmp_path / Path(result.checkpoint).name)
    assert header.classes == ("box", "disc", "wedge")
    image = [torch.rand(3, 50, 60)]
    for name, x in model(image)[0].items():
        torch.testing.assert_close(x, one.average.module.eval()(image)[0][name])
    raw, _ = load_detector(tmp_path / Path(result.checkpoint).name, averaged=False)
    assert all(torch.equal(a, b) for a, b in zip(raw.parameters(), one.model.parameters(), strict=True))
    assert len(checkpoints(tmp_path)) == 2
    with pytest.raises(UserError, match="is not a checkpoint of `asvit train`"):
        load_checkpoint(tmp_path / Path(result.checkpoint).name)


def losses(one: DetectorTraining, steps: int = 2) -> list[list[float]]:
    one.stepping.train()
    loader = iter(one.train_loader)
    return [one.step(i, next(loader)).tolist() for i in range(steps)]


def test_losses_do_not_depend_on_workers_or_checkpointing(root):
    expected = losses(training(root, PLAIN))
    assert losses(training(root, PLAIN, workers=2)) == expected
    for found, wanted in zip(losses(training(root, PLAIN, checkpointing=True)), expected, strict=True):
        assert found == pytest.approx(wanted, rel=1e-4)
    for found, wanted in zip(losses(training(root, PLAIN, precision="bfloat16")), expected, strict=True):
        assert found[0] == pytest.approx(wanted[0], rel=0.1)


def test_accumulated_parts_of_a_batch_are_averaged_by_their_images(root):
    whole, parts = training(root, PLAIN), training(root, PLAIN, accumulate=2)
    (expected,), (found,) = losses(whole, 1), losses(parts, 1)
    assert found[0] == pytest.approx(expected[0], rel=0.1)  # other boxes are drawn
    scenes = [plain(*whole.train_scenes.read(i)) for i in range(5)]
    first, second = SceneBatch.of(scenes, ()).parts(2)
    assert (len(first), len(second)) == (3, 2)
    for (image, target), (wanted, of) in zip(first.scenes() + second.scenes(), scenes, strict=True):
        assert torch.equal(image, wanted)
        assert all(torch.equal(target[name], x) for name, x in of.items())


def test_a_backbone_starts_from_a_trained_classifier(root, tmp_path):
    sources = Digits("train"), Digits("val")
    for source in sources:
        source.contents = Contents(channels=3)
        source.images = source.images[:64].repeat(1, 3, 1, 1)
    recipe = replace(CLASSIFIERS["digits"], epochs=1, warmup_epochs=0)
    classifier = ClassifierTraining(
        parse_network(TINY), *sources, recipe, named_schedule("none", 1), seed=0, device=CPU
    )
    result = classifier.run(tmp_path, ignore)
    path = tmp_path / Path(result.checkpoint).name
    trained = load_checkpoint(path)
    one = training(root, start=load_start(str(path), parse_network(TINY)))
    assert one.spec.task.image_size == (32, 32)
    weights = trained.model.state_dict()
    for name, x in one.model.backbone.network.state_dict().items():
        assert torch.equal(x, weights[name]), name
    with pytest.raises(UserError, match=rf"is a training of {TINY[:9].replace(',', '.')}.*, not of 8,2,3,1"):
        load_start(str(path), parse_network("seed"))
    with pytest.raises(UserError, match=r"timm has no weights of 8,2,3.*: give a checkpoint of `asvit train`"):
        load_start("timm", parse_network("seed"))
    with pytest.raises(UserError, match="is not a checkpoint of `asvit detect`"):
        load_detector(path)


def test_flips_and_jitter_keep_objects_under_their_boxes(root):
    """What a mask covers lies within its box, up to half a pixel of resizing, wherever it goes."""
    scenes = Scenes(find_coco(root, "train"))
    prepare = Prepare(Augmentation(flip=0.5, jitter=(0.5, 2.0)), Resize.to_square(64), Normalisation.usual(3))
    torch.manual_seed(0)
    seen = 0
    for index in range(8):
        for _ in range(4):
            image, target = prepare(*scenes.read(index))
            assert image.shape == (3, 64, 64)
            assert len(target["boxes"]) == len(target["labels"]) == len(target["masks"])
            for box, label, mask in zip(target["boxes"], target["labels"], target["masks"], strict=True):
                rows, columns = torch.where(mask > 0)
                if len(rows) < 20:
                    continue
                left, top, right, bottom = box.tolist()
                assert left - 1.5 <= columns.min() <= columns.max() < right + 1.5
                assert top - 1.5 <= rows.min() <= rows.max() < bottom + 1.5
                if label == 1 and min(right - left, bottom - top) > 8:  # a box fills its box
                    assert len(rows) == pytest.approx((right - left) * (bottom - top), rel=0.25)
                seen += 1
    assert seen > 30


def test_crowds_are_not_learned_and_pictures_without_objects_are_shown(root):
    scenes = Scenes(find_coco(root, "train"))
    _, target = plain(*scenes.read(0))
    assert target["labels"].shape == (2,)
    assert target["masks"].shape == (2, 72, 96)
    _, empty = plain(*scenes.read(8))
    assert {name: tuple(x.shape) for name, x in empty.items()} == {
        "boxes": (0, 4),
        "labels": (0,),
        "masks": (0, 72, 96),
        "index": (),
    }


def test_damaged_pictures_give_way_to_the_next_and_are_counted(tmp_path):
    root = coco_folder(tmp_path / "data")
    for i in (2, 3):
        (root / "train2017" / f"00{i}.png").write_bytes(b"no picture")
    (root / "val2017" / "001.png").write_bytes(b"no picture")
    result = training(root).run(tmp_path / "run", ignore)
    assert len(result.unreadable) in (1, 2)
    assert "no picture" not in result.unreadable[0]
    assert "cannot identify image file" in result.unreadable[0]
    assert result.best.left_out == 1
    with pytest.raises(UserError, match="training images cannot be read"):
        training(root, max_unreadable=0).run(tmp_path / "strict", ignore)


def test_jitter_cuts_squares(root):
    recipe = replace(SMOKE, detector=replace(SMOKE.detector, resize=Resize(short_side=40, long_side=64, square=False)))
    with pytest.raises(UserError, match="large-scale jitter cuts squares: choose a square size, or no --jitter"):
        training(root, recipe).run(Path("nowhere"), ignore)


@pytest.mark.parametrize("change", [{"evaluate_every": 0}, {"backbone_size": 0}, {"lr": -1.0}])
def test_recipes_that_make_no_sense_are_refused(change):
    with pytest.raises(UserError, match="expected"):
        replace(SMOKE, **change)
    with pytest.raises(UserError, match=r"jitter goes from 2.0 to 1.0: expected two rising numbers"):
        Augmentation(jitter=(2.0, 1.0))


def test_biases_norms_and_position_embedding_are_not_decayed(root):
    one = training(root, network="seed")
    decayed = {id(p) for group in one.optimiser.param_groups if group["weight_decay"] > 0 for p in group["params"]}
    for name, parameter in one.model.named_parameters():
        assert (id(parameter) in decayed) == (parameter.ndim > 1 and not name.endswith("position")), name
