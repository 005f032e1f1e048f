"""Progressive elastic re-tokenization (Section 4): coarse tokens first, fine tokens later, the same weights.

Stride and dilation of the patch embedding change together, so that the same ``K x K`` weights span a coarser patch.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import nn

from asvit.complexity.cost import count_macs
from asvit.errors import UserError, one_line
from asvit.networks.model import AsViT, pad_images
from asvit.training.schedule import Schedule, StageCost


def dilation_at(kernel: int, base_stride: int, stride: int) -> int:
    """Dilation that spreads ``K`` taps over a patch of another stride (Section 4).

    ``round((stride / base_stride - 1) K / (K - 1)) + 1``, halves rounded up.

    >>> [[dilation_at(kernel, 4, stride) for stride in (16, 8, 4)] for kernel in (4, 8)]
    [[5, 2, 1], [4, 2, 1]]
    """
    if stride % base_stride:
        raise UserError(f"stride is {stride}: expected a multiple of the base stride, {base_stride}")
    if kernel == 1 and stride != base_stride:
        raise UserError(
            "a patch embedding with a kernel of one pixel cannot be dilated: expected a kernel of 2 or more"
        )
    if stride == base_stride:
        return 1
    # In whole numbers, since Python's round() takes halves to the even neighbour.
    twice, over = 2 * (stride - base_stride) * kernel, base_stride * (kernel - 1)
    return (twice + over) // (2 * over) + 1


def retokenize(model: nn.Module, *, stride: int) -> None:
    """Sample images at another stride from now on; weights, their shapes and the optimiser's state stay.

    Position embedding and windows follow the coarser map; going back is the same call with the base stride.

    Args:
        model: an :class:`~asvit.networks.model.AsViT`, or a timm model whose ``patch_embed`` is a square
            convolution and that takes maps of other sizes: VisionTransformer, SwinTransformer and their kin.
        stride: pixels between tokens, a multiple of the base stride.

    Raises:
        UserError: the model cannot be re-tokenized, or not at this stride.

    >>> from asvit.networks.architecture import Architecture
    >>> model = AsViT(Architecture.parse("seed"), image_size=64, num_classes=10)
    >>> retokenize(model, stride=16)
    >>> [tuple(x.shape[2:]) for x in model.feature_maps(torch.zeros(1, 3, 64, 64))]
    [(4, 4), (2, 2), (1, 1), (1, 1)]
    """
    conv = patch_convolution(model)
    dilation = dilation_at(conv.kernel_size[0], base_stride(model), stride)
    if isinstance(model, AsViT):
        model.patch_embedding.sample(stride=stride, dilation=dilation)
    else:
        conv.stride, conv.dilation = (stride, stride), (dilation, dilation)
        follow_the_map(model, conv)


def enter(model: nn.Module, coarseness: int) -> None:
    """Re-tokenize for a stage of a schedule; a model that was never coarse is left alone and may be of any kind.

    >>> from asvit.networks.architecture import Architecture
    >>> model = AsViT(Architecture.parse("seed"), image_size=64, num_classes=10)
    >>> enter(model, coarseness=2)
    >>> is_coarse(model)
    True
    """
    if coarseness != 1 or is_coarse(model):
        retokenize(model, stride=coarseness * base_stride(model))


def is_coarse(model: nn.Module) -> bool:
    """Whether the model has fewer tokens than it was designed for.

    >>> is_coarse(nn.Linear(1, 1))
    False
    """
    return can_retokenize(model) and patch_convolution(model).stride[0] != base_stride(model)


def take_any_size(model: nn.Module) -> None:
    """Let a network take images of other sizes than it was built for, where it can; ours always do."""
    if not isinstance(model, AsViT) and can_retokenize(model):
        follow_the_map(model, patch_convolution(model))


def can_retokenize(model: nn.Module) -> bool:
    """Whether the model's patch embedding is a convolution that can be dilated.

    >>> can_retokenize(nn.Linear(1, 1))
    False
    """
    try:
        return patch_convolution(model).kernel_size[0] > 1
    except UserError:
        return False


def patch_convolution(model: nn.Module) -> nn.Conv2d:
    """The convolution that makes tokens of pixels.

    >>> from asvit.networks.architecture import Architecture
    >>> model = AsViT(Architecture.parse("seed"), image_size=64, num_classes=10)
    >>> patch_convolution(model).kernel_size
    (8, 8)
    """
    if isinstance(model, AsViT):
        return model.patch_embedding.proj
    embedding: Any = getattr(model, "patch_embed", None)
    conv = getattr(embedding, "proj", None)
    if not isinstance(conv, nn.Conv2d) or conv.kernel_size != embedding.patch_size or conv.padding != (0, 0):
        raise UserError(
            f"{type(model).__name__} cannot be re-tokenized: its patch embedding is not one convolution with a kernel "
            "of its stride; train it with the schedule none"
        )
    return conv


def base_stride(model: nn.Module) -> int:
    """Stride of the patch embedding as the model was designed.

    >>> from asvit.networks.architecture import Architecture
    >>> model = AsViT(Architecture.parse("seed"), image_size=64, num_classes=10)
    >>> base_stride(model)
    4
    """
    conv = patch_convolution(model)  # timm's has a stride as large as its kernel
    return model.patch_embedding.base_stride if isinstance(model, AsViT) else conv.kernel_size[0]


def follow_the_map(model: Any, conv: nn.Conv2d) -> None:
    """Let a timm model take maps of other sizes than it was built for: by its own switches, no weight changes."""
    for module in model.modules():
        if hasattr(module, "strict_img_size"):
            module.strict_img_size = False
        if hasattr(module, "dynamic_mask"):  # Swin's shifted windows
            module.dynamic_mask = True
    # A ViT built for one size lists its patches at once. One for any size leaves them in rows and columns until it has
    # resampled the position embedding: these are the switches that timm sets where it builds one so.
    if hasattr(model, "dynamic_img_size") and not model.dynamic_img_size:
        from timm.layers.format import Format

        model.dynamic_img_size = True
        model.patch_embed.flatten, model.patch_embed.output_fmt = False, Format.NHWC
    # Called at every stage of a schedule; a second hook would pad twice.
    if _pad not in conv._forward_pre_hooks.values():
        conv.register_forward_pre_hook(_pad)


def _pad(
    conv: nn.Module, images: tuple[Float[torch.Tensor, "B channels H W"]]
) -> Float[torch.Tensor, "B channels padded_H padded_W"]:
    assert isinstance(conv, nn.Conv2d)
    # Dilated, the kernel spans more or less than its stride: without padding the last tokens of a map might be missing.
    extent = conv.dilation[0] * (conv.kernel_size[0] - 1) + 1
    return pad_images(*images, extent=extent, stride=conv.stride[0])


def stage_costs(
    model: nn.Module, schedule: Schedule, images: Float[torch.Tensor, "1 channels H W"]
) -> tuple[StageCost, ...]:
    """MACs of every stage, counted on the model; it is left as in the last stage.

    Args:
        model: one that :func:`retokenize` takes; where no stage is coarse, any.
        schedule: stages to count.
        images: one image, of which only the shape counts.

    Raises:
        UserError: the model cannot take the coarser maps.

    >>> from asvit.networks.architecture import Architecture
    >>> from asvit.training.schedule import named_schedule
    >>> model = AsViT(Architecture.parse("seed"), image_size=64, num_classes=10)
    >>> costs = stage_costs(model, named_schedule("80-140", 30), torch.zeros(1, 3, 64, 64))
    >>> [(cost.coarseness, cost.epochs, cost.macs) for cost in costs]
    [(4, 8, 2512128), (2, 6, 5348352), (1, 16, 21637632)]
    """
    costs = []
    for stage in schedule:
        enter(model, stage.coarseness)
        # Counted on the model itself, as a formula would know our networks alone; what timm's cannot take, they say in
        # errors of their own.
        try:
            macs = count_macs(model, images)
        except (RuntimeError, AssertionError) as error:
            raise UserError(
                f"{type(model).__name__} cannot be re-tokenized {stage.coarseness} times coarser: "
                f"{one_line(error)}; train it with the schedule none"
            ) from error
        costs.append(StageCost(stage.coarseness, stage.epochs, macs))
    return tuple(costs)
