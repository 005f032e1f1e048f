import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asvit.architecture import ARCHITECTURES, Task
from asvit.budget import Budget, format_size, parse_size
from asvit.errors import UserError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2500000", 2_500_000),
        ("2_500_000", 2_500_000),
        ("30M", 30_000_000),
        ("30m", 30_000_000),
        (" 30 M ", 30_000_000),
        ("0.5k", 500),
        ("4.5G", 4_500_000_000),
        ("4.5B", 4_500_000_000),
        ("1.2T", 1_200_000_000_000),
    ],
)
def test_sizes_as_people_write_them(text: str, value: int):
    assert parse_size(text) == value


@pytest.mark.parametrize("text", ["", "M", "0", "0M", "-5M", "30X", "30 MB", "1e9", "3,5M", "0.0001k", "nan"])
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(UserError) as error:
        parse_size(text)
    assert repr(text) in str(error.value)
    assert "30M" in str(error.value)


@settings(deadline=None)
@given(value=st.integers(1, 2**53))
def test_whole_numbers_are_read_exactly(value: int):
    assert parse_size(str(value)) == value
    assert parse_size(f"{value:_}") == value


@settings(deadline=None)
@given(value=st.integers(1, 10**13))
def test_the_short_form_is_within_half_a_percent(value: int):
    assert parse_size(format_size(value)) == pytest.approx(value, rel=0.005, abs=0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(999, "999"), (1000, "1k"), (1234, "1.23k"), (100_000_000, "100M"), (22_357_813_760, "22.36G")],
)
def test_short_forms(value: int, text: str):
    assert format_size(value) == text


def test_a_budget_of_parameters():
    small = ARCHITECTURES["small"]
    assert Budget("params", 29_051_296).admits(small)
    assert not Budget("params", 29_051_295).admits(small)
    assert str(Budget.parse("params", "29M")) == "29M parameters"


def test_a_budget_of_multiply_adds():
    small = ARCHITECTURES["small"]
    assert Budget("macs", 5_132_134_656).admits(small)
    assert not Budget("macs", 5_132_134_655).admits(small)
    assert str(Budget.parse("macs", "5.2G")) == "5.2G MACs"


def test_the_task_counts():
    few_classes = Task(num_classes=10)
    small = ARCHITECTURES["small"]
    spared = 990 * (small.dims[-1] + 1)
    assert Budget("params", 1).cost(small, few_classes) == small.params() - spared
