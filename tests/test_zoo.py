import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay, param_groups_weight_decay
from torch import Tensor

import asvit.zoo
from asvit.errors import UserError
from asvit.networks.architecture import ARCHITECTURES
from asvit.networks.model import AsViT
from asvit.runs.records import write_record

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
SEED_DIMS = [32, 64, 128, 256]


def seed_network(**options) -> asvit.zoo.AsViTForTimm:
    """The smallest published network in double precision at a small size."""
    torch.manual_seed(0)
    return timm.create_model("asvit_seed", **{"img_size": 64, "num_classes": 10, **options}).double().eval()


def images(side: int = 64, in_chans: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, in_chans, side, side, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", ["seed", "small", "base", "large"])
def test_published_networks_are_registered(name: str):
    with torch.device("meta"):
        model = timm.create_model(f"asvit_{name}")
    architecture = ARCHITECTURES[name]
    assert model.architecture == architecture
    assert sum(p.numel() for p in model.parameters()) == architecture.params()
    assert [info["num_chs"] for info in model.feature_info] == list(architecture.dims)
    assert [info["reduction"] for info in model.feature_info] == [4, 8, 16, 32]
    assert all(model.get_submodule(info["module"]) is not None for info in model.feature_info)
    assert model.num_features == model.head_hidden_size == architecture.dims[-1]


def test_asvit_small_end_to_end():
    model = timm.create_model("asvit_small", img_size=64).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 1000)


def test_default_configuration_names_layers_that_exist():
    model = seed_network()
    config = model.default_cfg
    assert config["input_size"] == (3, 224, 224)
    assert config["license"] == "apache-2.0"
    assert model.get_submodule(config["first_conv"]).in_channels == 3
    assert model.get_submodule(config["classifier"]) is model.get_classifier()
    assert model.forward_features(images(224)).shape[1:3] == config["pool_size"]


@pytest.mark.parametrize("features_only", [False, True])
def test_pretrained_weights_are_refused(features_only: bool):
    with pytest.raises(UserError, match=r"asvit_seed has no pretrained weights: leave pretrained=True out, or load"):
        timm.create_model("asvit_seed", pretrained=True, features_only=features_only)


def test_logits_are_those_of_the_plain_network_with_the_same_weights():
    model, plain = seed_network(), AsViT(ARCHITECTURES["seed"], image_size=64, num_classes=10).double().eval()
    plain.load_state_dict(model.state_dict())
    for side in (64, 88):
        torch.testing.assert_close(model(images(side)), plain(images(side)), **CLOSE)


def test_the_same_seed_draws_the_weights_of_the_plain_network():
    model = seed_network()
    torch.manual_seed(0)
    plain = AsViT(ARCHITECTURES["seed"], image_size=64, num_classes=10).double()
    for (name, a), (plain_name, b) in zip(model.state_dict().items(), plain.state_dict().items(), strict=True):
        assert name == plain_name
        assert torch.equal(a, b), name


def test_number_of_classes():
    assert seed_network(num_classes=7)(images()).shape == (2, 7)
    headless = seed_network(num_classes=0)
    assert headless(images()).shape == (2, 256)
    assert isinstance(headless.get_classifier(), torch.nn.Identity)


def test_channels_of_the_image():
    model = seed_network(in_chans=5)
    assert model.in_chans == 5
    assert model(images(in_chans=5)).shape == (2, 10)


