"""The cascade (Cai & Vasconcelos, 2018): three stages, each trained on the boxes that the one before has moved.

``n`` boxes of all images together, ``K`` classes, labels from 1 to K and 0 for what is no object. Boxes are
``x1, y1, x2, y2`` in pixels of the resized image.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder, Matcher
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import maskrcnn_inference, maskrcnn_loss
from torchvision.ops import MultiScaleRoIAlign, batched_nms, box_iou, clip_boxes_to_image, remove_small_boxes
from torchvision.ops.poolers import initLevelMapper

from asvit.detection.settings import IOUS, STRIDES, DetectorSettings

Boxes = Float[Tensor, "_ 4"]
Target = dict[str, Tensor]
"""Target of an image: ``boxes``, ``labels`` and ``masks`` of its objects."""
Features = OrderedDict[str, Tensor]
Size = tuple[int, int]

CODING = ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0))
"""Factors, by stage, of the shifts and log scales that it has to learn: one over their usual deviations."""
LOSS_WEIGHTS = (1.0, 0.5, 0.25)
POSITIVE_SHARE = 0.25
"""Largest share of boxes on objects among those that a stage learns from."""
BOX_SIDE, MASK_SIDE = 7, 14
"""Sides of what is cut out of the pyramid for a box and for its mask."""
NMS_IOU = 0.5
"""Overlap from which the weaker of two boxes of a class goes."""
SMALLEST_BOX = 1e-2


@dataclass(frozen=True)
class Sample:
    """Boxes of one image that a stage learns from."""

    boxes: Boxes
    labels: Int[Tensor, " n"]
    objects: Int[Tensor, " n"]
    """Object of the image that a box is matched with; means nothing where the label is 0."""
    proposed: Bool[Tensor, " n"]
    """False for boxes of the ground truth itself, which no later stage learns from."""

    @property
    def positive(self) -> Bool[Tensor, " n"]:
        """Boxes on objects."""
        return self.labels > 0


class BoxStage(nn.Module):
    """Two fully connected layers of its own, then the class of a box and how to move it, whatever its class."""

    def __init__(
        self, iou: float, coding: tuple[float, float, float, float], settings: DetectorSettings, num_classes: int
    ) -> None:
        super().__init__()
        self.head = TwoMLPHead(settings.channels * BOX_SIDE**2, settings.hidden)
        self.score = nn.Linear(settings.hidden, 1 + num_classes)
        # One move for all classes: the next stage needs a box before anyone knows its class.
        self.move = nn.Linear(settings.hidden, 4)
        self.matcher = Matcher(iou, iou, allow_low_quality_matches=False)
        self.sampler = BalancedPositiveNegativeSampler(settings.box_samples, POSITIVE_SHARE)
        self.coder = BoxCoder(coding)

    def forward(self, regions: Float[Tensor, "n C 7 7"]) -> tuple[Float[Tensor, "n classes"], Float[Tensor, "n 4"]]:
        """Logits of the classes, the first for no object, and coded moves."""
        x = self.head(regions)
        return self.score(x).float(), self.move(x).float()  # boxes lose pixels in bfloat16

    def sample(self, proposals: Boxes, target: Target) -> Sample:
        """Match boxes and the ground truth with the objects of an image, and draw those to learn from."""
        # With the ground truth among them there is something to learn from while proposals still miss every object.
        truth = target["boxes"]
        boxes = torch.cat((proposals, truth))
        if len(truth):
            objects = self.matcher(box_iou(truth, boxes))
            labels = target["labels"][objects.clamp(min=0)].where(objects >= 0, 0)
        else:
            objects = labels = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
        (positive,), (negative,) = self.sampler([labels])
        drawn = torch.where(positive.bool() | negative.bool())[0]
        return Sample(boxes[drawn], labels[drawn], objects[drawn].clamp(min=0), drawn < len(proposals))

    def losses(
        self,
        scores: Float[Tensor, "n classes"],
        moves: Float[Tensor, "n 4"],
        samples: Sequence[Sample],
        targets: Sequence[Target],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Cross entropy of the classes, and smooth L1 of the moves of boxes on objects; both over all boxes."""
        labels = torch.cat([sample.labels for sample in samples])
        positive = labels > 0
        pairs = zip(samples, targets, strict=True)
        truth = [target["boxes"][sample.objects[sample.positive]] for sample, target in pairs]
        wanted = torch.cat(self.coder.encode(truth, [sample.boxes[sample.positive] for sample in samples]))
        moved = F.smooth_l1_loss(moves[positive], wanted, beta=1 / 9, reduction="sum") / max(len(labels), 1)
        return F.cross_entropy(scores, labels), moved

    def refine(self, moves: Float[Tensor, "n 4"], boxes: Sequence[Boxes], sizes: Sequence[Size]) -> list[Boxes]:
        """Boxes of each image, moved and cut off at its edges."""
        # No gradient reaches a stage through the boxes of the next: each learns from losses of its own.
        moved = self.coder.decode(moves.detach(), list(boxes)).reshape(-1, 4)
        parts = moved.split([len(part) for part in boxes])
        return [clip_boxes_to_image(part, size) for part, size in zip(parts, sizes, strict=True)]


