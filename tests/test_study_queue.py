"""The queue of a study in a real database: SQLite, and PostgreSQL where it is installed."""

import gc
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from asvit.errors import UserError
from asvit.study import storage
from asvit.study.plan import Planned, PlanSettings, pilot_of, planned
from asvit.study.queue import Queue
from asvit.study.results import Trained
from asvit.study.sample import sample_topologies
from asvit.study.worker import Pilot, work

SETTINGS = PlanSettings(topologies=7, seeds=2, repeated=6, seed=0)
PLAN = planned(SETTINGS, sample_topologies(SETTINGS.topologies, SETTINGS.seed))
CONFIG = {"recipe": "smoke", "train": {"epochs": 1}}


def trained(training, top1=0.5):
    return Trained(training.network, training.seed, top1, 1.0, 2.0, "cpu", "0.1.0", "2.15.0")


class Fake:
    """A trainer with accuracies of its own choosing."""

    def __init__(self, accuracy):
        self.accuracy, self.done, self.forgotten = accuracy, [], []

    def __call__(self, training):
        self.done.append(training)
        return trained(training, self.accuracy(training)), {"length": 3.5}

    def share(self):
        return 0.0

    def forget(self, training):
        self.forgotten.append(training)


def postgres_programs():
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders and (folders[-1] / "initdb").exists() else None


@pytest.fixture(scope="module")
def postgresql():
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    as_root = os.geteuid() == 0
    if as_root and subprocess.run(["id", "postgres"], capture_output=True).returncode:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    user = ["runuser", "-u", "postgres", "--"] if as_root else []
    folder = Path(tempfile.mkdtemp(prefix="asvit-postgres-"))
    if as_root:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program, *arguments):
        subprocess.run([*user, str(programs / program), *arguments], check=True, capture_output=True, cwd="/")

    data = str(folder / "data")
    run("initdb", "-D", data, "-A", "trust", "-U", "asvit", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    yield f"postgresql+psycopg://asvit@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.sqlite3'}"
    return request.getfixturevalue("postgresql")


@pytest.fixture(autouse=True)
def nothing_stays_open():
    """What is not closed warns when it is collected: here, not in some later test."""
    yield
    gc.collect()


@pytest.fixture
def name(tmp_path):
    return tmp_path.name


@pytest.fixture
def joined():
    with ExitStack() as stack:
        yield lambda url, name, config=CONFIG, plan=PLAN: stack.enter_context(
            Queue(url, name, plan, config, heartbeat=60)
        )


def test_every_training_is_done_once_by_four_workers_at_a_time(joined, url, name):
    joined(url, name)
    pilot, fake = Pilot(pilot_of(PLAN, SETTINGS), least_ratio=0.0), Fake(lambda t: hash(t.network) % 100 / 100)

    def worker(i):
        with Queue(url, name, PLAN, CONFIG, heartbeat=60) as queue:
            work(queue, pilot, fake, name=f"worker {i}", report=pytest.fail, poll=0.01)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4)))
    assert sorted(fake.done) == sorted(PLAN)
    assert sorted(fake.forgotten) == sorted(PLAN)
    assert [one.planned for one in joined(url, name).trained()] == PLAN
    assert joined(url, name).running() == {}


def test_a_study_whose_pilot_shows_nothing_stops_there(joined, url, name):
    pilot = Pilot(pilot_of(PLAN, SETTINGS), least_ratio=4.0)
    fake = Fake(lambda training: 0.5 + 0.1 * training.seed)  # the seed matters, the topology does not
    work(joined(url, name), pilot, fake, name="worker", report=pytest.fail)
    assert fake.done == list(pilot.trainings)
    assert pilot.passed(joined(url, name).trained()) is False


