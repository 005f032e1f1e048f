"""A feature pyramid over the four maps of any timm model that has them, ours among them."""

from collections import OrderedDict
from collections.abc import Sequence

from jaxtyping import Float
from timm.models._features import FeatureGetterNet
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from asvit.detection.settings import STRIDES
from asvit.errors import UserError
from asvit.training.retokenize import take_any_size

Images = Float[Tensor, "B in_chans height width"]


class PyramidBackbone(nn.Module):
    """Maps of strides 4, 8, 16 and 32, a feature pyramid over them (Lin et al., 2017) and a pooled level of stride 64.

    >>> import torch
    >>> from asvit.networks.architecture import Task
    >>> from asvit.networks.named import parse_network
    >>> from asvit.networks.building import build_trainable
    >>> backbone = PyramidBackbone(build_trainable(parse_network("seed"), Task(image_size=(64, 64))), channels=16)
    >>> {level: tuple(x.shape) for level, x in backbone(torch.zeros(1, 3, 64, 96)).items()}["pool"]
    (1, 16, 1, 2)
    """

    def __init__(self, classifier: nn.Module, *, channels: int) -> None:
        """Take the maps of a classifier, which loses its head.

        Args:
            classifier: classifier of timm's kind, with ``feature_info`` and ``forward_intermediates``.
            channels: number of channels of every level of the pyramid.

        Raises:
            UserError: it lacks one of the four maps.
        """
        super().__init__()
        self.body = FeatureGetterNet(classifier, out_indices=four_maps(classifier))
        take_any_size(self.network)
        self.fpn = FeaturePyramidNetwork(self.body.feature_info.channels(), channels, LastLevelMaxPool())
        self.out_channels = channels

    @property
    def network(self) -> nn.Module:
        """The classifier without its head."""
        return self.body.model

    def forward(self, images: Images) -> "OrderedDict[str, Float[Tensor, 'B C H W']]":
        """The pyramid, finest level first: ``0`` to ``3`` and ``pool``."""
        levels = self.fpn(OrderedDict((str(i), x) for i, x in enumerate(self.body(images))))
        return OrderedDict((name, x.float()) for name, x in levels.items())  # anchors take after them


def four_maps(classifier: nn.Module) -> tuple[int, int, int, int]:
    """Which of a timm model's feature maps have strides 4, 8, 16 and 32; of several, the last."""
    info = getattr(classifier, "feature_info", None)
    strides: Sequence[int] = [] if info is None else [entry["reduction"] for entry in info]
    last = {stride: i for i, stride in enumerate(strides)}
    if not all(stride in last for stride in STRIDES):
        present = ", ".join(map(str, strides)) or "none"
        raise UserError(
            f"{type(classifier).__name__} has feature maps of strides {present}: "
            f"a detector needs {', '.join(map(str, STRIDES))}, choose a network with four "
            "stages, one of ours with the base stride 4"
        )
    finest, fine, coarse, coarsest = (last[stride] for stride in STRIDES)
    return finest, fine, coarse, coarsest
