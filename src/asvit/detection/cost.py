"""What a detector costs, part by part: parameters and multiply-adds of one image (Table 8)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asvit.complexity.cost import count_macs, count_params
from asvit.detection.cascade import BOX_SIDE, MASK_SIDE, POSITIVE_SHARE
from asvit.detection.detector import CascadeMaskRCNN
from asvit.detection.results import PartCost
from asvit.detection.settings import STRIDES, DetectorSettings
from asvit.networks.refusing import refusing


class _Levels(nn.Module):
    """The proposal network's head over a pyramid."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Float[Tensor, "1 in_chans height width"]) -> None:
        """Look at every level."""
        self.head(list(self.backbone(images).values()))


def detector_costs(model: CascadeMaskRCNN, images: Float[Tensor, "1 in_chans height width"]) -> tuple[PartCost, ...]:
    """Parameters and multiply-adds by part: convolutions, matrix products and attention.

    In use all proposals pass every box stage and as many objects as may be found every mask head; in training, at
    most, the boxes that a stage learns from, a quarter of which are on objects.

    Args:
        model: detector.
        images: one image as the backbone sees it, resized and padded, of which only the shape counts.

    Raises:
        UserError: the backbone does not take such images.
    """
    settings, heads = model.settings, model.roi_heads
    body, proposals = model.backbone.body, model.rpn.head
    with refusing(
        type(model.backbone.network).__name__, "used on images of this size", "choose another size or network"
    ):
        of_body, of_pyramid = count_macs(body, images), count_macs(model.backbone, images)
    of_proposals = count_macs(_Levels(model.backbone, proposals), images) - of_pyramid
    box = sum(count_macs(stage, torch.zeros(1, settings.channels, BOX_SIDE, BOX_SIDE)) for stage in heads.boxes)
    mask = sum(count_macs(stage, torch.zeros(1, settings.channels, MASK_SIDE, MASK_SIDE)) for stage in heads.masks)
    learned = settings.box_samples
    return (
        PartCost("backbone", count_params(body), of_body, of_body),
        PartCost("pyramid", count_params(model.backbone.fpn), of_pyramid - of_body, of_pyramid - of_body),
        PartCost("proposals", count_params(proposals), of_proposals, of_proposals),
        PartCost("boxes", count_params(heads.boxes), settings.proposals * box, learned * box),
        PartCost("masks", count_params(heads.masks), settings.detections * mask, int(learned * POSITIVE_SHARE) * mask),
    )


def padded_image(settings: DetectorSettings, in_chans: int) -> Float[Tensor, "1 in_chans height width"]:
    """An image of the size that the backbone sees: of the largest shape where sizes differ."""
    resize = settings.resize
    if resize.square:
        return torch.zeros(1, in_chans, resize.long_side, resize.long_side)
    height, width = (-(-side // STRIDES[-1]) * STRIDES[-1] for side in (resize.short_side, resize.long_side))
    return torch.zeros(1, in_chans, height, width)
