"""Names of networks: models of timm with arguments of their own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asvit.errors import NotAdmitted, UserError
from asvit.networks.architecture import Task
from asvit.networks.building import create_in_timm
from asvit.networks.named import TimmModel, parse_network

WORDS = st.from_regex("[a-z_]{1,9}", fullmatch=True).filter(lambda word: word not in ("true", "false", "nan", "inf"))
SCALARS = st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS.filter(lambda word: word != "infinity")


@given(arguments=st.dictionaries(st.sampled_from("abcdefgh"), SCALARS | st.lists(SCALARS, min_size=1).map(tuple)))
def test_a_model_of_timm_with_arguments_reads_as_it_is_written(arguments):
    model = TimmModel("resnet18", tuple(sorted(arguments.items())))
    read = parse_network(str(model))
    assert read == model
    assert [type(value) for _, value in read.arguments] == [type(arguments[name]) for name, _ in read.arguments]


def test_arguments_change_the_network():
    task = Task((64, 64), num_classes=5)
    plain, finer = (
        create_in_timm(TimmModel.parse(name), task, num_classes=5)
        for name in ("timm:vit_tiny_patch16_224", "timm:vit_tiny_patch16_224:patch_size=8:depth=2")
    )
    assert [model.patch_embed.num_patches for model in (plain, finer)] == [16, 64]
    assert [len(model.blocks) for model in (plain, finer)] == [12, 2]
    assert finer(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    windows = parse_network("timm:swin_tiny_patch4_window7_224:depths=1,1,2,1:embed_dim=24:num_heads=1,2,4,8")
    swin = create_in_timm(windows, task, num_classes=5)
    assert [len(stage.blocks) for stage in swin.layers] == [1, 1, 2, 1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm:resnet18:patch", "cannot read 'patch' in timm:resnet18:patch: expected arguments after colons"),
        ("timm:resnet18:patch=", "cannot read 'patch=' in"),
        ("timm:resnet18:1=2", "cannot read '1=2' in"),
        (
            "timm:resnet18:num_classes=3",
            "num_classes is no argument for timm:resnet18: images, classes and weights are",
        ),
        (
            "timm:resnet18:stem_width=8:stem_width=9",
            "timm:resnet18:stem_width=8:stem_width=9 says stem_width more",
        ),
        ("timm:resnet18:pretrained=true", "pretrained is no argument for timm:resnet18"),
        ("timm:resnet18:checkpoint_path=/tmp/x", "checkpoint_path is no argument for timm:resnet18"),
    ],
)
def test_arguments_that_are_none_or_not_the_models_own_are_refused(name, said):
    with pytest.raises(UserError, match=said):
        parse_network(name)


def test_arguments_that_a_model_does_not_take_are_named():
    with pytest.raises(NotAdmitted, match=r"timm cannot build timm:resnet18:colour=red for .*argument 'colour'"):
        create_in_timm(TimmModel.parse("timm:resnet18:colour=red"), Task(), num_classes=5)
