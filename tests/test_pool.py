"""Processes that measure side by side: the same values for any number of them, and an end with the job's."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import Started, processes_in

from asvit.design.budget import Budget
from asvit.design.family import FamilySettings, grow_family
from asvit.design.recipes import RECIPES
from asvit.design.search import SearchSettings, search
from asvit.errors import NotAdmitted, UserError
from asvit.measure.job import NEEDED, pool_for
from asvit.measure.ledger import Ledger
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Settings
from asvit.measure.subject import subject_of
from asvit.measure.work import A_PROCESS
from asvit.networks.architecture import Architecture, Task
from asvit.networks.named import parse_network
from asvit.runs.pool import WORTH_IT, Pool

TASK = Task(image_size=(32, 32), num_classes=10)
FEW = Settings(repeats=2, angles=2, kernel_images=4)


@pytest.fixture(scope="module", params=[2, 4])
def pool(request):
    """A pool that is open from the beginning."""
    made = opened(Pool(request.param, modules=NEEDED))
    yield made
    made.close()


def opened(pool: Pool) -> Pool:
    """A pool whose processes have loaded what they need."""
    pool.worked(WORTH_IT)
    while not pool.is_open:
        time.sleep(0.01)
    return pool


def measurer(pool: Pool | None, **options) -> Measurer:
    made = Measurer(FEW, TASK, **options)
    made.work_with(pool)
    return made


@pytest.fixture(scope="module")
def alone():
    """What one process finds."""
    return designed(measurer(None))


def designed(measure: Measurer):
    """A search, and growth from its result."""
    run = search(measure.architectures(), SearchSettings(steps=3), seed=1)
    family = FamilySettings.of(RECIPES["smoke"], TASK, [Budget.parse("params", "2500k")])
    start = Architecture.parse(run.most_probable)
    proxy, ahead = measure.architectures(width_divisor=4), measure.ahead(width_divisor=4)
    return run, grow_family(start, family, measure=measure.architectures(), measure_proxy=proxy, ahead=ahead)


def test_search_and_growth_are_the_same_for_any_number_of_processes(pool, alone):
    assert designed(measurer(pool)) == alone


def test_the_ledger_is_the_same_for_any_number_of_processes(pool, tmp_path):
    subjects = [subject_of(parse_network(name), TASK) for name in ("seed", "timm:resnet10t")]

    def rows(path: Path, pool: Pool | None):
        measure, ledger = measurer(pool, metrics=["length", "ntk", "params"]), Ledger(path)
        measure.remember_in(ledger)
        measure.begin(subjects)
        found = [measure(subject) for subject in subjects]
        context = ledger.context(measure._describe())
        entries = [ledger.read(context, subject.key, repeat) for subject in subjects for repeat in range(2)]
        ledger.close()
        return found, [{name: (entry.value, entry.work) for name, entry in one.items()} for one in entries]

    assert rows(tmp_path / "some.sqlite", pool) == rows(tmp_path / "one.sqlite", None)


def test_what_a_network_does_not_admit_is_refused_as_by_one_process(pool):
    resnet = subject_of(parse_network("timm:resnet10t"), TASK)
    kept, metrics = Settings(repeats=1, angles=2, norm="layer"), ["params", "curvature"]

    def refusal(pool: Pool | None):
        asking, raising, refused = Measurer(kept, TASK, metrics=metrics), Measurer(kept, TASK, metrics=metrics), {}
        for measure in (asking, raising):
            measure.work_with(pool)
            measure.begin([resnet])
        assert list(asking.repeat(resnet, 0, refused=refused)) == ["params"]
        with pytest.raises(NotAdmitted) as error:
            raising(resnet)
        assert refused == {"curvature": str(error.value)}
        return refused

    assert refusal(pool) == refusal(None)


def test_what_is_timed_has_the_machine_for_itself(pool, monkeypatch):
    subjects = [subject_of(parse_network(name), TASK) for name in ("seed", "4,2,2|2,1,2|2,1,2|2,1,2|16")]
    at_work = []
    usual = Measurer.evaluate

    def watched(self, metrics, *rest):
        at_work.append(sum(not part._future.done() for _, parts in self._begun.values() for part in parts))
        return usual(self, metrics, *rest)

    monkeypatch.setattr(Measurer, "evaluate", watched)
    measure = measurer(pool, metrics=["length", "memory"])
    measure.begin(subjects)
    found = [measure(subject) for subject in subjects]
    assert all(one.valid for one in found)
    assert at_work == [0] * (len(subjects) * FEW.repeats)  # memory alone is measured here


def test_a_process_that_is_gone_is_told_in_one_line():
    pool = opened(Pool(1, modules=NEEDED))
    with pytest.raises(UserError, match=r"a process that measured is gone.* fewer --threads"):
        pool.begin(os._exit, 1).result()
    with pytest.raises(UserError, match="a process that measured is gone"):
        pool.begin(max, 1, 2)
    pool.close()


def test_what_was_told_before_the_pool_opens_is_begun_when_it_does():
    pool = Pool(2, modules=NEEDED)
    subjects = [subject_of(parse_network(name), TASK) for name in ("seed", "4,2,2|2,1,2|2,1,2|2,1,2|16")]
    measure = measurer(pool, metrics=["length"])
    measure.begin(subjects)
    opened(pool)
    assert not measure._begun
    measure.repeat(subjects[0], 0)  # here, though it is open: nobody has asked it since
    assert set(measure._begun) == {(subjects[0].key, 1), (subjects[1].key, 0), (subjects[1].key, 1)}
    assert [measure(one) for one in subjects] == [measurer(None, metrics=["length"])(one) for one in subjects]
    assert not measure._begun
    pool.close()


def test_closing_ends_what_is_at_work(tmp_path):
    pool = opened(Pool(2, modules=NEEDED))
    pids = {pool.begin(os.getpid).result() for _ in range(2)}
    for _ in range(3):
        pool.begin(time.sleep, 3600)
    pool.close()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_script_that_does_all_at_once_is_not_begun_anew(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from asvit.runs.pool import Pool\n"
        "pool = Pool(2)\n"
        "print(pool.begin(max, 3, 4).result(), flush=True)\n"
        "pool.close()\n"
    )
    said = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == ("4\n", "")


def test_nothing_is_started_for_a_moment_of_work():
    pool = Pool(2, worth_it=1000.0)
    measure = measurer(pool)
    measure(subject_of(parse_network("seed"), TASK))
    pool.worked(1.0, to_come=999.0)
    assert pool._executor is None
    assert not pool.is_open


@pytest.mark.parametrize(("seconds", "to_come"), [(3.0, 0.0), (0.1, 3.0)])
def test_processes_start_once_enough_is_done_or_known_to_come(seconds, to_come):
    pool = Pool(2, worth_it=3.0)
    pool.worked(seconds, to_come)
    assert pool._executor is not None
    while not pool.is_open:
        time.sleep(0.01)
    pool.close()


def test_what_is_known_to_come_is_what_is_not_measured():
    pool, told = Pool(2, worth_it=1e9), []
    measure = measurer(pool, metrics=["length"])
    pool.worked = lambda seconds, to_come: told.append(round(to_come / seconds))
    subjects = [subject_of(parse_network(name), TASK) for name in ("seed", "4,2,2|2,1,2|2,1,2|2,1,2|16")]
    measure.begin(subjects)
    for subject in subjects:
        measure(subject)
    assert told == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("memory", "threads", "processes"),
    [(None, 4, 4), (2 * A_PROCESS, 4, 2), (A_PROCESS // 2, 4, None), (None, 1, None)],
)
def test_there_are_as_many_processes_as_threads_and_memory_allow(memory, threads, processes):
    pool = pool_for(Measurer(FEW, TASK, work_memory=memory), threads)
    assert (None if pool is None else pool.processes) == processes


def test_memory_for_one_process_does_not_depend_on_their_number():
    shares = [Measurer(FEW, TASK, work_memory=memory).work_memory for memory in (None, 8 * A_PROCESS, A_PROCESS // 4)]
    assert shares == [A_PROCESS, A_PROCESS, A_PROCESS // 4]


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are looked for in /proc")
def test_processes_end_with_a_job_that_is_killed(tmp_path):
    words = ("search", "--recipe", "smoke", "--steps", "100000", "--repeats", "2", "--threads", "2", "--out", "run")
    job = Started(words, tmp_path)
    while len(processes_in(tmp_path)) < 5:  # itself, the fork server, its tracker, and two that measure
        assert job.at_work()
        time.sleep(0.1)
    job.send(signal.SIGKILL)
    assert job.ended().returncode == -signal.SIGKILL
    while processes_in(tmp_path):
        time.sleep(0.1)


def test_each_thread_of_the_command_line_sleeps_while_it_waits(tmp_path, monkeypatch):
    from asvit.__main__ import wait_asleep

    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    wait_asleep()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_asleep()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
