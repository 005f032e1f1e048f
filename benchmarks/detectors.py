"""How long does a detector take, and where? Ours beside torchvision's `maskrcnn_resnet50_fpn_v2`, taking turns.

Freshly drawn detectors of one kind of object look at the same photographs, padded to one square, so that both look at
1,000 proposals and up to 100 masks; seconds by part are medians over the rounds, of one photograph at a time:

    uv run python benchmarks/detectors.py --data coco_mini_320 --square 512 --rounds 5 \
        --json benchmarks/results/detectors-cpu.json
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from machine import provenance, synchronize
from torch import Tensor, nn
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

from asvit.detection.coco import find_coco
from asvit.detection.data import Scenes, plain
from asvit.detection.settings import DetectorSettings, Resize
from asvit.detection.trained import DetectorSpec
from asvit.networks.architecture import Task

TORCHVISION = "torchvision maskrcnn_resnet50_fpn_v2"
PARTS: dict[str, tuple[str, ...]] = {
    "backbone": ("backbone.body",),
    "pyramid": ("backbone.fpn",),
    "proposals": ("rpn",),
    "boxes": ("roi_heads.cut_boxes", "roi_heads.boxes.", "roi_heads.box_"),
    "masks": ("roi_heads.cut_masks", "roi_heads.masks.", "roi_heads.mask_"),
}
"""Beginnings of the names of the modules that are timed together, ours and torchvision's."""


def timed_parts(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Seconds of every part, which forward hooks add to from now on."""
    seconds: dict[str, float] = defaultdict(float)
    for name, module in model.named_modules():
        part = next((part for part, names in PARTS.items() if is_one_of(name, names)), None)
        if part is not None:
            watch(module, part, seconds, device)
    return seconds


def is_one_of(name: str, beginnings: Sequence[str]) -> bool:
    """Whether a module is one that begins so, not one within it."""
    for beginning in beginnings:
        if name.startswith(beginning) and name.removeprefix(beginning).count(".") == 0:
            return beginning.endswith((".", "_")) or name == beginning
    return False


def watch(module: nn.Module, part: str, seconds: dict[str, float], device: torch.device) -> None:
    begun: list[float] = []

    def begin(*_: Any) -> None:
        synchronize(device)
        begun.append(time.perf_counter())

    def end(*_: Any) -> None:
        synchronize(device)
        seconds[part] += time.perf_counter() - begun.pop()

    module.register_forward_pre_hook(begin)
    module.register_forward_hook(end)


def detector(name: str, side: int) -> nn.Module:
    """A freshly drawn detector of one kind of object, fitting images into a square."""
    torch.manual_seed(0)
    if name == TORCHVISION:
        return maskrcnn_resnet50_fpn_v2(
            weights=None, weights_backbone=None, num_classes=2, min_size=side, max_size=side, size_divisible=side
        )
    settings = replace(DetectorSettings(), resize=Resize.to_square(side))
    return DetectorSpec(network=name, task=Task(num_classes=1), settings=settings).build()


def time_inference(model: nn.Module, scene: tuple[Tensor, dict[str, Tensor]]) -> None:
    model.eval()
    with torch.inference_mode():
        model([scene[0]])


def time_training(model: nn.Module, scene: tuple[Tensor, dict[str, Tensor]]) -> None:
    """Forward and backward pass; the optimiser is the same for all."""
    model.train()
    losses: dict[str, Tensor] = model([scene[0]], [scene[1]])
    torch.stack(list(losses.values())).sum().backward()
    model.zero_grad()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder laid out like COCO")
    parser.add_argument("--square", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", default=["seed", "small", "timm:resnet50"])
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scenes = Scenes(find_coco(options.data, "val"))
    shown = [i for i in range(len(scenes)) if scenes.coco.objects[i]][: options.rounds]
    names = [TORCHVISION, *options.networks]
    models = {name: detector(name, options.square).to(options.device) for name in names}
    parts = {name: timed_parts(model, options.device) for name, model in models.items()}
    ways: dict[str, Callable[..., None]] = {"inference": time_inference, "training": time_training}
    rows: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for index in [shown[0], *shown]:  # the first one warms up
        image, target = plain(*scenes.read(index))
        target["labels"] = torch.ones_like(target["labels"])
        scene = image.to(options.device), {key: x.to(options.device) for key, x in target.items()}
        for way, run in ways.items():
            for name in names:
                parts[name].clear()
                synchronize(options.device)
                begin = time.perf_counter()
                run(models[name], scene)
                synchronize(options.device)
                total = time.perf_counter() - begin
                rest = total - sum(parts[name].values())
                rows[name, way].append({**parts[name], "rest": rest, "whole": total})
    table = [summary(name, way, found[1:]) for (name, way), found in rows.items()]
    whole = {row["way"]: row["whole"] for row in table if row["detector"] == TORCHVISION}
    for row in table:
        row["of_torchvision"] = round(row["whole"] / whole[row["way"]], 2)
        row["params"] = sum(p.numel() for p in models[row["detector"]].parameters())
        cells = " ".join(f"{part} {row[part]:.3f}" for part in (*PARTS, "rest"))
        print(f"{row['way']:>9s} {row['detector']:>36s}: {row['whole']:.3f} s ({row['of_torchvision']}x): {cells}")
    if options.json:
        record = {**provenance(), "data": options.data.name, "square": options.square, "rounds": options.rounds}
        options.json.write_text(json.dumps({**record, "rows": table}, indent=2) + "\n")


def summary(name: str, way: str, found: list[dict[str, float]]) -> dict[str, Any]:
    """Medians; the rest is resizing, sampling and pasting and, in training, the backward pass."""
    names = (*PARTS, "rest", "whole")
    medians = {part: round(statistics.median(row.get(part, 0.0) for row in found), 4) for part in names}
    return {"detector": name, "way": way, **medians}


if __name__ == "__main__":
    main()