@pytest.mark.parametrize(("img_size", "grid"), [(96, (24, 24)), ((64, 96), (16, 24)), ([64, 96], (16, 24))])
def test_design_size(img_size, grid: tuple[int, int]):
    model = seed_network(img_size=img_size)
    assert model.position.shape == (1, *grid, 32)
    assert model.stages[0][0].attn.window == (grid[0] // 2, grid[1] // 2)


def test_drop_path_rate():
    model = seed_network(drop_path_rate=0.3)
    assert [stage[0].drop_path.rate for stage in model.stages] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_drop_rate_acts_on_the_features_in_training_only():
    model = seed_network(drop_rate=0.5)
    last = model.forward_features(images())
    features = model.forward_head(last, pre_logits=True)
    dropped = model.train().forward_head(last, pre_logits=True)
    zero = dropped == 0
    assert 0.3 < zero.double().mean() < 0.7
    torch.testing.assert_close(dropped[~zero], 2 * features[~zero], **CLOSE)


@pytest.mark.parametrize(
    ("global_pool", "pool"),
    [
        ("avg", lambda x: x.mean((1, 2))),
        ("max", lambda x: x.amax((1, 2))),
        ("avgmax", lambda x: (x.mean((1, 2)) + x.amax((1, 2))) / 2),
        ("", lambda x: x),
    ],
)
def test_global_pooling(global_pool: str, pool):
    model = seed_network(global_pool=global_pool)
    head, last = model.head, model.forward_features(images())
    features = torch.tanh(head.pre_logits(pool(head.norm(last))))
    torch.testing.assert_close(model.forward_head(last, pre_logits=True), features, **CLOSE)
    torch.testing.assert_close(model(images()), head.fc(features), **CLOSE)


def test_unknown_pooling_is_refused():
    with pytest.raises(UserError, match="global_pool is 'catavgmax': expected one of 'avg', 'max', 'avgmax', ''"):
        seed_network(global_pool="catavgmax")
    with pytest.raises(UserError, match="global_pool is 'token'"):
        seed_network().reset_classifier(3, "token")


def test_reset_classifier():
    model = seed_network()
    model.reset_classifier(3)
    assert (model.num_classes, model(images()).shape) == (3, (2, 3))
    model.reset_classifier(0)
    assert model(images()).shape == (2, 256)
    model.reset_classifier(0, "")
    assert model(images()).shape == (2, 2, 2, 256)
    model.reset_classifier(5, "max")
    assert model(images()).shape == (2, 5)


def test_features_only_gives_four_maps():
    backbone = seed_network(features_only=True)
    maps = backbone(images(96))
    assert [tuple(x.shape) for x in maps] == [(2, c, s, s) for c, s in zip(SEED_DIMS, (24, 12, 6, 3), strict=True)]
    assert backbone.feature_info.channels() == SEED_DIMS
    assert backbone.feature_info.reduction() == [4, 8, 16, 32]
    for x, expected in zip(maps, seed_network().feature_maps(images(96)), strict=True):
        assert torch.equal(x, expected)


@pytest.mark.parametrize(
    ("out_indices", "places"),
    [((0, 2), [0, 2]), ((1,), [1]), ((-1,), [3]), ((-3, -2), [1, 2]), (2, [2, 3])],
)
def test_features_only_of_chosen_stages(out_indices, places: list[int]):
    backbone = seed_network(features_only=True, out_indices=out_indices)
    every = seed_network().feature_maps(images())
    expected = [every[i] for i in places]
    maps = backbone(images())
    assert len(maps) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(maps, expected, strict=True))
    assert backbone.feature_info.channels() == [SEED_DIMS[i] for i in places]
    assert len(backbone.model.stages) == max(places) + 1


def test_hooks_on_the_stages_see_the_maps():
    backbone = seed_network(features_only=True, feature_cls="hook")
    expected = list(seed_network().maps(images()))
    assert all(torch.equal(a, b) for a, b in zip(backbone(images()), expected, strict=True))


def test_features_only_serves_asvit_small():
    with torch.device("meta"):
        backbone = timm.create_model("asvit_small", features_only=True)
        maps = backbone(torch.empty(2, 3, 224, 224))
    assert [tuple(x.shape) for x in maps] == [
        (2, 88, 56, 56),
        (2, 176, 28, 28),
        (2, 352, 14, 14),
        (2, 704, 7, 7),
    ]


def test_forward_intermediates():
    model, x = seed_network(), images()
    expected = model.feature_maps(x)
    last, intermediates = model.forward_intermediates(x)
    assert torch.equal(last, model.forward_features(x))
    assert all(torch.equal(a, b) for a, b in zip(intermediates, expected, strict=True))
    (only,) = model.forward_intermediates(x, indices=[1], intermediates_only=True)
    assert torch.equal(only, expected[1])
    (channels_last,) = model.forward_intermediates(x, indices=1, output_fmt="NHWC", intermediates_only=True)
    assert torch.equal(channels_last, last)


def test_forward_intermediates_normalises_the_last_stage_alone():
    model, x = seed_network(), images()
    expected = model.feature_maps(x)
    last, intermediates = model.forward_intermediates(x, norm=True)
    assert torch.equal(last, model.forward_features(x))
    assert all(torch.equal(a, b) for a, b in zip(intermediates[:3], expected[:3], strict=True))
    assert torch.equal(intermediates[3], model.head.norm(last).permute(0, 3, 1, 2))
    (third,) = model.forward_intermediates(x, indices=[2], norm=True, intermediates_only=True)
    assert torch.equal(third, expected[2])


def test_forward_intermediates_can_stop_early():
    model, x = seed_network(), images()
    ran = []
    for stage in model.stages:
        stage.register_forward_hook(lambda module, args, output: ran.append(module))
    last, intermediates = model.forward_intermediates(x, indices=(0, 1), stop_early=True)
    assert ran == list(model.stages[:2])
    assert torch.equal(last.permute(0, 3, 1, 2), intermediates[1])


