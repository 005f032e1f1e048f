import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asvit.errors import UserError
from asvit.networks.space import (
    LEAST_WINDOW,
    SPACE,
    STEM_KERNELS,
    TABLE_1,
    WIDE,
    Space,
    Topology,
    parse_fields,
    space_for,
)

SEEDS = st.integers(0, 2**32 - 1)
EVERY_CHOICE = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in WIDE.items()})


def test_table_1_has_the_published_size_and_entropy():
    assert TABLE_1.size() == 4_556_250
    assert TABLE_1.entropy() == pytest.approx(math.log(4_556_250), rel=1e-14)
    assert round(TABLE_1.entropy(), 3) == 15.332


@settings(deadline=None)
@given(seed=SEEDS)
def test_text_form_round_trips(seed: int):
    topology = TABLE_1.sample(np.random.default_rng(seed))
    assert Topology.parse(str(topology)) == topology


@settings(deadline=None)
@given(choices=EVERY_CHOICE)
def test_choices_round_trip(choices: dict[str, int]):
    assert Topology.from_choices(choices).choices() == choices


def test_samples_cover_every_value_about_equally():
    rng = np.random.default_rng(0)
    drawn = [TABLE_1.sample(rng).choices() for _ in range(2000)]
    for name, values in SPACE.items():
        counts = np.array([sum(choices[name] == value for choices in drawn) for value in values])
        expected = len(drawn) / len(values)
        assert np.all(abs(counts - expected) < 5 * np.sqrt(expected))


def test_the_same_generator_gives_the_same_topologies():
    first, second = (np.random.default_rng(7) for _ in range(2))
    assert [TABLE_1.sample(first) for _ in range(5)] == [TABLE_1.sample(second) for _ in range(5)]


def test_spaces_around_the_text_and_its_numbers_are_ignored():
    assert Topology.parse(" 8, 2,3|4,1,2 |4,1,4|4,1,6| 32\n") == Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("9,2,3|4,1,2|4,1,4|4,1,6|32", "K1", 9),
        ("8,3,3|4,1,2|4,1,4|4,1,6|32", "S1", 3),
        ("8,2,3|4,1,9|4,1,4|4,1,6|32", "E2", 9),
        ("8,2,3|4,1,2|4,4,4|4,1,6|32", "S3", 4),
        ("8,2,3|4,1,2|4,1,4|7,1,6|32", "K4", 7),
        ("8,2,3|4,1,2|4,1,4|4,1,6|48", "heads", 48),
    ],
)
def test_a_value_outside_table_1_is_named_with_the_allowed_ones(text: str, name: str, value: int):
    with pytest.raises(UserError) as error:
        Topology.parse(text)
    message = str(error.value)
    assert message.startswith(f"{name} is {value},")
    assert ", ".join(map(str, SPACE[name])) in message
    assert "\n" not in message


def test_the_last_stage_is_never_split():
    with pytest.raises(UserError, match=r"S4 is 2, .*write 1"):
        Topology.parse("8,2,3|4,1,2|4,1,4|4,2,6|32")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "seed",
        "8,2,3|4,1,2|4,1,4|4,1,6",  # no heads
        "8,2,3|4,1,2|4,1,4|4,1,6|32,32",  # a width, which no topology has
        "8,2|4,1,2|4,1,4|4,1,6|32",
        "8,2,3|4,1,2|4,1,4|4,1,6|32|",
        "8,2,x|4,1,2|4,1,4|4,1,6|32",
        "8,2,-3|4,1,2|4,1,4|4,1,6|32",
        "8,2,3.0|4,1,2|4,1,4|4,1,6|32",
        "8,,3|4,1,2|4,1,4|4,1,6|32",
    ],
)
def test_malformed_text_is_shown_beside_the_expected_form(text: str):
    with pytest.raises(UserError) as error:
        Topology.parse(text)
    assert repr(text) in str(error.value)
    assert "8,2,3|4,1,2|4,1,4|4,1,6|32" in str(error.value)


@settings(deadline=None)
@given(fields=st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=4).map(tuple), min_size=1, max_size=5))
def test_fields_of_numbers_round_trip(fields: list[tuple[int, ...]]):
    text = "|".join(",".join(map(str, field)) for field in fields)
    assert parse_fields(text, tuple(map(len, fields)), expected="") == (fields, 4)


@given(seed=st.integers(0, 2**32 - 1), base_stride=st.sampled_from([1, 2]), side=st.integers(8, 256))
def test_small_images_have_topologies_of_their_own(seed: int, base_stride: int, side: int):
    space = space_for((side, 300), base_stride)
    topology = space.sample(np.random.default_rng(seed))
    assert str(topology).endswith(f"|{base_stride}")
    assert Topology.parse(str(topology)) == topology
    assert topology.kernels[0] in STEM_KERNELS[base_stride]
    for stage, splits in enumerate(topology.splits):
        assert side / (base_stride * 2**stage) / splits >= LEAST_WINDOW or splits == min(
            SPACE.get(f"S{stage + 1}", [1])
        )


@pytest.mark.parametrize(("base_stride", "stems"), [(4, 5), (2, 3), (1, 2)])
def test_the_wide_space_has_table_1_and_what_lies_beyond_its_edge(base_stride: int, stems: int):
    wide, table = space_for((224, 224), base_stride, "wide"), space_for((224, 224), base_stride)
    assert wide.size() == stems * 3 * 3 * 2 * 3 * 5**3 * 7**4  # K1, S1 to S3, heads; K2 to K4; E1 to E4
    for name, values in table.values.items():
        kept = wide.values[name][: len(values)]
        assert kept == values
        assert set(wide.values[name][len(values) :]) == set(
            {"K": (5, 6), "E": (7, 8)}.get(name[0], ()) if name != "K1" else ()
        )
    topology = wide.sample(np.random.default_rng(0))
    assert Topology.parse(str(topology)) == topology


def test_the_papers_stride_has_the_papers_space_whatever_the_images():
    assert space_for((32, 32)) is space_for((224, 224), 4) is TABLE_1


def test_kernels_over_their_stride_are_those_of_table_1_where_pixels_allow():
    for stride, kernels in STEM_KERNELS.items():
        assert min(kernels) == max(stride, 2)
        assert stride == 1 or max(kernels) == 2 * stride


def test_a_space_of_ones_own_holds_what_topologies_may_have():
    values = {name: values[:2] for name, values in SPACE.items()}
    space = Space(values)
    assert space.size() == 2**12
    assert space.entropy() == pytest.approx(12 * math.log(2))
    with pytest.raises(UserError, match=r"E2 is 9, but Table 1 .*allows 2, 3, 4, 5, 6, and space wide 7, 8"):
        Space(values | {"E2": (9,)})
    with pytest.raises(UserError, match="expected at least one for each of K1"):
        Space(values | {"E2": ()})


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("8,2,3|4,1,2|4,1,4|4,1,6|32|3", "base stride is 3: expected one of 1, 2, 4"),
        ("8,2,3|4,1,2|4,1,4|4,1,6|32|1", "K1 is 8, but the space of base stride 1 allows 2, 3"),
    ],
)
def test_other_base_strides_are_checked(text: str, refused: str):
    with pytest.raises(UserError, match=refused):
        Topology.parse(text)
