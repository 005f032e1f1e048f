"""Cascade Mask R-CNN (Section 5.3): backbone, feature pyramid, proposals, cascade; a torchvision detection model."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from asvit.detection.backbone import PyramidBackbone
from asvit.detection.cascade import CascadeHeads
from asvit.detection.settings import STRIDES, DetectorSettings
from asvit.images import Normalisation

RATIOS = (0.5, 1.0, 2.0)
"""Height over width of the anchors."""


class CascadeMaskRCNN(GeneralizedRCNN):
    """Finds objects, their outlines and classes.

    Like torchvision's detection models: in training, a list of images and one of targets to a dictionary of losses; in
    evaluation, a list of images to one of dictionaries. An image is ``C x H x W`` from 0 to 1, of any size. A target
    has ``boxes`` (n x 4: x1, y1, x2, y2 in pixels), ``labels`` (n, from 1 to the number of classes) and ``masks``
    (n x H x W, uint8); what is found has ``scores`` (n) as well, and masks as probabilities, n x 1 x H x W.

    >>> import torch
    >>> from asvit.networks.architecture import Task
    >>> from asvit.networks.named import parse_network
    >>> from asvit.networks.building import build_trainable
    >>> from asvit.detection.settings import Resize
    >>> settings = DetectorSettings(resize=Resize.to_square(64), channels=16, hidden=32)
    >>> backbone = build_trainable(parse_network("seed"), Task(image_size=(64, 64)))
    >>> model = CascadeMaskRCNN(backbone, num_classes=80, settings=settings)
    >>> sorted(model.eval()([torch.zeros(3, 50, 40)])[0])
    ['boxes', 'labels', 'masks', 'scores']
    """

    backbone: PyramidBackbone
    rpn: RegionProposalNetwork
    roi_heads: CascadeHeads

    def __init__(
        self,
        classifier: nn.Module,
        *,
        num_classes: int,
        settings: DetectorSettings = DetectorSettings(),
        in_chans: int = 3,
        normalisation: Normalisation | None = None,
    ) -> None:
        """Build a detector around a backbone.

        Args:
            classifier: classifier of timm's kind, with maps of strides 4, 8, 16 and 32; it becomes the backbone.
            num_classes: kinds of objects, without the background.
            settings: sizes of the parts.
            in_chans: channels of an image.
            normalisation: mean and deviation of images by channel; None: those of photographs.
        """
        channels = settings.channels
        backbone = PyramidBackbone(classifier, channels=channels)
        sizes = tuple((stride * settings.anchor_scale,) for stride in (*STRIDES, 2 * STRIDES[-1]))
        proposals = RegionProposalNetwork(
            AnchorGenerator(sizes, (RATIOS,) * len(sizes)),
            ProposalHead(channels, len(RATIOS)),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=settings.anchor_samples,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 2 * settings.proposals, "testing": settings.proposals},
            post_nms_top_n={"training": settings.proposals, "testing": settings.proposals},
            nms_thresh=0.7,
        )
        heads = CascadeHeads(settings, num_classes)
        super().__init__(backbone, proposals, heads, fitting(settings, normalisation or Normalisation.usual(in_chans)))
        self.settings, self.num_classes = settings, num_classes

    def no_weight_decay(self) -> set[str]:
        """Parameters of more than one dimension that are not decayed: the backbone's own, by their names here."""
        network = self.backbone.network
        own: set[str] = getattr(network, "no_weight_decay", set)()
        parameters = {parameter: name for name, parameter in self.named_parameters()}
        return {parameters[parameter] for name, parameter in network.named_parameters() if name in own}


class ProposalHead(RPNHead):
    """The proposal network's head, whose moves are float32 whatever it is computed in: boxes lose pixels otherwise."""

    def forward(
        self, x: list[Float[Tensor, "B C _ _"]]
    ) -> tuple[list[Float[Tensor, "B anchors _ _"]], list[Float[Tensor, "B moves _ _"]]]:
        """Logits of objects and coded moves, by level."""
        logits, moves = super().forward(x)
        return [level.float() for level in logits], [level.float() for level in moves]


def fitting(settings: DetectorSettings, normalisation: Normalisation) -> GeneralizedRCNNTransform:
    """Normalise images, resize them with their targets, and pad them to one size."""
    resize = settings.resize
    mean, std = normalisation.mean, normalisation.std
    divisible: Any = resize.long_side if resize.square else STRIDES[-1]
    return GeneralizedRCNNTransform(
        resize.short_side, resize.long_side, list(mean), list(std), size_divisible=divisible
    )