class MaskStage(nn.Sequential):
    """Four convolutions, a transposed one to twice the side, and one mask a class: ``n C 14 14`` to ``n K 28 28``."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(
            MaskRCNNHeads(channels, (channels,) * 4, 1), MaskRCNNPredictor(channels, channels, num_classes)
        )


def cutter(side: int) -> MultiScaleRoIAlign:
    """Cuts boxes out of the level of the pyramid that suits their size (Lin et al., 2017)."""
    align = MultiScaleRoIAlign([str(i) for i in range(len(STRIDES))], side, sampling_ratio=2)
    # Left alone it takes the scales from the first images it sees, and wrong ones where these are padded.
    align.scales = [1 / stride for stride in STRIDES]
    align.map_levels = initLevelMapper(int(math.log2(STRIDES[0])), int(math.log2(STRIDES[-1])))
    return align


class CascadeHeads(nn.Module):
    """Three box stages and three mask heads; takes the place of torchvision's ``RoIHeads``."""

    boxes: nn.ModuleList
    masks: nn.ModuleList

    def __init__(self, settings: DetectorSettings, num_classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.cut_boxes, self.cut_masks = cutter(BOX_SIDE), cutter(MASK_SIDE)
        stages = (BoxStage(iou, coding, settings, num_classes) for iou, coding in zip(IOUS, CODING, strict=True))
        self.boxes = nn.ModuleList(stages)
        self.masks = nn.ModuleList(MaskStage(settings.channels, num_classes) for _ in IOUS)

    def forward(
        self,
        features: Features,
        proposals: list[Boxes],
        image_shapes: list[Size],
        targets: list[Target] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Objects found and no losses or, in training, the reverse."""
        if self.training:
            assert targets is not None  # GeneralizedRCNN has seen to it
            return [], self.learn(features, proposals, image_shapes, targets)
        return self.find(features, proposals, image_shapes), {}

    def learn(
        self, features: Features, boxes: list[Boxes], sizes: list[Size], targets: list[Target]
    ) -> dict[str, Tensor]:
        """Losses of all stages; every stage hands the boxes it learned from, moved, to the next."""
        losses: dict[str, Tensor] = {}
        for t, (stage, mask_stage, weight) in enumerate(zip(self.boxes, self.masks, LOSS_WEIGHTS, strict=True), 1):
            assert isinstance(stage, BoxStage)
            samples = [stage.sample(proposals, target) for proposals, target in zip(boxes, targets, strict=True)]
            drawn = [sample.boxes for sample in samples]
            scores, moves = stage(self.cut_boxes(features, drawn, sizes))
            classified, moved = stage.losses(scores, moves, samples, targets)
            losses[f"loss_classifier_{t}"], losses[f"loss_box_reg_{t}"] = weight * classified, weight * moved
            losses[f"loss_mask_{t}"] = weight * self.mask_loss(mask_stage, features, samples, sizes, targets)
            refined = stage.refine(moves, drawn, sizes)
            boxes = [part[sample.proposed] for part, sample in zip(refined, samples, strict=True)]
        return losses

    def mask_loss(
        self,
        stage: nn.Module,
        features: Features,
        samples: Sequence[Sample],
        sizes: list[Size],
        targets: Sequence[Target],
    ) -> Float[Tensor, ""]:
        """Binary cross entropy of the masks of the true classes, within the boxes on objects."""
        boxes = [sample.boxes[sample.positive] for sample in samples]
        logits = stage(self.cut_masks(features, boxes, sizes))
        return maskrcnn_loss(
            logits.float(),
            boxes,
            [target["masks"] for target in targets],
            [target["labels"] - 1 for target in targets],  # nothing is drawn for no object
            [sample.objects[sample.positive] for sample in samples],
        )

    def find(self, features: Features, boxes: list[Boxes], sizes: list[Size]) -> list[dict[str, Tensor]]:
        """Objects of every image: boxes of the last stage, scores and masks averaged over all stages."""
        probabilities = []
        for stage in self.boxes:
            assert isinstance(stage, BoxStage)
            scores, moves = stage(self.cut_boxes(features, boxes, sizes))
            probabilities.append(scores.softmax(-1))
            boxes = stage.refine(moves, boxes, sizes)
        mean = torch.stack(probabilities).mean(0).split([len(part) for part in boxes])
        objects = [self.select(part, p) for part, p in zip(boxes, mean, strict=True)]
        regions = self.cut_masks(features, [entry["boxes"] for entry in objects], sizes)
        labels = [entry["labels"] - 1 for entry in objects]
        masks = [maskrcnn_inference(stage(regions).float(), labels) for stage in self.masks]
        for entry, *by_stage in zip(objects, *masks, strict=True):
            entry["masks"] = torch.stack(by_stage).mean(0)
        return objects

    def select(self, boxes: Boxes, probabilities: Float[Tensor, "n classes"]) -> dict[str, Tensor]:
        """The best boxes of one image: likely enough, none overlapping a likelier one of its class."""
        # A box may be likely enough for several classes, and is then found once for each.
        box, label = torch.where(probabilities[:, 1:] > self.settings.min_score)
        boxes, labels, scores = boxes[box], label + 1, probabilities[box, label + 1]
        kept = remove_small_boxes(boxes, SMALLEST_BOX)
        boxes, labels, scores = boxes[kept], labels[kept], scores[kept]
        best = batched_nms(boxes, scores, labels, NMS_IOU)[: self.settings.detections]
        return {"boxes": boxes[best], "labels": labels[best], "scores": scores[best]}
