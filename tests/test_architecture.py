import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from asvit.errors import UserError
from asvit.networks.architecture import ARCHITECTURES, Architecture, Task
from asvit.networks.model import AsViT
from asvit.networks.space import TABLE_1, space_for

GOLDEN = Path(__file__).parents[2] / "shared" / "golden" / "architectures.csv"

SEEDS = st.integers(0, 2**32 - 1)


def random_architecture(rng: np.random.Generator) -> Architecture:
    first, second, third, fourth, width = map(int, rng.integers([1, 1, 1, 1, 8], [4, 4, 4, 4, 41]))
    space = space_for((64, 64), int(rng.choice([4, 4, 2, 1])), rng.choice(["paper", "wide"]).item())
    return Architecture(space.sample(rng), (first, second, third, fourth), width)


def random_task(rng: np.random.Generator) -> Task:
    height, width, in_chans, num_classes = map(int, rng.integers([32, 32, 1, 1], [161, 161, 6, 31]))
    return Task((height, width), in_chans, num_classes)


@pytest.mark.parametrize(
    ("name", "params", "params_without_position", "macs"),
    [
        ("seed", 2419976, 2319624, 491469312),
        ("small", 29051296, 28775328, 5132134656),
        ("base", 52622428, 52258652, 8753694080),
        ("large", 88145300, 87580820, 22357813760),
    ],
)
def test_published_networks_have_the_known_sizes(name, params, params_without_position, macs):
    architecture = Architecture.parse(name)
    assert architecture.params() == params
    assert architecture.params(position_embedding=False) == params_without_position
    assert architecture.macs() == macs


@pytest.mark.skipif(not GOLDEN.exists(), reason="the table of golden counts is not beside this checkout")
def test_every_row_of_the_golden_table():
    rows = list(csv.DictReader(GOLDEN.read_text().splitlines()))
    assert len(rows) == 16
    for row in rows:
        architecture = Architecture.parse(row["architecture"])
        counts = (
            architecture.params(position_embedding=False),
            architecture.params(),
            architecture.macs(),
        )
        assert counts == (int(row["params_no_pos_embed"]), int(row["params"]), int(row["macs"])), row["name"]


def test_published_networks_share_one_topology_and_cap_their_width():
    assert {str(a.topology) for a in ARCHITECTURES.values()} == {"8,2,3|4,1,2|4,1,4|4,1,6|32"}
    assert ARCHITECTURES["small"].heads == (4, 8, 16, 32)
    assert ARCHITECTURES["small"].dims == (88, 176, 352, 704)
    assert ARCHITECTURES["large"].dims == (180, 360, 720, 1024)
    assert [ARCHITECTURES[name].depths for name in ("small", "base", "large")] == [
        (3, 1, 4, 2),
        (3, 1, 5, 2),
        (5, 2, 5, 2),
    ]


@settings(deadline=None)
@given(seed=SEEDS)
def test_text_form_round_trips(seed: int):
    architecture = random_architecture(np.random.default_rng(seed))
    assert Architecture.parse(str(architecture)) == architecture


@settings(deadline=None)
@given(seed=SEEDS)
def test_a_bare_topology_is_the_network_that_growth_starts_from(seed: int):
    topology = TABLE_1.sample(np.random.default_rng(seed))
    assert Architecture.parse(str(topology)) == Architecture(topology, (1, 1, 1, 1), 32)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, position_embedding=st.booleans())
def test_closed_count_of_parameters_is_that_of_the_network(seed: int, position_embedding: bool):
    rng = np.random.default_rng(seed)
    architecture, task = random_architecture(rng), random_task(rng)
    with torch.device("meta"):
        model = AsViT(
            architecture,
            image_size=task.image_size,
            in_chans=task.in_chans,
            num_classes=task.num_classes,
            position_embedding=position_embedding,
        )
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert architecture.params(task, position_embedding=position_embedding) == counted


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS)
def test_closed_count_of_multiply_adds_is_that_of_the_network(seed: int):
    rng = np.random.default_rng(seed)
    architecture, task = random_architecture(rng), random_task(rng)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model = AsViT(architecture, image_size=task.image_size, in_chans=task.in_chans, num_classes=task.num_classes)
        model(torch.empty(1, task.in_chans, *task.image_size))
    assert 2 * architecture.macs(task) == counter.get_total_flops()


def test_stages_of_an_odd_image():
    first, second, third, fourth = Architecture.parse("seed").stages(Task(image_size=(225, 101)))
    assert [s.resolution for s in (first, second, third, fourth)] == [(57, 26), (29, 13), (15, 7), (8, 4)]
    assert first.window == (29, 13)
    assert second.window == second.resolution
    assert (first.kernel, first.stride, first.heads, first.head_dim) == (8, 4, 4, 8)
    assert (fourth.kernel, fourth.stride, fourth.expansion, fourth.tokens) == (4, 2, 6, 32)


