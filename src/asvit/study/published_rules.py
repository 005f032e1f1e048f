"""How published families grow: depths, widths and sizes of Swin, ResNet and ViT, and the rule they make of depths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from asvit.design.budget import Budget
from asvit.errors import UserError
from asvit.networks.architecture import Task
from asvit.networks.space import STAGES, Topology


@dataclass(frozen=True)
class PublishedNetwork:
    """One network of a published family, as far as scaling goes."""

    name: str
    params: int
    """Parameters for 224 x 224 pixels and 1000 classes, as timm counts them."""
    depths: tuple[int, ...]
    """Blocks of its stages; a ViT has one stage."""
    dims: tuple[int, ...]
    """Output channels of a block in each stage."""

    @property
    def plane(self) -> tuple[int, int]:
        """Total depth and total width, its place in Fig. 3.

        >>> PublishedNetwork("ViT-S", 22_050_664, (12,), (384,)).plane
        (12, 4608)
        """
        return sum(self.depths), sum(depth * dim for depth, dim in zip(self.depths, self.dims, strict=True))


@dataclass(frozen=True)
class PublishedRule:
    """The depths of a published family: at a budget of parameters, those of its largest network within it."""

    name: str
    source: str
    networks: tuple[PublishedNetwork, ...]
    """Networks from the smallest to the largest."""

    def network_for(self, budget: Budget) -> PublishedNetwork:
        """The largest network whose published parameters are within the budget, or the smallest there is.

        >>> RULES["swin"].network_for(Budget.parse("params", "55M")).name
        'Swin-S'
        """
        if [bound.kind for bound in budget.bounds] != ["params"]:
            raise UserError(f"the {self.name} rule is known by parameters, not {budget}: give budgets in parameters")
        return [self.networks[0], *(network for network in self.networks if network.params <= budget.limit)][-1]

    def depths(self, topology: Topology, budgets: Sequence[Budget], task: Task) -> list[tuple[int, int, int, int]]:
        """Blocks of the four stages for every budget, the same for all topologies and tasks."""
        return [four_stages(self.network_for(budget).depths) for budget in budgets]


def four_stages(depths: Sequence[int]) -> tuple[int, int, int, int]:
    """Blocks of four stages; a single stage's are spread evenly, the first ones with one more where they must be.

    >>> four_stages((24,)), four_stages((2, 2, 18, 2))
    ((6, 6, 6, 6), (2, 2, 18, 2))
    """
    if len(depths) == 1:
        each, more = divmod(depths[0], STAGES)
        depths = [each + (i < more) for i in range(STAGES)]
    first, second, third, last = depths
    return first, second, third, last


def _swin(name: str, params: int, third: int, width: int) -> PublishedNetwork:
    return PublishedNetwork(name, params, (2, 2, third, 2), (width, 2 * width, 4 * width, 8 * width))


def _vit(name: str, params: int, depth: int, width: int) -> PublishedNetwork:
    return PublishedNetwork(name, params, (depth,), (width,))


_BOTTLENECKS = (256, 512, 1024, 2048)

_RULES = (
    PublishedRule(
        "swin",
        "Liu et al., Swin Transformer (ICCV 2021), Section 3.3",
        (
            _swin("Swin-T", 28_288_354, 6, 96),
            _swin("Swin-S", 49_606_258, 18, 96),
            _swin("Swin-B", 87_768_224, 18, 128),
            _swin("Swin-L", 196_532_476, 18, 192),
        ),
    ),
    PublishedRule(
        "resnet",
        "He et al., Deep Residual Learning for Image Recognition (CVPR 2016), Table 1",
        (
            PublishedNetwork("ResNet-18", 11_689_512, (2, 2, 2, 2), (64, 128, 256, 512)),
            PublishedNetwork("ResNet-50", 25_557_032, (3, 4, 6, 3), _BOTTLENECKS),
            PublishedNetwork("ResNet-101", 44_549_160, (3, 4, 23, 3), _BOTTLENECKS),
            PublishedNetwork("ResNet-152", 60_192_808, (3, 8, 36, 3), _BOTTLENECKS),
        ),
    ),
    PublishedRule(
        "vit",
        "Zhai et al., Scaling Vision Transformers (CVPR 2022)",
        (
            _vit("ViT-Ti", 5_717_416, 12, 192),
            _vit("ViT-S", 22_050_664, 12, 384),
            _vit("ViT-B", 86_567_656, 12, 768),
            _vit("ViT-L", 304_326_632, 24, 1024),
        ),
    ),
)

RULES: Mapping[str, PublishedRule] = MappingProxyType({rule.name: rule for rule in _RULES})
"""Published scaling rules by name, each with networks of four sizes."""
