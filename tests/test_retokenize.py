"""Re-tokenization: the paper's rule, schedules and savings, on our networks and on timm's."""

import pytest
import timm
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import asvit.zoo  # noqa: F401, registers the models
from asvit.errors import UserError
from asvit.networks.architecture import Architecture
from asvit.networks.model import AsViT, pad_images
from asvit.training.retokenize import dilation_at, enter, retokenize, stage_costs, take_any_size
from asvit.training.schedule import PAPER_SCHEDULES, coarseness_at, named_schedule, saved_share, schedule_of

SMALL = "8,2,2,1|3,1,2,1|2,2,2,1|2,1,2,1|32,8"


def network(**options) -> AsViT:
    torch.manual_seed(0)
    return AsViT(Architecture.parse(SMALL), image_size=64, num_classes=5, **options).double().eval()


@pytest.mark.parametrize(
    ("kernel", "dilations"), [(4, (5, 2, 1)), (5, (5, 2, 1)), (6, (5, 2, 1)), (7, (5, 2, 1)), (8, (4, 2, 1))]
)
def test_dilations_of_table_1_at_strides_16_8_and_4(kernel, dilations):
    assert tuple(dilation_at(kernel, 4, stride) for stride in (16, 8, 4)) == dilations


@given(st.integers(2, 16), st.integers(1, 8), st.integers(1, 8))
def test_dilation_is_the_rounded_formula_and_spans_about_a_patch(kernel, base, coarseness):
    stride = base * coarseness
    exact = (stride / base - 1) * kernel / (kernel - 1)
    dilation = dilation_at(kernel, base, stride)
    assert abs(dilation - 1 - exact) <= 0.5
    # The taps are spread so that the kernel covers coarseness times what it covered, up to the rounding.
    assert abs(dilation * (kernel - 1) - (kernel - 1) - (coarseness - 1) * kernel) <= (kernel - 1) / 2