@pytest.mark.parametrize("indices", [0, 5, [4], [-5], []])
def test_stages_that_do_not_exist_are_refused(indices):
    model = seed_network()
    with pytest.raises(UserError, match="the network has 4 stages"):
        model.forward_intermediates(images(), indices=indices)
    with pytest.raises(UserError, match="the network has 4 stages"):
        model.prune_intermediate_layers(indices)


def test_unknown_layouts_are_refused():
    with pytest.raises(UserError, match="output_fmt is 'NLC': expected one of NCHW, NHWC"):
        seed_network().forward_intermediates(images(), output_fmt="NLC")


def test_pruning_leaves_the_features_of_the_last_stage_kept():
    model = seed_network()
    expected = list(model.maps(images()))[1]
    assert model.prune_intermediate_layers([0, 1]) == [0, 1]
    assert (len(model.stages), len(model.embeddings), model.num_features) == (2, 2, 64)
    assert not any(name.startswith("head") for name, _ in model.named_parameters())
    assert torch.equal(model(images()), expected)
    model.reset_classifier(3, "avg")
    assert model(images()).shape == (2, 3)


def test_pruning_nothing_but_the_head_can_keep_the_norm():
    model = seed_network()
    expected = model.head.norm(model.forward_features(images()))
    assert model.prune_intermediate_layers(1) == [3]
    assert [name for name, _ in model.named_parameters() if name.startswith("head")] == [
        "head.norm.weight",
        "head.norm.bias",
    ]
    assert torch.equal(model(images()), expected)


def test_pruning_can_keep_everything():
    model = seed_network()
    expected = model(images())
    model.prune_intermediate_layers(4, prune_head=False)
    assert torch.equal(model(images()), expected)


def names_of(model: torch.nn.Module, group: dict) -> set[str]:
    ids = {id(parameter) for parameter in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in ids}


def test_weight_decay_spares_norms_biases_and_position_embedding():
    model = seed_network()
    spared, decayed = param_groups_weight_decay(model, 0.05, no_weight_decay_list=model.no_weight_decay())
    assert (spared["weight_decay"], decayed["weight_decay"]) == (0.0, 0.05)
    assert "position" in names_of(model, spared)
    assert names_of(model, decayed) == {
        name for name, p in model.named_parameters() if p.ndim > 1 and name != "position"
    }


def test_layer_decay_rises_from_the_patch_embedding_to_the_head():
    model = seed_network()
    groups = param_groups_layer_decay(model, 0.05, layer_decay=0.5, no_weight_decay_list=model.no_weight_decay())
    scale = {name: group["lr_scale"] for group in groups for name in names_of(model, group)}
    assert len(scale) == len(list(model.parameters()))
    for name, value in scale.items():
        if name == "position" or name.startswith("embeddings.0"):
            depth = 0
        elif name.startswith("head"):
            depth = 5
        else:
            depth = int(name.split(".")[1]) + 1
        assert value == 0.5 ** (5 - depth), name


def test_layers_are_grouped_by_block_or_by_stage():
    model = timm.create_model("asvit_small", img_size=32)
    for coarse, count in ((False, 1 + 3 + 1 + 4 + 2 + 1), (True, 1 + 4 + 1)):
        groups = timm.models.group_parameters(model, model.group_matcher(coarse))
        assert len(groups) == count
        assert sum(map(len, groups.values())) == len(list(model.parameters()))


def test_optimisers_of_timm_take_the_network():
    optimizer = timm.optim.create_optimizer_v2(seed_network(), opt="adamw", lr=1e-3, weight_decay=0.05, layer_decay=0.7)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(seed_network().parameters()))


def test_gradient_checkpointing_gives_the_same_gradients():
    gradients = []
    for enable in (False, True):
        model = seed_network().train()
        model.set_grad_checkpointing(enable)
        assert model.checkpointing is enable
        gradients.append(torch.autograd.grad(model(images()).square().sum(), list(model.parameters())))
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain, **CLOSE)


def test_a_saved_network_comes_back_from_its_folder(tmp_path):
    model = seed_network(global_pool="max", in_chans=4)
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True)
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).double().eval()
    assert (loaded.image_size, loaded.num_classes) == ((64, 64), 10)
    x = images(in_chans=4)
    torch.testing.assert_close(loaded(x), model(x), rtol=1e-9, atol=1e-9)


def test_an_architecture_file_is_read_wherever_a_text_form_is(tmp_path):
    text = "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,2|32,8"
    write_record(tmp_path / "mine.json", "design", {"architecture": text})
    with torch.device("meta"):
        by_file, by_text = (
            timm.create_model("asvit", architecture=name, img_size=32) for name in (str(tmp_path / "mine.json"), text)
        )
    assert {name: x.shape for name, x in by_file.state_dict().items()} == {
        name: x.shape for name, x in by_text.state_dict().items()
    }
