"""A transformer block (Fig. 1): window attention, then a feed-forward network (FFN), each on a residual branch."""

from jaxtyping import Float
from torch import Tensor, nn

from asvit.networks.architecture import Stage
from asvit.networks.attention import WindowAttention

Map = Float[Tensor, "B H W C"]


class DropPath(nn.Module):
    """Stochastic depth: in training, drop a branch for a random share of the images (Huang et al., 2016).

    >>> import torch
    >>> bool((DropPath(0.5).eval()(torch.ones(8, 1, 1, 1)) == 1).all())
    True
    """

    rate: float

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Map) -> Map:
        """Zero the branch of dropped images, scale the others so that the expectation stays."""
        if not self.training or self.rate == 0:
            return branch
        keep = 1 - self.rate
        mask = branch.new_empty(branch.shape[0], 1, 1, 1).bernoulli_(keep)
        return branch * mask / keep

    def extra_repr(self) -> str:
        """The rate, for ``print(model)``."""
        return f"rate={self.rate:.3f}"


class FFN(nn.Module):
    """Two linear layers with GELU between them, applied to each token.

    >>> import torch
    >>> FFN(32, expansion=4)(torch.zeros(1, 7, 7, 32)).shape
    torch.Size([1, 7, 7, 32])
    """

    fc1: nn.Linear
    act: nn.GELU
    fc2: nn.Linear

    def __init__(self, dim: int, *, expansion: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, expansion * dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(expansion * dim, dim)

    def forward(self, x: Map) -> Map:
        """Expand, bend, contract."""
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block: ``x + attn(norm(x))``, then ``x + ffn(norm(x))``.

    >>> import torch
    >>> from asvit.networks.architecture import Architecture, Task
    >>> stage = next(Architecture.parse("seed").stages(Task(image_size=(64, 64))))
    >>> Block(stage, drop_path=0.0)(torch.zeros(1, 16, 16, 32)).shape
    torch.Size([1, 16, 16, 32])
    """

    norm1: nn.LayerNorm
    attn: WindowAttention
    norm2: nn.LayerNorm
    mlp: FFN
    drop_path: DropPath

    def __init__(self, stage: Stage, *, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(stage.dim)
        self.attn = WindowAttention(stage.dim, heads=stage.heads, window=stage.window)
        self.norm2 = nn.LayerNorm(stage.dim)
        self.mlp = FFN(stage.dim, expansion=stage.expansion)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Map) -> Map:
        """One step of attention and one of FFN, each on a residual branch."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))
