"""The detector: sizes of the paper's, torchvision's manners, backbones of every kind."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from asvit.complexity.cost import count_params
from asvit.detection.backbone import PyramidBackbone
from asvit.detection.cost import detector_costs, padded_image
from asvit.detection.detector import CascadeMaskRCNN
from asvit.detection.recipe import RECIPES
from asvit.detection.results import whole
from asvit.detection.settings import DetectorSettings, Resize
from asvit.detection.trained import DetectorSpec
from asvit.errors import UserError
from asvit.networks.architecture import ARCHITECTURES, Task
from asvit.networks.attention import WindowAttention
from asvit.networks.building import build_trainable
from asvit.networks.named import parse_network

SMALL = RECIPES["smoke"].detector
TASK = Task(image_size=(64, 64), num_classes=3)


def on_meta(network: str) -> CascadeMaskRCNN:
    """A detector of the paper's sizes for COCO."""
    with torch.device("meta"):
        return DetectorSpec(network=network, task=Task(num_classes=80), settings=DetectorSettings()).build()


def test_large_has_the_papers_parameters():
    model = on_meta("large")
    position = model.backbone.network.position.numel()
    assert count_params(model) == 139_486_890
    assert count_params(model) - position == 138_922_410
    windows = [m.window for m in model.modules() if isinstance(m, WindowAttention)]
    assert windows == [(28, 28)] * 7 + [(14, 14)] * 5 + [(7, 7)] * 2


def test_parts_cost_what_their_formulas_say():
    model = on_meta("large")
    costs = {part.part: part for part in detector_costs(model, padded_image(model.settings, 3))}
    maps = [256**2, 128**2, 64**2, 32**2]
    dims = ARCHITECTURES["large"].dims
    assert costs["pyramid"].macs == sum(n * (d * 256 + 9 * 256 * 256) for n, d in zip(maps, dims, strict=True))
    assert costs["proposals"].macs == (sum(maps) + 16**2) * (9 * 256 * 256 + 256 * (3 + 12))
    box = 256 * 49 * 1024 + 1024 * 1024 + 1024 * (81 + 4)
    assert costs["boxes"].macs == 3 * 1000 * box
    assert costs["boxes"].training_macs == 3 * 512 * box
    mask = 4 * 196 * 9 * 256 * 256 + 196 * 4 * 256 * 256 + 784 * 256 * 80
    assert costs["masks"].macs == 3 * 100 * mask
    assert costs["masks"].training_macs == 3 * 128 * mask
    assert whole(list(costs.values())).params == count_params(model)
    assert whole(list(costs.values())).macs == 799_764_341_248


@pytest.mark.parametrize(
    ("network", "params"), [("timm:resnet152", 111_960_382), ("timm:swin_base_patch4_window7_224", 140_066_230)]
)
def test_backbones_of_the_papers_other_rows(network, params):
    model = on_meta(network)
    assert count_params(model) == params
    image = padded_image(replace(model.settings, resize=Resize(short_side=800, long_side=1333, square=False)), 3)
    assert image.shape == (1, 3, 800, 1344)
    assert whole(detector_costs(model, image)).macs > 5e11


@pytest.mark.parametrize(
    "network",
    ["seed", "timm:resnet10t", "timm:swin_tiny_patch4_window7_224", "timm:convnext_atto", "timm:mobilenetv3_small_050"],
)
def test_any_network_with_four_maps_is_a_backbone(network):
    backbone = PyramidBackbone(
        build_trainable(parse_network(network), Task(image_size=(224, 224), num_classes=10)), channels=8
    )
    levels = backbone.eval()(torch.zeros(1, 3, 96, 160))
    assert {level: tuple(x.shape) for level, x in levels.items()} == {
        "0": (1, 8, 24, 40),
        "1": (1, 8, 12, 20),
        "2": (1, 8, 6, 10),
        "3": (1, 8, 3, 5),
        "pool": (1, 8, 2, 3),
    }
    sum(x.sum() for x in backbone.train()(torch.rand(2, 3, 96, 160)).values()).backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())  # as several processes need it


def test_networks_without_four_maps_are_refused():
    with pytest.raises(UserError, match=r"has feature maps of strides 16, .*: a detector needs 4, 8, 16, 32"):
        PyramidBackbone(build_trainable(parse_network("timm:vit_tiny_patch16_224"), Task()), channels=8)
    spec = DetectorSpec(network="timm:maxvit_pico_rw_256", task=Task(image_size=(256, 256)), settings=SMALL)
    with pytest.raises(UserError, match=r"cannot be used on images of this size here: .*; choose another size"):
        detector_costs(spec.build(), torch.zeros(1, 3, 96, 96))


