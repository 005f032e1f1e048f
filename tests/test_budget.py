import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.errors import UserError
from asvit.networks.architecture import ARCHITECTURES, Task
from asvit.units import format_duration, format_size, parse_duration, parse_memory, parse_size


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
    assert Budget("params", 29_051_296).admits(small, Costs())
    assert not Budget("params", 29_051_295).admits(small, Costs())
    assert str(Budget.parse("params", "29M")) == "29M parameters"


def test_a_budget_of_multiply_adds():
    small = ARCHITECTURES["small"]
    assert Budget("macs", 5_132_134_656).admits(small, Costs())
    assert not Budget("macs", 5_132_134_655).admits(small, Costs())
    assert str(Budget.parse("macs", "5.2G")) == "5.2G MACs"


def test_the_task_counts():
    few_classes = Task(num_classes=10)
    small = ARCHITECTURES["small"]
    spared = 990 * (small.dims[-1] + 1)
    assert Costs(few_classes)("params", small) == small.params() - spared
    assert Budget("params", small.params()).share(small, Costs(few_classes)) == 1 - spared / small.params()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2GB", 2 * 10**9),
        ("2 gb", 2 * 10**9),
        ("512MiB", 512 * 2**20),
        ("1.5GiB", 1_610_612_736),
        ("64KiB", 65_536),
        ("800M", 800_000_000),
        ("1TB", 10**12),
        ("4096B", 4096),
        ("4096", 4096),
    ],
)
def test_memory_as_people_write_it(text: str, value: int):
    assert parse_memory(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8ms", 0.008),
        ("0.5s", 0.5),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        (" 1.5 S ", 1.5),
        ("60min", 3600.0),
        ("1.5h", 5400.0),
    ],
)
def test_durations_as_people_write_them(text: str, value: float):
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "8", "ms", "0ms", "-8ms", "8m", "8,5ms", "1e-3s"])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(UserError, match=r"8ms, 0.5s") as error:
        parse_duration(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("text", ["", "GB", "0GB", "2XB", "2iB", "-2GB"])
def test_what_is_no_memory_is_refused(text: str):
    with pytest.raises(UserError, match=r"2GB, 512MiB"):
        parse_memory(text)


@settings(deadline=None)
@given(value=st.floats(1e-6, 1e3))
def test_the_short_form_of_a_duration_is_within_a_thousandth(value: float):
    assert parse_duration(format_duration(value)) == pytest.approx(value, rel=0.001, abs=0)


def test_budgets_together_name_every_bound_and_admit_what_meets_all():
    small = ARCHITECTURES["small"]
    both = Budget.together([Budget.parse("latency", "8ms"), Budget.parse("params", "30M")])
    assert (both.kind, both.limit, both.measured) == ("params", 30 * 10**6, True)  # what is quick to find comes first
    assert str(both) == "30M parameters and 8ms of latency"
    assert (both.label, both.file_name) == ("30M, 8ms", "30M-params-8ms-latency")

    def costing(seconds: float):
        return lambda kind, architecture: {"params": 24 * 10**6, "latency": seconds}[kind]

    assert both.admits(small, costing(0.008))
    assert not both.admits(small, costing(0.0081))
    assert both.share(small, costing(0.004)) == 0.8
    assert both.share(small, costing(0.0072)) == pytest.approx(0.9)
    assert both.just_for(small, costing(0.004)) == Budget("params", 24 * 10**6, (Budget("latency", 0.004),))


def test_nothing_is_measured_after_a_bound_that_counts_exceed():
    def cost(kind, architecture):
        assert kind == "params"
        return 31 * 10**6

    both = Budget.together([Budget("latency", 0.008), Budget("params", 30 * 10**6)])
    assert not both.admits(ARCHITECTURES["small"], cost)


def test_a_budget_contains_those_that_allow_no_more():
    params, latency = Budget("params", 3), Budget("latency", 0.5)
    both = Budget.together([params, latency])
    assert params.contains(both)
    assert latency.contains(both)
    assert not both.contains(params)
    assert not params.contains(latency)
    assert not both.contains(Budget.together([Budget("params", 2), Budget("latency", 0.6)]))
