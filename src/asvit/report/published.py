"""Published networks and what they cost, to stand beside a designed one: counted, none of it measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asvit.networks.architecture import ARCHITECTURES, Task
from asvit.networks.named import TIMM
from asvit.networks.space import BASE_STRIDE, STAGES

ALIKE = 3
"""Factor in parameters within which networks are of like size."""
NEAREST = 3
"""Networks of timm that stand beside each designed one, at most."""


@dataclass(frozen=True)
class Published:
    """A network, and what it costs."""

    name: str
    """Name by which every command takes it."""
    params: int
    macs: int
    task: Task
    """Images and classes that both are counted for."""


_COUNTS = (
    ("mobilenetv3_small_050", 1_593_224, 24_188_688),
    ("mobilenetv3_small_100", 2_542_856, 56_510_400),
    ("mobilenetv2_100", 3_504_872, 300_774_272),
    ("convnext_atto", 3_695_520, 547_332_480),
    ("efficientnet_b0", 5_288_548, 385_814_752),
    ("mobilenetv3_large_100", 5_483_032, 216_589_760),
    ("deit_tiny_patch16_224", 5_717_416, 1_253_683_200),
    ("convnext_pico", 9_045_672, 1_367_055_360),
    ("resnet18", 11_689_512, 1_814_073_344),
    ("convnext_nano", 15_593_560, 2_445_528_320),
    ("resnet34", 21_797_672, 3_663_761_408),
    ("deit_small_patch16_224", 22_050_664, 4_598_882_304),
    ("resnet50", 25_557_032, 4_089_184_256),
    ("swin_tiny_patch4_window7_224", 28_288_354, 4_490_566_656),
    ("convnext_tiny", 28_589_128, 4_455_531_264),
    ("resnet101", 44_549_160, 7_801_405_440),
    ("swin_small_patch4_window7_224", 49_606_258, 8_740_875_264),
    ("convnext_small", 50_223_688, 8_683_712_256),
    ("deit_base_patch16_224", 86_567_656, 17_563_828_224),
    ("swin_base_patch4_window7_224", 87_768_224, 15_430_946_816),
    ("convnext_base", 88_591_464, 15_354_729_472),
)

OF_TIMM = tuple(Published(TIMM + name, params, macs, Task()) for name, params, macs in _COUNTS)
"""Models of timm 1.0.31, counted by :mod:`asvit.complexity.cost` for 224x224 images, 3 channels and 1,000 classes."""


def of_timm_near(params: int) -> list[Published]:
    """Models of timm of like size, the nearest first; the nearest alone where none is.

    >>> [network.name for network in of_timm_near(3_600_000)]
    ['timm:convnext_atto', 'timm:mobilenetv2_100', 'timm:mobilenetv3_small_100']
    >>> [network.name for network in of_timm_near(100_000)]
    ['timm:mobilenetv3_small_050']
    """

    def factor(network: Published) -> float:
        return abs(math.log(network.params / params))

    nearest = sorted(OF_TIMM, key=factor)
    return [network for network in nearest[:NEAREST] if factor(network) <= math.log(ALIKE)] or nearest[:1]


def of_the_paper(task: Task, names: Sequence[str] = tuple(ARCHITECTURES)) -> list[Published]:
    """The paper's networks, counted for a task in closed form; none where its images are too small for them.

    >>> [network.params for network in of_the_paper(Task(), ["seed", "small"])]
    [2419976, 29051296]
    """
    if min(task.image_size) < BASE_STRIDE * 2 ** (STAGES - 1):
        return []
    chosen = ((name, ARCHITECTURES[name]) for name in names)
    return [Published(name, network.params(task), network.macs(task), task) for name, network in chosen]