def detector(in_chans: int = 3, **changes) -> CascadeMaskRCNN:
    torch.manual_seed(0)
    task = replace(TASK, in_chans=in_chans)
    return DetectorSpec(network="seed", task=task, settings=replace(SMALL, **changes)).build()


def target(height: int, width: int, count: int = 2) -> dict[str, torch.Tensor]:
    boxes = torch.tensor([[5.0, 6, 30, 40], [20, 10, 50, 44]])[:count]
    masks = torch.zeros(count, height, width, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
        mask[top:bottom, left:right] = 1
    return {"boxes": boxes, "labels": torch.tensor([1, 3])[:count], "masks": masks}


def test_it_behaves_like_torchvisions_detectors():
    model = detector(min_score=0.0)
    images = [torch.rand(3, 50, 60), torch.rand(3, 48, 100)]
    losses = model.train()(images, [target(50, 60), target(48, 100, 0)])
    assert set(losses) == {"loss_objectness", "loss_rpn_box_reg"} | {
        f"loss_{part}_{t}" for part in ("classifier", "box_reg", "mask") for t in (1, 2, 3)
    }
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    found = model.eval()(images)
    for one, image in zip(found, images, strict=True):
        n = len(one["boxes"])
        assert 0 < n <= SMALL.detections
        assert one["masks"].shape == (n, 1, *image.shape[1:])
        assert one["labels"].min() >= 1
        assert one["labels"].max() <= 3
        assert (one["scores"].diff() <= 0).all()
        assert (one["boxes"] >= 0).all()
        assert (one["boxes"][:, [0, 2]] <= image.shape[2]).all()
        assert (one["boxes"][:, [1, 3]] <= image.shape[1]).all()


def test_a_batch_without_any_object_still_teaches_every_parameter():
    model = detector().train()
    sum(model([torch.rand(3, 50, 60)], [target(50, 60, 0)]).values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("resize", "shape", "sizes"),
    [
        (Resize.to_square(64), (64, 64), [(53, 64), (64, 32)]),
        (Resize(short_side=40, long_side=64, square=False), (64, 64), [(40, 48), (64, 32)]),
        (Resize(short_side=40, long_side=90, square=False), (96, 64), [(40, 48), (80, 40)]),
    ],
)
def test_images_are_fitted_with_their_shape_kept(resize, shape, sizes):
    model = detector(resize=resize).eval()
    images, _ = model.transform([torch.rand(3, 50, 60), torch.rand(3, 120, 60)])
    assert images.tensors.shape[-2:] == shape
    assert [tuple(size) for size in images.image_sizes] == sizes


@pytest.mark.parametrize("in_chans", [1, 5])
def test_images_of_other_channels(in_chans):
    model = detector(in_chans)
    images = [torch.rand(in_chans, 50, 60)]
    assert all(x.isfinite() for x in model.train()(images, [target(50, 60)]).values())
    assert len(model.eval()(images)) == 1


def test_batch_norms_of_a_trained_backbone_are_frozen():
    spec = DetectorSpec(network="timm:resnet10t", task=TASK, settings=SMALL, frozen_norms=True)
    kinds = {type(m).__name__ for m in spec.build().backbone.network.modules()}
    assert "FrozenBatchNorm2d" in kinds
    assert not any(isinstance(m, nn.BatchNorm2d) for m in spec.build().modules())


@pytest.mark.parametrize(
    "change", [{"channels": 0}, {"anchor_scale": 0.0}, {"min_score": 1.0}, {"min_score": -0.1}, {"detections": 0}]
)
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(UserError, match="expected"):
        replace(SMALL, **change)


def test_sides_that_make_no_sense_are_refused():
    with pytest.raises(UserError, match="images are fitted to 90 and 40 pixels: expected a short and a long side"):
        Resize(short_side=90, long_side=40, square=False)


def test_what_is_found_does_not_depend_on_the_images_before():
    """A wide image is padded; torchvision's pooler would take its scales from the first image it sees."""
    wide, tall = torch.rand(3, 30, 96), torch.rand(3, 96, 96)
    first = detector(min_score=0.0).eval()([wide])[0]
    later = detector(min_score=0.0).eval()
    later([tall])
    for name, x in later([wide])[0].items():
        torch.testing.assert_close(x, first[name])
    assert detector().roi_heads.cut_boxes.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]


def test_boxes_keep_their_precision_in_bfloat16():
    model = detector(min_score=0.0).eval()
    proposals = []
    model.roi_heads.register_forward_pre_hook(lambda module, inputs: proposals.extend(inputs[1]))
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = model([torch.rand(3, 70, 96)])
    for boxes in (*proposals, found["boxes"]):
        assert boxes.dtype == torch.float32
        assert not torch.equal(boxes, boxes.bfloat16().float())