@pytest.mark.parametrize(("kernel", "base"), [(2, 1), (3, 1), (2, 2), (4, 2)])
def test_a_small_base_stride_is_coarsened_like_the_papers(kernel, base):
    torch.manual_seed(0)
    text = f"{kernel},2,2,1|3,1,2,1|2,2,2,1|2,1,2,1|32,8|{base}"
    model = AsViT(Architecture.parse(text), image_size=16 * base, num_classes=5).eval()
    images = torch.randn(1, 3, 16 * base, 16 * base)
    for coarseness in (4, 2, 1):
        enter(model, coarseness)
        with torch.no_grad():
            sides = [x.shape[-1] for x in model.feature_maps(images)]
        assert sides == [max(16 // coarseness // 2**stage, 1) for stage in range(4)]


def test_a_kernel_of_one_pixel_and_a_stride_in_between_are_refused():
    with pytest.raises(UserError, match="kernel of one pixel"):
        dilation_at(1, 4, 8)
    assert dilation_at(1, 4, 4) == 1
    with pytest.raises(UserError, match="multiple of the base stride, 4"):
        dilation_at(4, 4, 6)


@given(st.integers(1, 70), st.integers(1, 70), st.integers(2, 8), st.sampled_from([4, 8, 16]))
def test_every_image_gives_side_over_stride_tokens(height, width, kernel, stride):
    dilation = dilation_at(kernel, 4, stride)
    padded = pad_images(torch.zeros(1, 1, height, width), extent=dilation * (kernel - 1) + 1, stride=stride)
    out = F.conv2d(padded, torch.zeros(1, 1, kernel, kernel), stride=stride, dilation=dilation)
    assert out.shape[2:] == (-(-height // stride), -(-width // stride))


def test_coarse_tokens_are_the_written_out_sum_over_spread_taps():
    model = network()
    retokenize(model, stride=16)
    image = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    conv = model.patch_embedding.proj
    kernel, dilation = 8, 4
    padding = dilation * (kernel - 1) + 1 - 16  # 13 zeros, the smaller half before
    padded = F.pad(image, (padding // 2, padding - padding // 2) * 2)
    token = conv.bias.clone()
    for i in range(kernel):
        for j in range(kernel):  # the token of row 1, column 2
            token += conv.weight[:, :, i, j] @ padded[0, :, 16 + dilation * i, 32 + dilation * j]
    seen = []
    hook = conv.register_forward_hook(lambda module, inputs, output: seen.append(output[0, :, 1, 2]))
    model(image)
    hook.remove()
    torch.testing.assert_close(seen[0], token)


def test_weights_stay_and_going_back_gives_the_same_logits():
    model, images = network(), torch.randn(2, 3, 64, 64, dtype=torch.float64)
    before, weights = model(images), {name: x.clone() for name, x in model.state_dict().items()}
    retokenize(model, stride=16)
    assert model(images).shape == before.shape
    assert not torch.equal(model(images), before)
    retokenize(model, stride=4)
    assert torch.equal(model(images), before)
    assert all(torch.equal(x, weights[name]) for name, x in model.state_dict().items())


@pytest.mark.parametrize(("stride", "sides"), [(16, [14, 7, 4, 2]), (8, [28, 14, 7, 4]), (4, [56, 28, 14, 7])])
def test_maps_at_224_are_those_of_the_specification(stride, sides):
    model = AsViT(Architecture.parse(SMALL), image_size=224, num_classes=5).eval()
    retokenize(model, stride=stride)
    assert [x.shape[2] for x in model.feature_maps(torch.zeros(1, 3, 224, 224))] == sides


def test_the_optimiser_goes_on_with_its_state():
    model = network()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    for stride in (16, 8, 4):
        retokenize(model, stride=stride)
        model(images).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    assert all(int(state["step"]) == 3 for state in optimiser.state.values())


def test_schedules_are_the_papers_scaled():
    assert [(s.coarseness, s.epochs) for s in named_schedule("40-70", 300)] == [(4, 40), (2, 30), (1, 230)]
    assert [(s.coarseness, s.epochs) for s in named_schedule("80-140", 300)] == [(4, 80), (2, 60), (1, 160)]
    assert [(s.coarseness, s.epochs) for s in named_schedule("120-210", 300)] == [(4, 120), (2, 90), (1, 90)]
    assert [(s.coarseness, s.epochs) for s in named_schedule("none", 7)] == [(1, 7)]


@given(st.sampled_from(list(PAPER_SCHEDULES)), st.integers(1, 400))
def test_a_schedule_has_all_epochs_and_ends_at_full_resolution(name, epochs):
    schedule = named_schedule(name, epochs)
    assert sum(stage.epochs for stage in schedule) == epochs
    coarseness = [coarseness_at(schedule, epoch) for epoch in range(epochs)]
    assert coarseness == sorted(coarseness, reverse=True)
    assert coarseness[-1] == 1


@pytest.mark.parametrize("epochs", [[], [3, 0], [-1, 4]])
def test_a_schedule_that_never_ends_at_full_resolution_is_refused(epochs):
    with pytest.raises(UserError, match="the stages' epochs are"):
        schedule_of(epochs)


def test_savings_of_as_vit_large_are_those_of_the_specification():
    with torch.device("meta"):
        model = timm.create_model("asvit_large")
    saved = {}
    for name in PAPER_SCHEDULES:
        costs = stage_costs(model, named_schedule(name, 300), torch.zeros(1, 3, 224, 224))
        saved[name] = round(saved_share(costs), 3)
    assert saved == {"none": 0.0, "40-70": 0.201, "80-140": 0.402, "120-210": 0.602}
    assert [round(cost.macs / costs[-1].macs, 3) for cost in costs] == [0.058, 0.248, 1.0]


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_timm_models_with_a_patch_convolution_follow(name):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5).eval()
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        before, weights = model(images), {key: x.clone() for key, x in model.state_dict().items()}
        enter(model, 4)
        assert model(images).shape == (1, 5)
        assert not torch.allclose(model(images), before)
        enter(model, 1)
        torch.testing.assert_close(model(images), before)
    assert all(torch.equal(x, weights[key]) for key, x in model.state_dict().items())
    costs = stage_costs(model, schedule_of([1, 1, 1]), images)
    assert costs[0].macs < 0.2 * costs[2].macs


def test_a_timm_model_that_was_never_coarse_is_left_alone():
    model = timm.create_model("vit_tiny_patch16_224", num_classes=5)
    enter(model, 1)
    assert not model.dynamic_img_size
    assert not model.patch_embed.proj._forward_pre_hooks
    take_any_size(model)
    assert model.eval()(torch.zeros(1, 3, 96, 128)).shape == (1, 5)


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_a_model_without_one_is_refused_but_trains_without_coarse_stages(name):
    model = timm.create_model(name, num_classes=5)
    image = torch.zeros(1, 3, 64, 64)
    with pytest.raises(UserError, match="cannot be re-tokenized: its patch embedding is not one convolution"):
        stage_costs(model, named_schedule("80-140", 10), image)
    (cost,) = stage_costs(model, named_schedule("none", 10), image)
    assert (cost.coarseness, cost.epochs) == (1, 10)


def test_a_model_that_cannot_take_coarser_maps_is_refused():
    model = timm.create_model("eva02_tiny_patch14_224", num_classes=5)
    with pytest.raises(UserError, match="Eva cannot be re-tokenized 4 times coarser"):
        stage_costs(model, named_schedule("80-140", 10), torch.zeros(1, 3, 224, 224))
