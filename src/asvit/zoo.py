"""``import asvit.zoo`` registers our networks with timm: asvit_seed, asvit_small, asvit_base, asvit_large, and asvit.

The code is in :mod:`asvit.networks.timm_model`; model cards and scripts name this module, so it stays where it is.

>>> import timm, asvit.zoo
>>> timm.create_model("asvit_seed", num_classes=10).num_features
256
"""

from asvit.networks.timm_model import ANY, AsViTForTimm, checkpoint_filter_fn

__all__ = ["ANY", "AsViTForTimm", "checkpoint_filter_fn"]
