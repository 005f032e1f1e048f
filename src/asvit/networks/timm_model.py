"""Our networks under timm's conventions: ``import asvit.zoo`` registers them with timm.

The published ones by their names, and any other as the model ``asvit`` with its text form as an argument. There are no
pretrained weights: ``pretrained=True`` is for folders that `asvit export` wrote.

>>> import timm, torch
>>> timm.list_models("asvit*")
['asvit', 'asvit_base', 'asvit_large', 'asvit_seed', 'asvit_small']
>>> timm.create_model("asvit", architecture="4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,2|32,8", num_classes=10).num_features
64
>>> backbone = timm.create_model("asvit_seed", features_only=True)
>>> [tuple(x.shape) for x in backbone(torch.randn(2, 3, 64, 64))]
[(2, 32, 16, 16), (2, 64, 8, 8), (2, 128, 4, 4), (2, 256, 2, 2)]
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from asvit.errors import UserError, from_extra
from asvit.networks.architecture import ARCHITECTURES, Architecture, Initialisation, Task
from asvit.networks.attention import WindowAttention
from asvit.networks.block import Map
from asvit.networks.model import AsViT, Images, resample
from asvit.networks.named import read_architecture
from asvit.units import ImageSize, height_and_width

with from_extra("train"):
    from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
    from timm.models import build_model_with_cfg, generate_default_cfgs, register_model, resolve_pretrained_cfg
    from timm.models._input import update_model_input_size

GLOBAL_POOLS = ("avg", "max", "avgmax", "")
"""Ways to pool the last map; with the empty one the head works on every token by itself."""

FORMATS = ("NCHW", "NHWC")
"""Layouts of intermediate maps."""


class AsViTForTimm(AsViT):
    """:class:`~asvit.networks.model.AsViT` with the options, attributes and methods that timm expects of a model.

    Parameters bear the same names, so state dicts pass between the two.

    >>> model = AsViTForTimm(Architecture.parse("seed"), img_size=64, num_classes=10, drop_path_rate=0.1)
    >>> [info["num_chs"] for info in model.feature_info], model.get_classifier()
    ([32, 64, 128, 256], Linear(in_features=256, out_features=10, bias=True))
    """

    output_fmt = "NHWC"

    def __init__(
        self,
        architecture: Architecture,
        *,
        img_size: ImageSize = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        initialisation: Initialisation = "normal",
    ) -> None:
        """Build the network for a design size.

        Args:
            architecture: topology, depths and width.
            img_size: side, or height and width, for which windows and position embedding are laid out.
            in_chans: channels of an image.
            num_classes: outputs; 0 leaves the features before the last linear layer.
            global_pool: one of :data:`GLOBAL_POOLS`.
            drop_rate: dropout before the last linear layer.
            drop_path_rate: rate of stochastic depth of the last block; the others rise to it linearly from 0.
            initialisation: deviation of linear weights: ``normal``, 0.02, or ``fan-in``, ``1/√fan_in``.
        """
        super().__init__(
            architecture,
            image_size=height_and_width(img_size),
            in_chans=in_chans,
            num_classes=num_classes,
            drop_path=drop_path_rate,
            initialisation=initialisation,
        )
        self._traits = {"fixed_input_size": False}  # timm's: built for img_size, yet takes images of any size
        self.global_pool = global_pooling(global_pool)
        self.head_drop = nn.Dropout(drop_rate)
        self.num_features = self.head_hidden_size = architecture.dims[-1]
        self.feature_info = [
            {"num_chs": dim, "reduction": architecture.topology.base_stride * 2**i, "module": f"stages.{i}"}
            for i, dim in enumerate(architecture.dims)
        ]

    def forward_head(self, x: Map, pre_logits: bool = False) -> Float[Tensor, "B *map outputs"]:
        """Logits of a last map, or what the last linear layer reads; of each token if nothing pools."""
        head = self.head
        features = self.head_drop(head.act(head.pre_logits(self.global_pool(head.norm(x)))))
        return features if pre_logits else head.fc(features)

    def forward(self, images: Images) -> Float[Tensor, "B *map outputs"]:
        """Logits of images, or what :meth:`forward_head` makes of them without pooling or classifier."""
        return self.forward_head(self.forward_features(images))

    def forward_intermediates(
        self,
        x: Images,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Float[Tensor, "B _ _ _"]] | tuple[Map, list[Float[Tensor, "B _ _ _"]]]:
        """Last map computed and the last maps of chosen stages, finest first.

        Args:
            x: images.
            indices: stages to return; a number means that many of the last ones, None all four.
            norm: whether the map of the last stage passes the final norm, the only one that fits a map.
            stop_early: whether to compute no stage after the last chosen one.
            output_fmt: one of :data:`FORMATS`.
            intermediates_only: whether to return the chosen maps alone.
        """
        if output_fmt not in FORMATS:
            raise UserError(f"output_fmt is {output_fmt!r}: expected one of {', '.join(FORMATS)}")
        chosen = self._chosen(indices)
        count = max(chosen) + 1 if stop_early or intermediates_only else len(self.stages)
        maps = list(islice(self.maps(x), count))
        last = maps[-1]
        if norm and count == len(self.stages):
            maps[-1] = self.head.norm(last)
        intermediates = [maps[i] for i in sorted(set(chosen))]
        if output_fmt == "NCHW":
            intermediates = [intermediate.permute(0, 3, 1, 2) for intermediate in intermediates]
        return intermediates if intermediates_only else (last, intermediates)

    def prune_intermediate_layers(
        self, indices: int | Sequence[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove the stages after the last of ``indices``, and with them or where asked final norm and head.

        Returns:
            The chosen stages, counted from the first.
        """
        chosen = self._chosen(indices)
        last = max(chosen)
        shortened = last < len(self.stages) - 1
        self.embeddings, self.stages = self.embeddings[: last + 1], self.stages[: last + 1]
        self.num_features = self.head_hidden_size = self.architecture.dims[last]
        if prune_norm or shortened:
            self.head.norm = nn.Identity()
        if prune_head or shortened:
            self.head.pre_logits = self.head.act = nn.Identity()
            self.reset_classifier(0, "")
        return chosen

    def _chosen(self, indices: int | Sequence[int] | None) -> list[int]:
        stages = range(len(self.stages))
        if indices is None:
            return list(stages)
        wanted = range(-indices, 0) if isinstance(indices, int) else indices
        if not wanted or not all(-len(stages) <= i < len(stages) for i in wanted):
            raise UserError(
                f"the network has {len(stages)} stages, but {indices} are asked for: "
                f"expected a number of last stages up to {len(stages)}, or stages from 0 to {len(stages) - 1}"
            )
        return [stages[i] for i in wanted]

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the last linear layer by a freshly drawn one (none for 0 classes), and the pooling."""
        super().reset_classifier(num_classes)
        if global_pool is not None:
            self.global_pool = global_pooling(global_pool)

    def get_classifier(self) -> nn.Module:
        """The last linear layer, or the identity without classes."""
        return self.head.fc

    def set_input_size(self, img_size: ImageSize) -> None:
        """Lay the network out for another design size: windows grow with the map, the position embedding is resampled.

        Args:
            img_size: side, or height and width.

        >>> model = AsViTForTimm(Architecture.parse("seed"), img_size=64)
        >>> model.set_input_size((96, 128))
        >>> tuple(model.position.shape), model.stages[0][0].attn.window
        ((1, 24, 32, 32), (12, 16))
        """
        self.image_size = height_and_width(img_size)
        stages = list(self.architecture.stages(Task(image_size=self.image_size, in_chans=self.in_chans)))
        for stage, blocks in zip(stages, self.stages, strict=False):  # features_only may have left stages out
            for module in blocks.modules():
                if isinstance(module, WindowAttention):
                    module.window = stage.window
        if self.position is not None:
            self.position = nn.Parameter(resample(self.position.detach(), stages[0].resolution))
        update_model_input_size(self, self.image_size)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns that sort parameters by depth into blocks or, ``coarse``, stages.

        For layer-wise learning rates. A re-embedding goes with the first block after it.
        """
        blocks = [(r"^embeddings\.(\d+)", (0,)), (r"^stages\.(\d+)\.(\d+)", None)]
        return {
            "stem": r"^position$|^embeddings\.0",
            "blocks": r"^(?:embeddings|stages)\.(\d+)" if coarse else blocks,
        }

    def no_weight_decay(self) -> set[str]:
        """Parameters of more than one dimension that are not decayed: the position embedding."""
        return {"position"}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the insides of a block in the backward pass instead of keeping them, or no longer."""
        self.checkpointing = enable


def checkpoint_filter_fn(weights: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Weights as a network of another design size takes them: the position embedding is resampled."""
    assert isinstance(model, AsViT)
    weights = dict(weights)
    if model.position is not None and "position" in weights:
        height, width = model.position.shape[1:3]
        weights["position"] = resample(weights["position"], (height, width))
    return weights


