"""The time left of a design, against times of designs that were recorded on machines."""

import json
from pathlib import Path

import pytest

from asvit.design import display
from asvit.design.budget import Budget
from asvit.design.costs import Costs
from asvit.design.display import DesignDisplay, growth_after_search
from asvit.design.family import FamilySettings
from asvit.design.forecast import growth_ahead, scaled_by_macs
from asvit.design.grow import GrowthSettings
from asvit.design.search import SearchSettings, SearchStep
from asvit.measure.estimates import Estimate, Measurement
from asvit.measure.ledger import Cost
from asvit.measure.measurer import Measurer
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import TABLE_1, Topology
from asvit.runs.pool import Pool
from asvit.runs.progress import ProgressDisplay, time_left

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))


class Replay(ProgressDisplay):
    """A machine on which measurements take the recorded times, and what is said there of the time left."""

    def __init__(self, task: Task, monkeypatch: pytest.MonkeyPatch, processes: int = 1) -> None:
        super().__init__()
        self.task, self.now, self.processes = task, 0.0, processes
        self.took: dict[str, float] = {}
        self.said: list[tuple[float, float]] = []
        """Times, each with the seconds that were said to be left."""
        self.measurer = Measurer(task=task)
        self.measurer.work_with(Pool(processes) if processes > 1 else None)  # it is never opened
        monkeypatch.setattr(self.measurer, "costs", lambda subject: {"length": Cost(self.took[subject.key], "")})
        monkeypatch.setattr(display.time, "monotonic", lambda: self.now)
        self.shown = DesignDisplay(self, self.measurer)

    def measure(self, subject: str, seconds: float) -> None:
        """Wait for a measurement, or find it in the ledger."""
        self.now += 0.0 if subject in self.took else seconds / self.processes  # five repeats side by side
        self.took[subject] = seconds

    def update(self, phase, completed, total, *, count, facts, left=None) -> None:
        self.said.append((self.now, left))


def replay(record: dict, monkeypatch: pytest.MonkeyPatch, processes: int = 1) -> Replay:
    task = Task(tuple(record["task"]["image_size"]), record["task"]["in_chans"], record["task"]["num_classes"])
    limits = tuple(Budget("params", limit) for limit in record["limits"])
    growth = GrowthSettings(width_divisor=record["divisor"])
    family = FamilySettings(task=task, budgets=limits, limits=limits, growth=growth)
    machine, costs = Replay(task, monkeypatch, processes), Costs(task)
    settings = SearchSettings(steps=len(record["search"]))
    on_step = machine.shown.search(settings, TABLE_1, growth_after=growth_after_search(family, costs))
    for number, (topology, seconds) in enumerate(record["search"]):
        machine.measure(str(Architecture(Topology.parse(topology))), seconds)
        found = Measurement(topology, {"length": Estimate.of([1.0]), "ntk": Estimate.of([1.0])})
        on_step(SearchStep(number, topology, 0.0, 15.0), found)
    on_measured = machine.shown.growth(family, costs)
    for number, (current, candidates) in enumerate(record["growth"], start=1):
        choices = [Architecture.parse(name) for name, _ in candidates]
        for done, (name, seconds) in enumerate(candidates, start=1):
            machine.measure(f"{name} at 1/{record['divisor']} width" if record["divisor"] > 1 else name, seconds)
            on_measured(number, Architecture.parse(current), choices, done)
    return machine


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("path", RECORDED, ids=[path.stem for path in RECORDED])
def test_the_time_left_is_right_within_a_factor_of_two_or_ten_seconds_after_a_tenth(path, processes, monkeypatch):
    machine = replay(json.loads(path.read_text()), monkeypatch, processes)
    whole = machine.now
    assert len(machine.said) > 60
    for now, left in machine.said:
        really = whole - now
        if now >= 0.1 * whole:  # a growth may end a step sooner than its middle choices would
            assert really / 2 - 10 <= left <= really * 2 + 10, f"{left:.0f} s after {now:.0f} of {whole:.0f}"


def test_measurements_out_of_the_ledger_count_with_what_they_took(monkeypatch):
    machine = Replay(Task(32), monkeypatch)
    on_step = machine.shown.search(SearchSettings(steps=4), TABLE_1)
    topology = "8,2,3|4,1,2|4,1,4|4,1,6|32"
    machine.took[str(Architecture(Topology.parse(topology)))] = 10.0  # by an earlier process
    on_step(SearchStep(0, topology, 0.0, 15.0), Measurement(topology, {}, invalid="singular"))
    assert machine.said == [(0.0, pytest.approx(30.0))]


def test_growth_ahead_is_more_the_larger_the_budget_and_none_beyond_it():
    task, seed = Task(32, 3, 10), Architecture.parse("seed")

    def ahead(limit: str) -> int:
        budget = (Budget.parse("params", limit),)
        return growth_ahead(seed, FamilySettings(task=task, budgets=budget, limits=budget), Costs(task))

    assert 0 == ahead("1M") < ahead("3M") < ahead("10M") < ahead("30M")


def test_a_latency_ahead_is_taken_to_grow_as_multiply_adds_and_asked_of_one_network():
    seed, large = Architecture.parse("seed"), Architecture.parse("large")
    asked = []

    def cost(kind, architecture):
        if kind == "latency":
            asked.append(architecture)
            return 0.002
        return Costs()(kind, architecture)

    scaled = scaled_by_macs(cost, seed)
    assert scaled("latency", large) == pytest.approx(0.002 * large.macs() / seed.macs())
    assert scaled("latency", seed) == pytest.approx(0.002)
    assert scaled("params", large) == large.params()
    assert asked == [seed]


def test_time_left_in_words():
    assert [time_left(seconds) for seconds in (0, 0.4, 90, 600, 20_000)] == [
        "nothing left",
        "1 second left",
        "90 seconds left",
        "10 minutes left",
        "5.6 hours left",
    ]
