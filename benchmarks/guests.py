"""Published networks at 64x64, as guests of a race: those of timm that have to be told the size of small images.

``asvit race ... --against timm:convnext_atto timm:mobilevitv2_050 benchmarks.guests:levit_128s
benchmarks.guests:vit_tiny_patch8 benchmarks.guests:swin_24 --any-cost``, from the root of a clone.
"""

import timm
from torch import nn


def levit_128s(num_classes: int, in_chans: int, img_size: int) -> nn.Module:
    """LeViT-128S, whose attention knows how many tokens there are: 4x4 of 64x64 pixels, then 2x2 and 1."""
    return timm.create_model("levit_128s", num_classes=num_classes, in_chans=in_chans, img_size=img_size)


def vit_tiny_patch8(num_classes: int, in_chans: int, img_size: int) -> nn.Module:
    """ViT-Tiny with patches of 8 pixels: 64 tokens of 64x64 pixels."""
    sizes = {"num_classes": num_classes, "in_chans": in_chans, "img_size": img_size}
    return timm.create_model("vit_tiny_patch16_224", patch_size=8, **sizes)


def swin_24(num_classes: int, in_chans: int, img_size: int) -> nn.Module:
    """Swin of 24 channels and 2, 2, 6 and 2 blocks, patches of 2 pixels, windows of 4x4: a last map of 4x4 tokens."""
    sizes = {"num_classes": num_classes, "in_chans": in_chans, "img_size": img_size}
    shape = {"patch_size": 2, "window_size": 4, "embed_dim": 24, "depths": (2, 2, 6, 2), "num_heads": (1, 2, 4, 8)}
    return timm.create_model("swin_tiny_patch4_window7_224", **shape, **sizes)
