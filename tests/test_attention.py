import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.profiler import profile

from asvit.measure.differentiable import write_out_attention
from asvit.networks.attention import (
    Attend,
    WindowAttention,
    fused_attention,
    join_windows,
    padding_mask,
    plain_attention,
    split_windows,
)

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
SIDES = st.integers(1, 5)


def attention_layer(window: tuple[int, int], *, dim: int = 12, heads: int = 3) -> WindowAttention:
    torch.manual_seed(0)
    return WindowAttention(dim, heads=heads, window=window).double()


def queries_keys_values(windows: int = 3, heads: int = 2, length: int = 10, head_dim: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (windows, heads, length, head_dim)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3)]


def attend_to_all_tokens(layer: WindowAttention, tokens_LC: Tensor) -> Tensor:
    """One window by the textbook, head by head."""
    q, k, v = layer.qkv(tokens_LC).reshape(-1, 3, layer.heads, layer.head_dim).unbind(1)
    out = []
    for head in range(layer.heads):
        scores = q[:, head] @ k[:, head].T / math.sqrt(layer.head_dim)
        out.append(torch.softmax(scores, 1) @ v[:, head])
    return layer.proj(torch.cat(out, 1))


@pytest.mark.parametrize("head_dim", [4, 16, 22])
@pytest.mark.parametrize("masked", [False, True])
def test_plain_attention_agrees_with_the_fused_kernel(masked: bool, head_dim: int):
    q, k, v = queries_keys_values(head_dim=head_dim)
    mask = None
    if masked:
        mask = torch.arange(10) < torch.tensor([10, 7, 1])[:, None, None, None]
    torch.testing.assert_close(plain_attention(q, k, v, mask), fused_attention(q, k, v, mask), **CLOSE)


@pytest.mark.parametrize(("window", "padded"), [((4, 4), 0), ((3, 4), 2)], ids=["whole windows", "map padded to them"])
def test_narrow_heads_are_not_padded(window: tuple[int, int], padded: int):
    layer = attention_layer(window, dim=12, heads=3)
    with torch.inference_mode(), profile() as seen:
        layer(torch.randn(2, 4, 8, 12, dtype=torch.float64))
    assert sum(event.name == "aten::constant_pad_nd" for event in seen.events() or ()) == padded  # the map and its mask


def test_masked_keys_have_no_influence():
    q, k, v = queries_keys_values()
    mask = torch.arange(10) < torch.full((3, 1, 1, 1), 6)
    expected = plain_attention(q[:, :, :6], k[:, :, :6], v[:, :, :6], None)
    for attend in (plain_attention, fused_attention):
        torch.testing.assert_close(attend(q, k, v, mask)[:, :, :6], expected, **CLOSE)


@settings(deadline=None)
@given(batch=SIDES, rows=SIDES, columns=SIDES, h=SIDES, w=SIDES)
def test_joining_windows_undoes_splitting(batch: int, rows: int, columns: int, h: int, w: int):
    size = rows * h, columns * w
    x = torch.arange(batch * size[0] * size[1] * 2.0).reshape(batch, *size, 2)
    windows = split_windows(x, (h, w))
    assert windows.shape == (batch * rows * columns, h * w, 2)
    assert torch.equal(windows[0], x[0, :h, :w].flatten(0, 1))
    assert torch.equal(windows[-1], x[-1, -h:, -w:].flatten(0, 1))
    assert torch.equal(join_windows(windows, size, (h, w)), x)


def test_mask_of_a_map_padded_on_both_sides():
    mask = padding_mask(torch.zeros(2, 3, 2, 5), (1, 2), (2, 4))
    one_image = [[True, True, False, False] * 2, [True, True, False, False] + [False] * 4]
    assert mask[:, 0, 0].tolist() == one_image * 2


@pytest.mark.parametrize("attend", [fused_attention, plain_attention])
@pytest.mark.parametrize(
    ("size", "window"),
    [((8, 8), (4, 4)), ((7, 9), (4, 4)), ((5, 6), (2, 6)), ((3, 7), (1, 5)), ((6, 6), (7, 4))],
)
def test_each_window_attends_to_its_own_tokens_only(size, window, attend: Attend):
    layer = attention_layer(window)
    layer.attend = attend
    x = torch.randn(2, *size, 12, dtype=torch.float64)
    expected = torch.empty_like(x)
    for image in range(2):
        for top in range(0, size[0], window[0]):
            for left in range(0, size[1], window[1]):
                place = image, slice(top, top + window[0]), slice(left, left + window[1])
                tokens = x[place].flatten(0, 1)
                expected[place] = attend_to_all_tokens(layer, tokens).reshape(x[place].shape)
    torch.testing.assert_close(layer(x), expected, **CLOSE)


@pytest.mark.parametrize("window", [(5, 6), (7, 7), (100, 6)])
def test_a_window_as_large_as_the_map_is_global_attention(window: tuple[int, int]):
    layer = attention_layer(window)
    x = torch.randn(2, 5, 6, 12, dtype=torch.float64)
    q, k, v = layer.qkv(x.flatten(1, 2)).reshape(2, 30, 3, 3, 4).permute(2, 0, 3, 1, 4)
    attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 5, 6, 12)
    torch.testing.assert_close(layer(x), layer.proj(attended), **CLOSE)


def test_gradients_agree_between_plain_and_fused():
    layer = attention_layer((4, 4))
    x = torch.randn(1, 6, 7, 12, dtype=torch.float64)
    gradients = []
    for layer.attend in (fused_attention, plain_attention):
        gradients.append(torch.autograd.grad(layer(x).square().sum(), list(layer.parameters())))
    for fused, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-10, atol=1e-10)


# torch itself reaches for its deprecated compiler the first time it differentiates forward.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_plain_attention_has_forward_derivatives():
    layer = attention_layer((4, 4))
    write_out_attention(layer)
    x, direction = torch.randn(2, 1, 6, 7, 12, dtype=torch.float64)
    _, tangent = torch.func.jvp(layer, (x,), (direction,))
    step = 1e-6
    difference = (layer(x + step * direction) - layer(x - step * direction)) / (2 * step)
    torch.testing.assert_close(tangent, difference, rtol=1e-7, atol=1e-8)


def test_heads_that_leave_a_rest_use_fewer_channels_inside():
    layer = attention_layer((4, 4), dim=14, heads=4)
    assert layer.head_dim == 3
    assert layer.qkv.weight.shape == (36, 14)
    assert layer.proj.weight.shape == (14, 12)
    assert layer(torch.randn(1, 4, 4, 14, dtype=torch.float64)).shape == (1, 4, 4, 14)


def test_write_out_attention_switches_every_layer():
    network = torch.nn.Sequential(attention_layer((2, 2)), torch.nn.Sequential(attention_layer((2, 2))))
    write_out_attention(network)
    assert [m.attend for m in network.modules() if isinstance(m, WindowAttention)] == [plain_attention] * 2
    assert attention_layer((2, 2)).attend is fused_attention
