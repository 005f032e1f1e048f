"""What others build on timm's models works on ours: timm's own scripts, detection in torchvision, transformers."""

import os
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import timm
import torch
from image_sets import CLASSES, image_folder
from timm.data import create_loader, resolve_data_config
from timm.data.model_config import resolve_input_data_config
from timm.loss import LabelSmoothingCrossEntropy
from timm.models import load_checkpoint, resolve_model_input_args
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import CheckpointSaver, ModelEmaV3, accuracy
from torch import Tensor, nn
from torchvision.datasets import ImageFolder
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from asvit.errors import UserError
from asvit.networks.architecture import Architecture
from asvit.networks.model import resample
from asvit.zoo import AsViTForTimm, checkpoint_filter_fn

TINY = "4,2,2,1|2,1,2,1|2,1,2,2|2,1,2,1|32,8"
SCRIPTS = "TIMM_SCRIPTS"
"""Environment variable with the folder of a checkout of timm: its scripts are in no package."""


def tiny(**options) -> AsViTForTimm:
    torch.manual_seed(0)
    model = timm.create_model("asvit", architecture=TINY, **{"img_size": 32, "num_classes": 3, **options})
    assert isinstance(model, AsViTForTimm)
    return model.eval()


def images(side: int = 32) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_any_architecture_is_a_model_by_its_text_form():
    model = tiny()
    assert model.architecture == Architecture.parse(TINY)
    assert model.pretrained_cfg["architecture"] == "asvit"
    with torch.device("meta"):
        by_text = timm.create_model("asvit", architecture=str(Architecture.parse("small")))
        by_name = timm.create_model("asvit_small")
    shapes = [{name: x.shape for name, x in network.state_dict().items()} for network in (by_text, by_name)]
    assert shapes[0] == shapes[1]


def test_an_architecture_is_asked_for():
    with pytest.raises(TypeError, match=r"missing .* argument: 'architecture'"):
        timm.create_model("asvit")
    with pytest.raises(UserError, match="unknown architecture 'huge'"):
        timm.create_model("asvit", architecture="huge")


@pytest.mark.parametrize("overlay", [{}, {"pretrained_cfg_overlay": {"crop_pct": 0.9}}])
def test_weights_that_nobody_trained_are_refused_in_one_line(overlay):
    with pytest.raises(UserError, match=r"^asvit has no pretrained weights: [^\n]*local-dir:FOLDER[^\n]*$"):
        timm.create_model("asvit", architecture=TINY, pretrained=True, **overlay)


def test_weights_of_a_file_come_by_timms_overlay(tmp_path):
    model = tiny()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    overlay = {"file": str(tmp_path / "weights.pth"), "num_classes": 3}
    again = timm.create_model(
        "asvit", architecture=TINY, img_size=32, num_classes=3, pretrained=True, pretrained_cfg_overlay=overlay
    )
    assert torch.equal(again.eval()(images()), model(images()))


@pytest.mark.parametrize("size", [64, (32, 48)])
def test_a_network_laid_out_anew_is_the_one_built_for_that_size(size):
    model = tiny()
    weights = model.state_dict()
    model.set_input_size(size)
    built = tiny(img_size=size)
    built.load_state_dict(checkpoint_filter_fn(weights, built))
    assert model.image_size == built.image_size
    x = torch.randn(2, 3, *built.image_size)
    torch.testing.assert_close(model(x), built(x))
    assert torch.equal(model.position, resample(weights["position"], tuple(built.position.shape[1:3])))


def test_a_size_set_later_is_exported(tmp_path):
    model = tiny()
    model.set_input_size(64)
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert again.image_size == (64, 64)
    assert torch.equal(again(images(64)), model(images(64)))


def test_features_at_another_size_keep_their_pruned_stages():
    backbone = timm.create_model("asvit", architecture=TINY, img_size=32, features_only=True, out_indices=(0, 1))
    backbone.model.set_input_size(64)
    assert [tuple(x.shape[1:]) for x in backbone(images(64))] == [(8, 16, 16), (16, 8, 8)]
    assert backbone.model.stages[0][0].attn.window == (8, 8)


def test_a_checkpoint_is_loaded_at_another_size(tmp_path):
    model = tiny()
    torch.save({"state_dict": model.state_dict()}, tmp_path / "last.pth.tar")
    larger = tiny(img_size=48)
    load_checkpoint(larger, str(tmp_path / "last.pth.tar"), filter_fn=checkpoint_filter_fn)
    assert torch.equal(larger.position, resample(model.position, (12, 12)))
    for name, x in model.stages.state_dict().items():
        assert torch.equal(larger.stages.state_dict()[name], x)
    same = checkpoint_filter_fn(model.state_dict(), model)
    assert all(torch.equal(same[name], x) for name, x in model.state_dict().items())


def test_timms_scripts_lay_the_network_out_for_their_images():
    arguments = {"img_size": 64, "num_classes": 3}
    model = timm.create_model(**resolve_model_input_args("asvit", arguments, architecture=TINY, num_classes=3))
    assert (model.image_size, model.position.shape[1:3]) == ((64, 64), (16, 16))
    assert resolve_input_data_config(model, {"img_size": 96})["input_size"] == (3, 96, 96)  # evaluated at another size
    assert resolve_data_config(model=timm.create_model("asvit_seed")) == {
        "input_size": (3, 224, 224),
        "interpolation": "bicubic",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "crop_pct": 0.875,
        "crop_mode": "center",
    }


