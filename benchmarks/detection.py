"""Does the detector learn? Our cascade beside torchvision's Mask R-CNN on a set of photographs, from scratch.

Both are trained at the same time, on a thread each, by the same loop, recipe, sizes and schedule; the backbones have
like multiply-adds. Stopped, it goes on:

    uv run python benchmarks/detection.py --data person_320 --epochs 26 --out runs/detection \
        --json benchmarks/results/detection-person.json
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import torch
from machine import provenance
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from asvit.detection.backbone import PyramidBackbone
from asvit.detection.cascade import BOX_SIDE, MASK_SIDE, cutter
from asvit.detection.coco import find_coco
from asvit.detection.cost import detector_costs, padded_image
from asvit.detection.data import Scenes
from asvit.detection.detector import RATIOS
from asvit.detection.recipe import RECIPES
from asvit.detection.results import DetectResult, PartCost
from asvit.detection.settings import STRIDES, Resize
from asvit.detection.trained import DetectorSpec
from asvit.detection.training import DetectorTraining, plan
from asvit.networks.building import build_trainable
from asvit.networks.named import parse_network
from asvit.training.start import Start

CASCADE, MASK_RCNN = "cascade", "mask-rcnn"


class MaskRCNNTraining(DetectorTraining):
    """The same training of torchvision's Mask R-CNN: one box stage and one mask head instead of three each."""

    def build_trainable(self, start: Start | None) -> tuple[GeneralizedRCNN, tuple[PartCost, ...]]:
        """Torchvision's model with the recipe's sizes."""
        assert start is None
        s, task = self.spec.settings, self.spec.task
        classes, side = task.num_classes + 1, s.resize.long_side
        backbone = PyramidBackbone(
            build_trainable(parse_network(self.spec.network), task, drop_path=self.recipe.drop_path),
            channels=s.channels,
        )
        sizes = tuple((stride * s.anchor_scale,) for stride in (*STRIDES, 2 * STRIDES[-1]))
        model = MaskRCNN(
            backbone,
            min_size=side,
            max_size=side,
            size_divisible=side,
            rpn_anchor_generator=AnchorGenerator(sizes, (RATIOS,) * len(sizes)),
            rpn_pre_nms_top_n_train=2 * s.proposals,
            rpn_pre_nms_top_n_test=s.proposals,
            rpn_post_nms_top_n_train=s.proposals,
            rpn_post_nms_top_n_test=s.proposals,
            rpn_batch_size_per_image=s.anchor_samples,
            box_roi_pool=cutter(BOX_SIDE),
            mask_roi_pool=cutter(MASK_SIDE),
            box_head=TwoMLPHead(s.channels * BOX_SIDE**2, s.hidden),
            box_predictor=FastRCNNPredictor(s.hidden, classes),
            box_score_thresh=s.min_score,
            box_detections_per_img=s.detections,
            box_batch_size_per_image=s.box_samples,
            mask_head=MaskRCNNHeads(s.channels, (s.channels,) * 4, 1),
            mask_predictor=MaskRCNNPredictor(s.channels, s.channels, classes),
        )
        like_ours = DetectorSpec(network=self.spec.network, task=task, settings=s).build()
        costs = {part.part: part for part in detector_costs(like_ours, padded_image(s, task.in_chans))}
        thirds = {part: one_stage(costs[part]) for part in ("boxes", "masks")}
        return model, tuple((costs | thirds).values())


def one_stage(three: PartCost) -> PartCost:
    """What one of three stages costs, but for a few parameters of its class-specific last layer."""
    return PartCost(three.part, three.params // 3, three.macs // 3, three.training_macs // 3)


def train(kind: str, network: str, options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    recipe = RECIPES["small"]
    detector = replace(recipe.detector, resize=Resize.to_square(options.square))
    every = options.evaluate_every
    recipe = replace(recipe, epochs=options.epochs, evaluate_every=every, detector=detector)
    train, val = (Scenes(find_coco(options.data, split)) for split in ("train", "val"))
    training_type = DetectorTraining if kind == CASCADE else MaskRCNNTraining
    training = training_type(
        plan(parse_network(network), train, recipe), train, val, recipe, seed=options.seed, device=torch.device("cpu")
    )

    def watch(training: Any) -> None:
        epochs = training.state.epochs
        if epochs and training.state.step == 0:
            ap = [round(100 * (scores.ap or 0), 1) for scores in (epochs[-1].boxes, epochs[-1].masks) if scores]
            print(f"{kind} epoch {epochs[-1].epoch}: loss {epochs[-1].train_loss:.3f}, AP {ap}", flush=True)

    result = training.run(options.out / kind, watch)
    recorded = {"kind": kind, "recipe": asdict(recipe), **outcome(result)}
    (options.out / f"{kind}.json").write_bytes(msgspec.json.encode(recorded))


def outcome(result: DetectResult) -> dict[str, Any]:
    """A row of the table."""
    last = result.epochs[-1]
    return {
        "network": result.network,
        "params": sum(part.params for part in result.costs),
        "macs": sum(part.macs for part in result.costs),
        "macs_by_part": {part.part: part.macs for part in result.costs},
        "boxes": msgspec.to_builtins(last.boxes),
        "masks": msgspec.to_builtins(last.masks),
        "minutes": round(sum(epoch.seconds for epoch in result.epochs) / 60, 1),
        "ap_by_epoch": [
            [epoch.epoch, epoch.boxes.ap, epoch.masks.ap] for epoch in result.epochs if epoch.boxes and epoch.masks
        ],
        "loss_by_epoch": [round(epoch.train_loss, 4) for epoch in result.epochs],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder laid out like COCO")
    parser.add_argument("--epochs", type=int, default=26)
    parser.add_argument("--evaluate-every", type=int, default=5)
    parser.add_argument("--square", type=int, default=224)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ours", default="seed", help="backbone of the cascade")
    parser.add_argument("--theirs", default="timm:regnetx_004", help="backbone of Mask R-CNN")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=(CASCADE, MASK_RCNN), help="train one of them, in this process")
    options = parser.parse_args()
    networks = {CASCADE: options.ours, MASK_RCNN: options.theirs}
    options.out.mkdir(parents=True, exist_ok=True)
    if options.only:
        train(options.only, networks[options.only], options)
        return
    both = [subprocess.Popen([sys.executable, *sys.argv, "--only", kind]) for kind in networks]
    if any([process.wait() for process in both]):
        sys.exit("a training failed")
    rows = [json.loads((options.out / f"{kind}.json").read_bytes()) for kind in networks]
    for row in rows:
        boxes, masks = row["boxes"], row["masks"]
        print(
            f"{row['kind']:>10s} {row['network']:>18s}: {row['params']:,} parameters, {row['macs'] / 1e9:.2f} GMACs, "
            f"box AP {boxes['ap']:.1%} (AP50 {boxes['ap50']:.1%}), mask AP {masks['ap']:.1%} "
            f"(AP50 {masks['ap50']:.1%}), {row['minutes']} minutes"
        )
    if options.json:
        options.json.write_text(json.dumps({**provenance(), "data": options.data.name, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
