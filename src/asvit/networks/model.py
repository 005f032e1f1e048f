"""The network of an architecture in plain torch (Fig. 1): four stages of window attention on maps of falling size.

Maps are channels-last, ``B x H x W x C``, inside the network; feature maps leave it as ``B x C x H x W``.
"""

import math
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from asvit.errors import UserError
from asvit.networks.architecture import Architecture, Initialisation, Task
from asvit.networks.block import Block, Map
from asvit.units import ImageSize, height_and_width

Images = Float[Tensor, "B in_chans height width"]


def overlap_padding(extent: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one side, so that a kernel wider than its stride keeps ``side / stride`` outputs.

    ``extent`` is the pixels that the kernel spans: its size, or ``dilation (size - 1) + 1``.

    >>> overlap_padding(8, 4), overlap_padding(7, 4), overlap_padding(4, 2), overlap_padding(13, 16)
    ((2, 2), (1, 2), (1, 1), (0, 0))
    """
    overlap = max(0, extent - stride)
    return overlap // 2, (overlap + 1) // 2


def pad_images(images: Images, *, extent: int, stride: int) -> Float[Tensor, "B in_chans padded_height padded_width"]:
    """Images with the zeros that a kernel needs to make ``ceil(side / stride)`` tokens a side.

    >>> pad_images(torch.zeros(1, 3, 30, 32), extent=8, stride=4).shape
    torch.Size([1, 3, 36, 36])
    """
    height, width = images.shape[-2:]
    before, after = overlap_padding(extent, stride)
    return F.pad(images, (before, after + -width % stride, before, after + -height % stride))


class PatchEmbedding(nn.Module):
    """Image to tokens: convolution with kernel ``K1`` and stride 4, then LayerNorm.

    >>> embedding = PatchEmbedding(3, 32, kernel=8, stride=4)
    >>> embedding(torch.zeros(1, 3, 64, 96)).shape
    torch.Size([1, 16, 24, 32])
    """

    kernel: int
    base_stride: int
    stride: int
    extent: int
    proj: nn.Conv2d
    norm: nn.LayerNorm

    def __init__(self, in_chans: int, dim: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.base_stride = kernel, stride
        self.proj = nn.Conv2d(in_chans, dim, kernel, stride)
        self.norm = nn.LayerNorm(dim)
        self.sample(stride=stride, dilation=1)

    def sample(self, *, stride: int, dilation: int) -> None:
        """Take tokens at another stride from now on (Section 4); the weights fit any."""
        self.stride, self.extent = stride, dilation * (self.kernel - 1) + 1
        self.proj.stride, self.proj.dilation = (stride, stride), (dilation, dilation)

    def forward(self, images: Images) -> Map:
        """Embed images, padded to a multiple of the stride."""
        x_BCHW = self.proj(pad_images(images, extent=self.extent, stride=self.stride))
        return self.norm(x_BCHW.permute(0, 2, 3, 1))


class ReEmbedding(nn.Module):
    """Map to a map of half the side: windows of ``K x K`` tokens, LayerNorm over each, linear without bias.

    >>> ReEmbedding(32, 64, kernel=3, stride=2)(torch.zeros(1, 16, 24, 32)).shape
    torch.Size([1, 8, 12, 64])
    """

    kernel: int
    stride: int
    norm: nn.LayerNorm
    proj: nn.Linear

    def __init__(self, dim: int, out_dim: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.norm = nn.LayerNorm(kernel * kernel * dim)
        self.proj = nn.Linear(kernel * kernel * dim, out_dim, bias=False)

    def forward(self, x: Map) -> Float[Tensor, "B h w out_dim"]:
        """Re-embed a map, padded to even sides."""
        height, width = x.shape[1:3]
        before, after = overlap_padding(self.kernel, self.stride)
        right, bottom = after + -width % self.stride, after + -height % self.stride
        x = F.pad(x, (0, 0, before, right, before, bottom))
        windows = x.unfold(1, self.kernel, self.stride).unfold(2, self.kernel, self.stride)
        return self.proj(self.norm(windows.flatten(3)))


class Head(nn.Module):
    """Classifier on the last map: LayerNorm, average pool, linear, tanh, linear.

    >>> Head(256, num_classes=10)(torch.zeros(2, 7, 7, 256)).shape
    torch.Size([2, 10])
    """

    norm: nn.Module
    pre_logits: nn.Module
    act: nn.Module
    fc: nn.Module

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.pre_logits = nn.Linear(dim, dim)
        self.act = nn.Tanh()
        self.fc = nn.Linear(dim, num_classes) if num_classes else nn.Identity()

    def forward(self, x: Map, *, pre_logits: bool = False) -> Float[Tensor, "B outputs"]:
        """Logits, or the features that the last linear layer reads."""
        features = self.act(self.pre_logits(self.norm(x).mean((1, 2))))
        return features if pre_logits else self.fc(features)


class AsViT(nn.Module):
    """The Vision Transformer of an :class:`~asvit.networks.architecture.Architecture`.

    Weights fit any input size: windows keep the side they have at ``image_size``, the position embedding is resampled.

    >>> model = AsViT(Architecture.parse("seed"), image_size=96, in_chans=5, num_classes=10)
    >>> images = torch.randn(2, 5, 96, 128)
    >>> model(images).shape, [tuple(m.shape) for m in model.feature_maps(images)]
    (torch.Size([2, 10]), [(2, 32, 24, 32), (2, 64, 12, 16), (2, 128, 6, 8), (2, 256, 3, 4)])
    """

    architecture: Architecture
    image_size: tuple[int, int]
    embeddings: nn.ModuleList
    stages: nn.ModuleList
    position: nn.Parameter | None
    head: Head
    in_chans: int
    num_classes: int
    checkpointing: bool

    def __init__(
        self,
        architecture: Architecture,
        *,
        image_size: ImageSize = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        position_embedding: bool = True,
        drop_path: float = 0.0,
        initialisation: Initialisation = "normal",
    ) -> None:
        """Build the network for a design size.

        Args:
            architecture: topology, depths and width.
            image_size: side, or height and width, in pixels at which windows and position embedding are laid out.
            in_chans: channels of an image.
            num_classes: outputs; 0 leaves the features before the last linear layer.
            position_embedding: whether a learned absolute embedding is added after the patch embedding.
            drop_path: rate of stochastic depth of the last block; the others rise to it linearly from 0.
            initialisation: how weights are drawn, as :meth:`initialise` says.
        """
        super().__init__()
        if not 0 <= drop_path < 1:
            raise UserError(f"drop path rate is {drop_path}: expected a number from 0 up to, not including, 1")
        if num_classes < 0:
            raise UserError(f"num_classes is {num_classes}: expected 1 or more, or 0 for no classifier")
        self.architecture = architecture
        self.image_size = height_and_width(image_size)
        self.in_chans = in_chans
        self.num_classes = num_classes
        self.checkpointing = False
        self.embeddings, self.stages = nn.ModuleList(), nn.ModuleList()
        rates = self._drop_path_rates(drop_path)
        task = Task(image_size=self.image_size, in_chans=in_chans, num_classes=max(num_classes, 1))
        channels = in_chans
        for i, stage in enumerate(architecture.stages(task)):
            embedding = PatchEmbedding if i == 0 else ReEmbedding
            self.embeddings.append(embedding(channels, stage.dim, kernel=stage.kernel, stride=stage.stride))
            self.stages.append(nn.Sequential(*(Block(stage, drop_path=next(rates)) for _ in range(stage.depth))))
            channels = stage.dim
        first = next(architecture.stages(task))
        self.position = nn.Parameter(torch.zeros(1, *first.resolution, first.dim)) if position_embedding else None
        self.head = Head(channels, num_classes)
        self.initialise(initialisation=initialisation)

    @property
    def patch_embedding(self) -> PatchEmbedding:
        """Image to tokens of the first stage."""
        first = self.embeddings[0]
        assert isinstance(first, PatchEmbedding)
        return first

    def _drop_path_rates(self, last: float) -> Iterator[float]:
        blocks = sum(self.architecture.depths)
        return (last * i / max(blocks - 1, 1) for i in range(blocks))

    def initialise(
        self,
        generator: torch.Generator | None = None,
        *,
        initialisation: Initialisation = "normal",
        into: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Draw every parameter anew, from ``generator`` (on the parameters' device) or torch's global one.

        Linear weights and the position embedding: normal with σ = 0.02, cut at ±2; their biases 0. LayerNorm: 1 and 0.
        Convolution: uniform in ``±1/√fan_in``, torch's default. As in the authors' release (the paper is silent).
        With ``initialisation="fan-in"``, linear weights have σ = 1/√fan_in. With ``into``, tensors of the parameters'
        shapes are filled, by name, in their place.
        """
        drawn = dict(self.named_parameters()) if into is None else into
        for name, module in self.named_modules():
            prefix = f"{name}." if name else ""
            own = {key: drawn[prefix + key] for key, _ in module.named_parameters(recurse=False)}
            if isinstance(module, nn.Linear):
                draw_linear(own["weight"], own.get("bias"), generator, initialisation=initialisation)
            elif isinstance(module, nn.LayerNorm):
                nn.init.ones_(own["weight"])
                nn.init.zeros_(own["bias"])
            elif isinstance(module, nn.Conv2d):
                bound = 1 / math.sqrt(own["weight"][0].numel())
                for parameter in own.values():
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)
        if self.position is not None:
            nn.init.trunc_normal_(drawn["position"], std=0.02, generator=generator)

    def maps(self, images: Images) -> Iterator[Map]:
        """Last map of each stage, channels-last, finest first."""
        x = images
        for i, (embedding, blocks) in enumerate(zip(self.embeddings, self.stages, strict=True)):
            x = embedding(x)
            if i == 0 and self.position is not None:
                x = x + resample(self.position, (x.shape[1], x.shape[2]))
            if self.checkpointing:
                for block in blocks.children():
                    x = checkpoint(block, x, use_reentrant=False)
            else:
                x = blocks(x)
            yield x

    def feature_maps(self, images: Images) -> list[Float[Tensor, "B C H W"]]:
        """Feature maps of the four stages for dense prediction, strides 4, 8, 16 and 32, finest first."""
        return [x.permute(0, 3, 1, 2) for x in self.maps(images)]

    def forward_features(self, images: Images) -> Map:
        """Last map of the last stage, channels-last."""
        *_, last = self.maps(images)
        return last

    def pooled_features(self, images: Images) -> Float[Tensor, "B C"]:
        """Mean over the last map before the final norm: the output ``N`` that Section 3.2 measures."""
        return self.forward_features(images).mean((1, 2))

    def forward_head(self, x: Map, pre_logits: bool = False) -> Float[Tensor, "B outputs"]:
        """Logits of a last map, or the features before the last linear layer."""
        return self.head(x, pre_logits=pre_logits)

    def forward(self, images: Images) -> Float[Tensor, "B outputs"]:
        """Logits of images of any size from one token up."""
        return self.forward_head(self.forward_features(images))

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last linear layer by a freshly drawn one; 0 classes leave the features before it.

        >>> model = AsViT(Architecture.parse("seed"), image_size=32)
        >>> model.reset_classifier(10)
        >>> model(torch.randn(2, 3, 32, 32)).shape
        torch.Size([2, 10])
        """
        if num_classes < 0:
            raise UserError(f"num_classes is {num_classes}: expected 1 or more, or 0 for no classifier")
        self.num_classes = num_classes
        self.head.fc = nn.Identity()
        if num_classes:
            dim = self.architecture.dims[len(self.stages) - 1]
            self.head.fc = nn.Linear(dim, num_classes).to(next(self.parameters()))
            draw_linear(self.head.fc.weight, self.head.fc.bias)


def draw_linear(
    weight: Float[Tensor, "out in_"],
    bias: Float[Tensor, " out"] | None,
    generator: torch.Generator | None = None,
    *,
    initialisation: Initialisation = "normal",
) -> None:
    """Draw a linear layer's weight from a normal with σ = 0.02 or 1/√fan_in, cut at ±2, and set its bias to 0.

    >>> linear = nn.Linear(400, 400)
    >>> draw_linear(linear.weight, linear.bias, torch.Generator().manual_seed(0), initialisation="fan-in")
    >>> round(linear.weight.std().item(), 3), linear.bias.abs().max().item()
    (0.05, 0.0)
    """
    std = 0.02 if initialisation == "normal" else weight.shape[1] ** -0.5
    nn.init.trunc_normal_(weight, std=std, generator=generator)
    if bias is not None:
        nn.init.zeros_(bias)


def resample(position: Float[Tensor, "1 H W C"], size: tuple[int, int]) -> Float[Tensor, "1 h w C"]:
    """Position embedding for a map of another size: bicubic, antialiased; the parameter itself stays as it is.

    >>> resample(torch.zeros(1, 56, 56, 32), (14, 14)).shape
    torch.Size([1, 14, 14, 32])
    """
    if tuple(position.shape[1:3]) == size:
        return position
    at_least_float32 = torch.promote_types(position.dtype, torch.float32)  # the CPU kernel knows no bfloat16
    x = position.permute(0, 3, 1, 2).to(at_least_float32)
    x = F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False)
    return x.permute(0, 2, 3, 1).to(position.dtype)