def test_heads_that_do_not_divide_the_channels_leave_a_rest():
    stage = next(Architecture.parse("8,2,3,1|4,1,2,1|4,1,4,1|4,1,6,1|64,30").stages(Task()))
    assert (stage.dim, stage.heads, stage.head_dim) == (30, 8, 3)


@pytest.mark.parametrize(
    ("divisor", "dims"),
    [(1, (180, 360, 720, 1024)), (2, (90, 180, 360, 512)), (4, (45, 90, 180, 256))],
)
def test_proxy_divides_width_and_cap(divisor: int, dims: tuple[int, ...]):
    large = ARCHITECTURES["large"]
    proxy = large.proxy(divisor)
    assert proxy.dims == dims
    assert (proxy.topology, proxy.depths) == (large.topology, large.depths)


def test_a_proxy_of_a_fractional_width_is_refused():
    with pytest.raises(UserError, match=r"multiple of 8, not 116"):
        ARCHITECTURES["base"].proxy(8)


def test_more_heads_than_channels_are_refused():
    with pytest.raises(UserError, match=r"stage 1 has 8 heads but 7 channels: .* at least 8"):
        Architecture.parse("8,2,3,1|4,1,2,1|4,1,4,1|4,1,6,1|64,7")
    assert Architecture.parse("8,2,3,1|4,1,2,1|4,1,4,1|4,1,6,1|64,8").dims == (8, 16, 32, 64)


def test_a_stage_without_blocks_is_refused():
    with pytest.raises(UserError, match=r"depths are \(1, 0, 1, 1\)"):
        Architecture.parse("8,2,3,1|4,1,2,0|4,1,4,1|4,1,6,1|32,32")


@pytest.mark.parametrize("text", ["smal", "Small", "", "vit_base"])
def test_an_unknown_name_is_shown_beside_the_known_ones(text: str):
    with pytest.raises(UserError) as error:
        Architecture.parse(text)
    assert repr(text) in str(error.value)
    assert "seed, small, base, large" in str(error.value)


@pytest.mark.parametrize("text", ["8,2,3,1|4,1,2,1|4,1,4,1|32,32", "8,2,3|4,1,2|4,1,4|4,1,6|32,32"])
def test_malformed_text_is_refused(text: str):
    with pytest.raises(UserError, match="cannot read"):
        Architecture.parse(text)


@pytest.mark.parametrize("size", [(7, 224), (224, 7), (8193, 224), (0, 0)])
def test_image_sizes_out_of_range_are_refused(size: tuple[int, int]):
    with pytest.raises(UserError, match=f"image size is {size[0]}x{size[1]}: expected sides from 8 .*to 8192"):
        Task(image_size=size)


def test_images_are_no_smaller_than_the_stride_of_the_last_stage():
    with pytest.raises(UserError, match=r"image size is 31x64, but the last stage of .* has a stride of 32"):
        Architecture.parse("seed").params(Task(image_size=(31, 64)))


def test_a_base_stride_of_one_keeps_every_pixel_of_a_small_image():
    text = "3,2,3,1|4,1,2,1|4,1,4,1|4,1,6,1|32,32|1"
    architecture, coarse = Architecture.parse(text), Architecture.parse("seed")
    assert str(architecture) == text
    small, large = Task(image_size=(32, 48)), Task(image_size=(128, 192))
    ours, papers = list(architecture.stages(small)), list(coarse.stages(large))
    assert [s.resolution for s in ours] == [(32, 48), (16, 24), (8, 12), (4, 6)]
    assert [(s.resolution, s.window, s.dim) for s in ours] == [(s.resolution, s.window, s.dim) for s in papers]
    # Only the kernel of the first convolution differs.
    assert coarse.params(large) - architecture.params(small) == (8**2 - 3**2) * 3 * 32
    assert coarse.macs(large) - architecture.macs(small) == 32 * 48 * (8**2 - 3**2) * 3 * 32
    assert Architecture.parse("3,2,3|4,1,2|4,1,4|4,1,6|32|1") == architecture


@pytest.mark.parametrize(
    ("in_chans", "num_classes", "said"),
    [(0, 10, "in_chans is 0"), (3, 0, "num_classes is 0"), (-1, 10, "in_chans is -1")],
)
def test_images_have_channels_and_tasks_classes(in_chans: int, num_classes: int, said: str):
    with pytest.raises(UserError, match=f"{said}: expected at least 1"):
        Task(in_chans=in_chans, num_classes=num_classes)