def test_a_training_that_is_given_back_is_taken_by_another(joined, url, name):
    queue, other = joined(url, name), joined(url, name)
    claim = queue.claim("host:1", PLAN)
    assert claim is not None
    assert claim.planned == PLAN[0]
    assert queue.running() == {PLAN[0]: "host:1"}
    assert other.claim("host:2", [PLAN[0]]) is None
    other.give_back("host:1")
    again = other.claim("host:2", [PLAN[0]])
    assert again is not None
    assert again.planned == PLAN[0]
    assert again.number != claim.number
    queue.finish(claim, trained(PLAN[0], 0.9), {})  # the one taken for dead comes back: nothing is lost
    assert [one.top1 for one in queue.trained()] == [0.9]
    other.finish(again, trained(PLAN[0], 0.9), {})
    assert [one.top1 for one in queue.trained()] == [0.9]


def test_heartbeats_say_how_far_a_training_is(joined, url, name):
    joined(url, name)
    with Queue(url, name, PLAN, CONFIG, heartbeat=1) as queue, Queue(url, name, PLAN, CONFIG, heartbeat=1) as other:
        assert queue.under_way() == 0
        one, two = queue.claim("worker", PLAN), queue.claim("worker", PLAN)
        assert one is not None
        assert two is not None
        with queue.beating(one, lambda: 0.25), queue.beating(two, lambda: 0.5):
            while other.under_way() != 0.75:
                time.sleep(0.01)
        queue.finish(one, trained(one.planned, 0.9), {})
        assert other.under_way() == 0.5


def test_heartbeats_of_a_worker_that_was_taken_for_dead_end_in_nothing(joined, url, name, monkeypatch):
    said = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    joined(url, name)
    with Queue(url, name, PLAN, CONFIG, heartbeat=1) as queue, Queue(url, name, PLAN, CONFIG, heartbeat=1) as other:
        claim, asked = queue.claim("worker", PLAN), []
        assert claim is not None
        with queue.beating(claim, lambda: float(not asked.append(1))):
            other.give_back("worker")
            while len(asked) < 2:
                time.sleep(0.01)
    assert said == []


def test_a_training_that_fails_goes_back(joined, url, name):
    queue = joined(url, name)
    claim = queue.claim("worker", PLAN)
    assert claim is not None
    with pytest.raises(ZeroDivisionError), queue.beating(claim, lambda: 0.0):
        _ = 1 / 0
    assert queue.running() == {}
    queue.refill()
    assert queue.claim("worker", [claim.planned]) is not None


def test_a_training_that_always_fails_is_given_up_and_the_rest_is_done(joined, url, name):
    class Sometimes(Fake):
        def __call__(self, training):
            if training == PLAN[1]:
                raise ValueError("the loss is nan\nin step 3")
            return super().__call__(training)

    fake, said = Sometimes(lambda training: 0.5), []
    queue = joined(url, name)
    work(queue, None, fake, name="worker", report=said.append, poll=0.01)
    assert sorted(fake.done) == sorted(set(PLAN) - {PLAN[1]})
    assert queue.given_up() == {PLAN[1]: "the loss is nan"}
    assert said == [f"{PLAN[1].network}, seed {PLAN[1].seed}: the loss is nan"] * 2


def test_a_pilot_that_cannot_be_trained_ends_the_work(joined, url, name):
    class Never(Fake):
        def __call__(self, training):
            raise ValueError("no")

    queue = joined(url, name)
    pilot = Pilot(pilot_of(PLAN, SETTINGS), least_ratio=4.0)
    work(queue, pilot, Never(None), name="worker", report=lambda line: None, poll=0.01)
    assert queue.given_up().keys() == set(pilot.trainings)


def test_a_worker_waits_while_the_database_is_away(joined, url, name, monkeypatch):
    queue, tried = joined(url, name), []
    monkeypatch.setattr(storage, "RETRY", 0.0)
    trials = queue._trials

    def away(*states):
        tried.append(states)
        if len(tried) < 3:
            raise queue._optuna.exceptions.StorageInternalError("restarting")
        return trials(*states)

    monkeypatch.setattr(queue, "_trials", away)
    assert queue.trained() == []
    assert len(tried) == 3
    monkeypatch.setattr(storage, "PATIENCE", -1.0)
    tried.clear()
    with pytest.raises(UserError, match="cannot use the storage"):
        queue.trained()


