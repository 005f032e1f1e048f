import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import asvit.networks.attention
from asvit.errors import UserError
from asvit.networks.architecture import Architecture
from asvit.networks.attention import WindowAttention
from asvit.networks.block import DropPath
from asvit.networks.model import AsViT, ReEmbedding, overlap_padding, resample

# Just wide enough for its heads; its first maps are split in four, in two and not at all.
TINY = Architecture.parse("5,4,2,1|3,2,2,2|4,1,2,1|2,1,2,1|16,8")
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def tiny(seed: int = 0, *, image_size: int | tuple[int, int] = 64, **options) -> AsViT:
    torch.manual_seed(seed)
    return AsViT(TINY, image_size=image_size, num_classes=10, **options).double().eval()


def images(*size: int, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, 3, *size, generator=generator, dtype=torch.float64)


def map_sides(model: AsViT, *size: int) -> list[tuple[int, int]]:
    with torch.no_grad():
        return [(x.shape[1], x.shape[2]) for x in model.maps(images(*size, count=1))]


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (4, 4), (5, 4), (6, 4), (7, 4), (8, 4)])
def test_overlap_padding_keeps_the_number_of_outputs(kernel: int, stride: int):
    before, after = overlap_padding(kernel, stride)
    assert after - before in (0, 1)
    assert (8 * stride + before + after - kernel) // stride + 1 == 8


@pytest.mark.parametrize("kernel", [2, 3, 4])
@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_re_embedding_is_unfold_norm_linear(kernel: int, size: tuple[int, int]):
    torch.manual_seed(0)
    layer = ReEmbedding(3, 5, kernel=kernel, stride=2).double()
    nn.init.normal_(layer.norm.weight)
    x_BHWC = torch.randn(2, *size, 3, dtype=torch.float64)

    before, after = overlap_padding(kernel, 2)
    right, bottom = after + size[1] % 2, after + size[0] % 2
    padded = F.pad(x_BHWC.permute(0, 3, 1, 2), (before, right, before, bottom))
    unfolded = F.unfold(padded, kernel, stride=2).transpose(1, 2)
    half = (size[0] + 1) // 2, (size[1] + 1) // 2
    expected = layer.proj(layer.norm(unfolded)).reshape(2, *half, 5)

    torch.testing.assert_close(layer(x_BHWC), expected, **CLOSE)


def test_patch_embedding_is_convolution_then_norm():
    model = tiny(image_size=32)
    embedding = model.embeddings[0]
    x = images(32, 32)
    before, after = overlap_padding(5, 4)
    convolved = F.conv2d(F.pad(x, (before, after) * 2), embedding.proj.weight, embedding.proj.bias, stride=4)
    expected = F.layer_norm(convolved.permute(0, 2, 3, 1), (8,))
    torch.testing.assert_close(embedding(x), expected, **CLOSE)


def test_maps_at_the_usual_size():
    assert map_sides(tiny(image_size=224), 224, 224) == [(56, 56), (28, 28), (14, 14), (7, 7)]


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ((64, 64), [(16, 16), (8, 8), (4, 4), (2, 2)]),
        ((96, 128), [(24, 32), (12, 16), (6, 8), (3, 4)]),
        ((61, 99), [(16, 25), (8, 13), (4, 7), (2, 4)]),
        ((56, 56), [(14, 14), (7, 7), (4, 4), (2, 2)]),
        ((5, 1), [(2, 1), (1, 1), (1, 1), (1, 1)]),
    ],
)
def test_maps_at_other_sizes_with_the_same_weights(size: tuple[int, int], sides: list[tuple[int, int]]):
    assert map_sides(tiny(), *size) == sides