def global_pooling(kind: str) -> nn.Module:
    """Pooling of a channels-last map to a vector.

    >>> import torch
    >>> global_pooling("max")(torch.tensor([[[[1.0, 5.0], [2.0, 4.0]]]]))
    tensor([[2., 5.]])
    """
    if kind not in GLOBAL_POOLS:
        raise UserError(f"global_pool is {kind!r}: expected one of {', '.join(map(repr, GLOBAL_POOLS))}")
    return SelectAdaptivePool2d(pool_type=kind, flatten=bool(kind), input_fmt="NHWC")


def _default_cfg() -> dict[str, Any]:
    return {
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "fixed_input_size": True,  # timm's way to say that the size of the images is an argument of the model
        "pool_size": (7, 7),
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": IMAGENET_DEFAULT_MEAN,
        "std": IMAGENET_DEFAULT_STD,
        "first_conv": "embeddings.0.proj",
        "classifier": "head.fc",
        "license": "apache-2.0",
    }


ANY = "asvit"
"""Name under which timm makes a network of any architecture."""

default_cfgs = generate_default_cfgs({name: _default_cfg() for name in (ANY, *(f"{ANY}_{a}" for a in ARCHITECTURES))})


def _create(name: str, architecture: Architecture, pretrained: bool, **kwargs: Any) -> nn.Module:
    source = resolve_pretrained_cfg(name, kwargs.get("pretrained_cfg"), kwargs.get("pretrained_cfg_overlay"))
    if pretrained and not (source.has_weights or source.state_dict):
        raise UserError(
            f"{name} has no pretrained weights: leave pretrained=True out, or load a network that you trained and "
            "exported: timm.create_model('local-dir:FOLDER', pretrained=True)"
        )
    return build_model_with_cfg(
        AsViTForTimm,
        name,
        pretrained,
        feature_cfg={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
        pretrained_filter_fn=checkpoint_filter_fn,
        architecture=architecture,
        **kwargs,
    )


@register_model
def asvit(pretrained: bool = False, *, architecture: str, **kwargs: Any) -> nn.Module:
    """The network of any architecture: text form such as ``8,2,3,3|4,1,2,1|4,1,4,4|4,1,6,2|32,88``, or file of one."""
    return _create(ANY, read_architecture(architecture), pretrained, **kwargs)


@register_model
def asvit_seed(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """As-ViT before scaling: one block a stage, C = 32, 2.4M parameters."""
    return _create("asvit_seed", ARCHITECTURES["seed"], pretrained, **kwargs)


@register_model
def asvit_small(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """As-ViT-Small: 29.1M parameters."""
    return _create("asvit_small", ARCHITECTURES["small"], pretrained, **kwargs)


@register_model
def asvit_base(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """As-ViT-Base: 52.6M parameters."""
    return _create("asvit_base", ARCHITECTURES["base"], pretrained, **kwargs)


@register_model
def asvit_large(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """As-ViT-Large: 88.1M parameters."""
    return _create("asvit_large", ARCHITECTURES["large"], pretrained, **kwargs)
