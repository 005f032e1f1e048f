"""Self-attention within windows (Section 3.1, "elastic attention splits"): unshifted, padded right and bottom.

Shapes: ``B`` images or windows, ``H`` x ``W`` map, ``h`` x ``w`` window, ``C`` channels, ``N`` heads, ``L`` tokens of a
window, ``D`` channels of a head.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

Heads = Float[Tensor, "B N L D"]
Mask = Bool[Tensor, "B 1 1 L"] | None
Attend = Callable[[Heads, Heads, Heads, Mask], Heads]


def plain_attention(q_BNLD: Heads, k_BNLD: Heads, v_BNLD: Heads, mask: Mask) -> Heads:
    """``softmax(q kᵀ / √D) v`` written out, so that it can be differentiated in any mode and to any order."""
    scores_BNLL = q_BNLD @ k_BNLD.transpose(-2, -1) * q_BNLD.shape[-1] ** -0.5
    if mask is not None:
        scores_BNLL = scores_BNLL.masked_fill(~mask, float("-inf"))
    return scores_BNLL.softmax(-1) @ v_BNLD


def fused_attention(q_BNLD: Heads, k_BNLD: Heads, v_BNLD: Heads, mask: Mask) -> Heads:
    """Attention by torch's fused kernel, which has no derivatives but those of first order in reverse mode."""
    return F.scaled_dot_product_attention(q_BNLD, k_BNLD, v_BNLD, attn_mask=mask)


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows of a map.

    ``head_dim = dim // heads``; where that leaves a rest, q, k and v have ``heads * head_dim`` channels and the
    projection maps back to ``dim``. A window never exceeds the map; a map that is no multiple of it is padded and the
    padded keys are masked.

    >>> WindowAttention(32, heads=4, window=(7, 7))(torch.randn(2, 14, 10, 32)).shape
    torch.Size([2, 14, 10, 32])
    """

    attend: Attend = staticmethod(fused_attention)
    """How queries, keys and values of windows are put together; measuring replaces it where derivatives ask for it."""

    def __init__(self, dim: int, *, heads: int, window: tuple[int, int]) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = dim // heads
        self.window = window
        self.qkv = nn.Linear(dim, 3 * heads * self.head_dim)
        self.proj = nn.Linear(heads * self.head_dim, dim)

    def forward(self, x_BHWC: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Attend within each window of the map."""
        _, height, width, _ = x_BHWC.shape
        window = min(self.window[0], height), min(self.window[1], width)
        pad = -height % window[0], -width % window[1]
        qkv, mask = self.qkv(x_BHWC), None
        if any(pad):  # F.pad copies even where it has nothing to add
            qkv, mask = F.pad(qkv, (0, 0, 0, pad[1], 0, pad[0])), padding_mask(x_BHWC, pad, window)
        windows = split_windows(qkv, window)
        q, k, v = (x.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2) for x in windows.chunk(3, -1))
        out_BLC = self.attend(q, k, v, mask).transpose(1, 2).flatten(2)
        out_BHWC = join_windows(out_BLC, (height + pad[0], width + pad[1]), window)
        return self.proj(out_BHWC[:, :height, :width])


def split_windows(x_BHWC: Shaped[Tensor, "B H W C"], window: tuple[int, int]) -> Shaped[Tensor, "windows L C"]:
    """Cut a map into windows, row by row.

    >>> split_windows(torch.arange(4.0).reshape(1, 2, 2, 1), (2, 1)).flatten(1).tolist()
    [[0.0, 2.0], [1.0, 3.0]]
    """
    h, w = window
    x = x_BHWC.unflatten(2, (-1, w)).unflatten(1, (-1, h))
    return x.transpose(2, 3).flatten(0, 2).flatten(1, 2)


def join_windows(
    x_BLC: Float[Tensor, "windows L C"], size: tuple[int, int], window: tuple[int, int]
) -> Float[Tensor, "B H W C"]:
    """Put windows back into a map of ``size``; the inverse of :func:`split_windows`."""
    (h, w), rows, columns = window, size[0] // window[0], size[1] // window[1]
    x = x_BLC.unflatten(0, (-1, rows, columns)).unflatten(3, (h, w))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def padding_mask(
    x_BHWC: Float[Tensor, "B H W C"], pad: tuple[int, int], window: tuple[int, int]
) -> Bool[Tensor, "windows 1 1 L"]:
    """Which keys of each window are tokens and which are padding, for a map that ``pad`` rows and columns enlarge."""
    real = torch.ones_like(x_BHWC[..., :1], dtype=torch.bool)
    return split_windows(F.pad(real, (0, 0, 0, pad[1], 0, pad[0])), window).transpose(1, 2)[:, None]