@pytest.mark.parametrize("size", [(96, 128), (61, 99)])
def test_a_design_size_need_not_be_square_or_even(size: tuple[int, int]):
    model = tiny(image_size=size)
    assert model.position is not None
    assert list(model.position.shape[1:3]) == [-(-side // 4) for side in size]
    assert model(images(*size)).shape == (2, 10)


def test_feature_maps_have_strides_4_to_32():
    maps = tiny().feature_maps(images(96, 128))
    assert [tuple(x.shape) for x in maps] == [(2, 8, 24, 32), (2, 16, 12, 16), (2, 32, 6, 8), (2, 64, 3, 4)]


def test_feature_maps_are_the_maps_and_the_last_one_is_pooled():
    model, x = tiny(), images(64, 64)
    maps = list(model.maps(x))
    for feature_map, x_BHWC in zip(model.feature_maps(x), maps, strict=True):
        assert torch.equal(feature_map, x_BHWC.permute(0, 3, 1, 2))
    assert torch.equal(model.forward_features(x), maps[-1])
    assert torch.equal(model.pooled_features(x), maps[-1].mean((1, 2)))


def test_head_is_norm_pool_linear_tanh_linear():
    model, x = tiny(), images(64, 64)
    last = model.forward_features(x)
    hidden = torch.tanh(model.head.pre_logits(F.layer_norm(last, (64,)).mean((1, 2))))
    torch.testing.assert_close(model.forward_head(last, pre_logits=True), hidden, **CLOSE)
    torch.testing.assert_close(model(x), hidden @ model.head.fc.weight.T + model.head.fc.bias, **CLOSE)


def first_stage_input(model: AsViT, x: Tensor) -> Tensor:
    seen = []
    handle = model.stages[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    model(x)
    handle.remove()
    return seen[0]


def test_position_embedding_is_added_at_the_design_size():
    model, x = tiny(), images(64, 64)
    assert torch.equal(first_stage_input(model, x), model.embeddings[0](x) + model.position)


@pytest.mark.parametrize("size", [(96, 128), (32, 40)])
def test_position_embedding_is_resampled_to_other_sizes(size: tuple[int, int]):
    model, x = tiny(), images(*size)
    before = model.position.detach().clone()
    grid = size[0] // 4, size[1] // 4
    resampled = F.interpolate(before.permute(0, 3, 1, 2), grid, mode="bicubic", antialias=True)
    expected = model.embeddings[0](x) + resampled.permute(0, 2, 3, 1)
    torch.testing.assert_close(first_stage_input(model, x), expected, **CLOSE)
    assert torch.equal(model.position, before)


def test_a_resampled_position_embedding_still_learns():
    model = tiny()
    model(images(32, 32)).square().sum().backward()
    assert model.position.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_resampling_keeps_the_precision(dtype: torch.dtype):
    position = torch.randn(1, 4, 4, 2, dtype=torch.float64)
    resampled = resample(position.to(dtype), (6, 3))
    assert resampled.dtype == dtype
    torch.testing.assert_close(resampled, resample(position, (6, 3)).to(dtype), rtol=0.05, atol=0.05)


def test_position_embedding_can_be_left_out():
    model, x = tiny(position_embedding=False), images(64, 64)
    assert "position" not in dict(model.named_parameters())
    assert torch.equal(first_stage_input(model, x), model.embeddings[0](x))


@pytest.mark.parametrize(
    ("size", "used"),
    [
        ((64, 64), [(4, 4), (4, 4), (4, 4), (4, 4), (2, 2)]),
        ((128, 256), [(4, 4), (4, 4), (4, 4), (4, 4), (2, 2)]),
        ((32, 64), [(4, 4), (4, 4), (4, 4), (2, 4), (1, 2)]),  # a window never exceeds the map
    ],
)
def test_windows_keep_their_side_at_other_sizes(size, used, monkeypatch: pytest.MonkeyPatch):
    model = tiny()
    windows = []
    split = asvit.networks.attention.split_windows

    def recording(x: Tensor, window: tuple[int, int]) -> Tensor:
        windows.append(window)
        return split(x, window)

    monkeypatch.setattr(asvit.networks.attention, "split_windows", recording)
    model(images(*size))
    assert windows == used
    assert [m.window for m in model.modules() if isinstance(m, WindowAttention)] == [(4, 4)] * 4 + [(2, 2)]


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_drop_path_does_nothing_in_evaluation(rate: float):
    branch = torch.randn(2, 3, 3, 4)
    assert torch.equal(DropPath(rate).eval()(branch), branch)


def test_drop_path_drops_whole_images_and_keeps_the_expectation():
    torch.manual_seed(0)
    out = DropPath(0.25).train()(torch.ones(20_000, 2, 2, 3))
    per_image = out.flatten(1)
    assert torch.equal(per_image, per_image[:, :1].expand(-1, 12))
    torch.testing.assert_close(per_image.unique(), torch.tensor([0.0, 4 / 3]))
    assert (per_image[:, 0] == 0).float().mean() == pytest.approx(0.25, abs=0.015)
    assert out.mean() == pytest.approx(1, abs=0.02)


def test_drop_path_rises_linearly_from_block_to_block():
    model = tiny(drop_path=0.4)
    rates = [block.drop_path.rate for stage in model.stages for block in stage]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [b.drop_path.rate for stage in tiny().stages for b in stage] == [0.0] * 5


def test_drop_path_makes_training_random_and_nothing_else_does():
    x = images(64, 64)
    plain = tiny().train()
    assert torch.equal(plain(x), plain(x))
    dropping = tiny(drop_path=0.5).train()
    assert not torch.equal(dropping(x), dropping(x))
    assert torch.equal(dropping.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_drop_path_rates_out_of_range_are_refused(rate: float):
    with pytest.raises(UserError, match=f"drop path rate is {rate}"):
        tiny(drop_path=rate)


def test_checkpointing_changes_neither_loss_nor_gradients():
    x = images(64, 64)
    runs = []
    for checkpointing in (False, True):
        model = tiny(drop_path=0.3).train()
        model.checkpointing = checkpointing
        torch.manual_seed(5)
        loss = model(x).square().sum()
        runs.append((loss, torch.autograd.grad(loss, list(model.parameters()))))
    (loss, gradients), (recomputed_loss, recomputed_gradients) = runs
    assert torch.equal(loss, recomputed_loss)
    for gradient, recomputed in zip(gradients, recomputed_gradients, strict=True):
        torch.testing.assert_close(recomputed, gradient, **CLOSE)


def test_initial_distributions():
    torch.manual_seed(0)
    model = AsViT(Architecture.parse("seed"), image_size=64)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            sample_error = 0.02 / math.sqrt(2 * module.weight.numel())
            assert module.weight.std().item() == pytest.approx(0.02, abs=6 * sample_error), name
            assert abs(module.weight.mean().item()) < 6 * 0.02 / math.sqrt(module.weight.numel()), name
            assert module.bias is None or not module.bias.any(), name
        elif isinstance(module, nn.LayerNorm):
            assert torch.all(module.weight == 1), name
            assert not module.bias.any(), name
    convolution = model.embeddings[0].proj
    bound = 1 / math.sqrt(3 * 8 * 8)
    assert 0.999 * bound < convolution.weight.abs().max() <= bound
    assert convolution.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert 0.8 * bound < convolution.bias.abs().max() <= bound
    assert model.position.std().item() == pytest.approx(0.02, rel=0.03)


def test_initialise_draws_everything_from_its_generator():
    first, second, third = tiny(1), tiny(2), tiny(3)
    for model, seed in ((first, 7), (second, 7), (third, 8)):
        model.initialise(torch.Generator().manual_seed(seed))
    for (name, a), b, c in zip(first.named_parameters(), second.parameters(), third.parameters(), strict=True):
        assert torch.equal(a, b), name
        constant = a.unique().numel() == 1  # norms and biases
        assert torch.equal(a, c) == constant, name


def test_initialise_fills_a_network_built_without_memory():
    with torch.device("meta"):
        model = AsViT(TINY, image_size=64, num_classes=10)
    model = model.to_empty(device="cpu")
    model.initialise(torch.Generator().manual_seed(7))
    expected = AsViT(TINY, image_size=64, num_classes=10)
    expected.initialise(torch.Generator().manual_seed(7))
    for (name, a), b in zip(model.named_parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_no_classes_leave_the_features_before_the_last_layer():
    torch.manual_seed(0)
    model = AsViT(TINY, image_size=64, num_classes=0).double().eval()
    x = images(64, 64)
    assert model(x).shape == (2, 64)
    assert torch.equal(model(x), model.forward_head(model.forward_features(x), pre_logits=True))


def test_reset_classifier_replaces_the_last_layer_alone():
    model = tiny()
    kept = {name: p for name, p in model.named_parameters() if not name.startswith("head.fc")}
    model.reset_classifier(4)
    assert (model.num_classes, model(images(64, 64)).shape) == (4, (2, 4))
    assert model.head.fc.weight.dtype == torch.float64
    assert not model.head.fc.bias.any()
    assert {n: p for n, p in model.named_parameters() if not n.startswith("head.fc")}.keys() == kept.keys()
    assert all(p is kept[n] for n, p in model.named_parameters() if n in kept)
    model.reset_classifier(0)
    assert (model.num_classes, model(images(64, 64)).shape) == (0, (2, 64))


def test_fewer_than_no_classes_are_refused():
    with pytest.raises(UserError, match="num_classes is -1"):
        AsViT(TINY, num_classes=-1)
    with pytest.raises(UserError, match="num_classes is -1"):
        tiny().reset_classifier(-1)


@pytest.mark.parametrize("size", [(64, 64), (72, 40)])
def test_lower_precisions_agree_with_double(size: tuple[int, int]):
    model, x = tiny(), images(*size)
    exact = model(x)
    assert exact.dtype == torch.float64
    single = model.float()(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-6)
    half = model.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), exact, rtol=0.1, atol=0.02)


def test_heads_that_do_not_divide_the_channels():
    torch.manual_seed(0)
    model = AsViT(Architecture.parse("4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|32,11"), image_size=32, num_classes=3)
    assert [stage[0].attn.head_dim for stage in model.stages] == [2, 2, 2, 2]
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 3)


def test_channels_of_the_image():
    model = AsViT(TINY, image_size=32, in_chans=5, num_classes=3)
    assert model(torch.randn(2, 5, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize("size", [(64, 64), (50, 70)])
def test_an_image_alone_gives_what_it_gives_in_a_batch(size: tuple[int, int]):
    model, x = tiny(drop_path=0.5), images(*size, count=3)
    together = model(x)
    for i in range(3):
        torch.testing.assert_close(model(x[i : i + 1]), together[i : i + 1], **CLOSE)