def test_layer_decay_reaches_every_parameter():
    model = tiny()
    optimiser = create_optimizer_v2(model, opt="adamw", lr=1.0, weight_decay=0.05, layer_decay=0.8)
    blocks = 1 + 1 + 2 + 1
    scales = {group["lr_scale"] for group in optimiser.param_groups}
    assert sorted(scales) == pytest.approx([0.8**depth for depth in range(blocks + 1, -1, -1)])
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(model.parameters()))
    undecayed = [p for group in optimiser.param_groups if group["weight_decay"] == 0 for p in group["params"]]
    assert any(p is model.position for p in undecayed)


def test_timms_parts_train_and_validate(tmp_path):
    root = image_folder(tmp_path / "set", train=8, val=4)
    model = tiny(drop_path_rate=0.1, drop_rate=0.1).train()
    average = ModelEmaV3(model, decay=0.5)
    config = resolve_input_data_config(model, {"img_size": 32})
    train, val = (
        create_loader(
            ImageFolder(str(root / split)),
            config["input_size"],
            batch_size=12,
            is_training=split == "train",
            color_jitter=0.0,  # brightness is the class
            use_prefetcher=False,
            mean=config["mean"],
            std=config["std"],
            num_workers=0,
            pin_memory=False,
            persistent_workers=False,
        )
        for split in ("train", "val")
    )
    optimiser = create_optimizer_v2(model, opt="adamw", lr=5e-3, layer_decay=0.9)
    scheduler, epochs = create_scheduler_v2(optimiser, num_epochs=10, cooldown_epochs=0)
    assert scheduler is not None
    loss = LabelSmoothingCrossEntropy()
    saver = CheckpointSaver(model, optimiser, model_ema=average, checkpoint_dir=str(tmp_path), max_history=1)
    for epoch in range(epochs):
        for x, labels in train:
            optimiser.zero_grad()
            loss(model(x), labels).backward()
            optimiser.step()
            average.update(model)
        scheduler.step(epoch + 1)
    trained = tiny()
    saver.save_checkpoint(epochs - 1, metric=1.0)
    load_checkpoint(trained, str(tmp_path / "last.pth.tar"), use_ema=True)
    ((x, labels),) = val
    assert accuracy(trained(x), labels)[0].item() > 90


@pytest.mark.slow
def test_timms_train_script_trains_a_designed_network(tmp_path):
    folder = os.environ.get(SCRIPTS)
    if folder is None or not (script := Path(folder) / "train.py").exists():
        pytest.skip(f"timm's scripts are in no package: set {SCRIPTS} to a checkout of timm's repository")
    root = image_folder(tmp_path / "set", train=8, val=4)
    command = [sys.executable, str(script), "--data-dir", str(root), "--device-modules", "asvit.zoo"]
    command += ["--model", "asvit", "--model-kwargs", f"architecture={TINY}", "--img-size", "32"]
    command += ["--num-classes", str(len(CLASSES)), "--device", "cpu", "--workers", "0", "--no-prefetcher"]
    command += ["--epochs", "1", "--warmup-epochs", "0", "--cooldown-epochs", "0", "--batch-size", "8"]
    command += ["--opt", "adamw", "--lr", "1e-3", "--layer-decay", "0.8", "--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (checkpoint,) = (tmp_path / "out").rglob("last.pth.tar")
    load_checkpoint(tiny(), str(checkpoint), filter_fn=checkpoint_filter_fn)


class Pyramid(nn.Module):
    """What torchvision's documentation asks of a backbone: named maps of equal width."""

    out_channels = 16

    def __init__(self, body: nn.Module, channels: list[int]) -> None:
        super().__init__()
        self.body, self.fpn = body, FeaturePyramidNetwork(channels, self.out_channels)

    def forward(self, x: Tensor) -> "OrderedDict[str, Tensor]":
        return self.fpn(OrderedDict((str(i), level) for i, level in enumerate(self.body(x))))


def test_torchvisions_detector_stands_on_the_four_maps():
    torch.manual_seed(0)
    body = timm.create_model("asvit", architecture=TINY, img_size=64, features_only=True)
    detector = FasterRCNN(
        Pyramid(body, body.feature_info.channels()),
        num_classes=3,
        min_size=64,
        max_size=64,
        rpn_anchor_generator=AnchorGenerator(((8,), (16,), (32,), (64,)), ((0.5, 1.0, 2.0),) * 4),
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=5, sampling_ratio=2),
    )
    pictures = [torch.rand(3, 64, 48), torch.rand(3, 40, 64)]
    objects = {"boxes": torch.tensor([[4.0, 5.0, 30.0, 35.0]]), "labels": torch.tensor([2])}
    losses = detector(pictures, [objects, objects])
    assert set(losses) == {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
    sum(losses.values()).backward()
    reached = {name for name, p in body.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert reached >= {name for name, _ in body.named_parameters() if name.endswith("qkv.weight")}
    for found in detector.eval()(pictures):
        assert found["boxes"].shape == (len(found["labels"]), 4)


def test_the_backbone_of_transformers_gives_the_maps_of_timm():
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.TimmBackboneConfig(backbone="asvit_seed", out_indices=[0, 1, 2, 3])
    backbone = transformers.TimmBackbone(config).eval()
    assert backbone.channels == [32, 64, 128, 256]
    plain = timm.create_model("asvit_seed").eval()
    plain.load_state_dict(backbone._backbone.model.state_dict(), strict=False)  # it has no head
    with torch.no_grad():
        maps, expected = backbone(images(64)).feature_maps, plain.feature_maps(images(64))
    assert all(torch.equal(a, b) for a, b in zip(maps, expected, strict=True))