def test_a_worker_without_heartbeats_loses_its_training(joined, tmp_path, name):
    path = tmp_path / "study.sqlite3"
    queue = joined(f"sqlite:///{path}", name)
    assert queue.claim("dead", PLAN) is not None
    queue.refill()
    assert queue.running() == {PLAN[0]: "dead"}
    with sqlite3.connect(path) as database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'")
    queue.refill()
    assert queue.running() == {}
    taken = queue.claim("alive", PLAN[:1])
    assert taken is not None
    assert taken.planned == PLAN[0]


def test_two_that_queue_the_same_lead_to_one_training(joined, url, name):
    first, second = joined(url, name, plan=[]), joined(url, name, plan=[])
    first.plan = second.plan = PLAN[:1]
    first._study.add_trial(first._trial(PLAN[0], "WAITING"))
    second._study.add_trial(second._trial(PLAN[0], "WAITING"))
    assert first.claim("a", PLAN) is not None
    assert second.claim("b", PLAN) is None
    assert [trial.state.name for trial in first._study.get_trials()] == ["RUNNING", "FAIL"]


def test_earlier_trainings_count(joined, url, name):
    queue = joined(url, name)
    foreign = Trained("8,8,5|3,4,2|3,2,6|3,1,3|64", 0, 0.1, 1.0, 2.0, "cpu", "0.1.0", "2.15.0")
    assert queue.add([trained(PLAN[0], 0.25), trained(PLAN[3], 0.75), foreign]) == 2
    assert queue.add([trained(PLAN[0], 0.99)]) == 1
    assert [(one.planned, one.top1) for one in queue.trained()] == [(PLAN[0], 0.25), (PLAN[3], 0.75)]
    claim = queue.claim("worker", PLAN)
    assert claim is not None
    assert claim.planned == PLAN[1]


def test_other_settings_are_refused(joined, url, name):
    joined(url, name)
    with pytest.raises(UserError, match=r"begun with --epochs 1, not 9.*choose another --name"):
        joined(url, name, {"recipe": "smoke", "train": {"epochs": 9}})


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////proc/at/all.sqlite3",
        "postgresql+psycopg://me:secret@127.0.0.1:1/db",
        "postgresql+psycopg://me:s{ecr}et@127.0.0.1:1/db",
        "nonsense",
        "mysql://a/b",
    ],
)
def test_a_storage_that_cannot_be_used_is_one_line_without_its_password(joined, url, name):
    with pytest.raises(UserError, match="cannot use the storage") as refused:
        joined(url, name)
    assert "ecr" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_database_in_memory_is_refused(joined, name):
    with pytest.raises(UserError, match="workers cannot share"):
        joined("sqlite:///:memory:", name)


def test_trials_are_what_the_dashboard_shows(joined, url, name):
    queue = joined(url, name)
    claim = queue.claim("worker", PLAN)
    assert claim is not None
    queue.finish(claim, trained(PLAN[0], 0.5), {"length": 3.5})
    (done,) = (trial for trial in queue._study.get_trials() if trial.state.name == "COMPLETE")
    assert done.value == 0.5
    assert set(done.params) == {"K1", "S1", "E1", "K2", "S2", "E2", "K3", "S3", "E3", "K4", "E4", "heads"}
    assert done.user_attrs["length"] == 3.5


SPACES = {"paper": {}, "wide": {"space": "wide"}}


def test_choices_are_those_of_the_studys_space(joined, url, name):
    """Optuna has the same values of a choice for all trials of a study."""
    plan = [Planned("8,2,3|4,1,2|4,1,4|5,1,8|32", 0), Planned("8,2,3|4,1,2|4,1,4|4,1,6|32", 0)]
    of_the_paper, of_wide = (joined(url, name + kind, CONFIG | space, plan) for kind, space in SPACES.items())
    (beyond, within), both = (queue._study.get_trials() for queue in (of_the_paper, of_wide))
    assert beyond.params == {}
    assert within.params["K4"] == 4
    assert [(trial.params["K4"], trial.params["E4"]) for trial in both] == [(5, 8), (4, 6)]
    assert both[0].distributions == both[1].distributions
