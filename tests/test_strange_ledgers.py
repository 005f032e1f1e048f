"""Ledgers and studies' databases as strangers may have left them, locked by others, or on a full disk."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from filelock import FileLock
from strange import in_one_line
from test_study_queue import CONFIG, Fake, trained
from test_study_queue import PLAN as LONG

from asvit.errors import UserError
from asvit.measure import ledger as room
from asvit.measure.ledger import Entry, Ledger
from asvit.runs.records import LEDGER, has_rows, open_run
from asvit.runs.surroundings import of_surroundings
from asvit.study import storage
from asvit.study.queue import Queue
from asvit.study.storage import StorageAway, WaitingLock
from asvit.study.trainer import machine, may_be_alive
from asvit.study.worker import work

PLAN = LONG[:3]
CONTEXT = {"device": "cpu"}
ENTRIES = {0: {"length": Entry(2.5, None, 0.1, "4 angles"), "ntk": Entry(None, "singular", 0.2, "")}}


@pytest.fixture
def path(tmp_path) -> Path:
    """A ledger of two measurements."""
    path = tmp_path / LEDGER
    written = Ledger(path)
    written.write(written.context(CONTEXT), "seed", ENTRIES)
    written.close()
    return path


def use(path: Path) -> tuple:
    """All that a job reads in a ledger."""
    kept = Ledger(path)
    try:
        context = kept.context(CONTEXT)
        return kept.read(context, "seed", 0), kept.costs(context, "seed")
    finally:
        kept.close()


def edit(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def set_to(column: str, value: str, metric: str = "length") -> str:
    return f"UPDATE measurement SET {column} = {value} WHERE metric = '{metric}'"


VALUES = {
    "value infinite": (set_to("value", "9e999"), "length of seed is inf"),
    "value minus infinity": (set_to("value", "-9e999"), "length of seed is -inf"),
    "value a text": (set_to("value", "'fast'"), "length of seed is fast"),
    "value bytes": (set_to("value", "x'00ff'"), "length of seed is b"),
    "no value": (set_to("value", "NULL"), "length of seed is None"),
    "a value that is invalid": (set_to("invalid", "'singular'"), "length of seed is 2.5"),
    "a reason that is bytes": (set_to("invalid", "x'00'", "ntk"), "ntk of seed is None"),
    "a reason that is lost": (set_to("invalid", "NULL", "ntk"), "ntk of seed is None"),
    "a value beside the reason": (set_to("value", "1.0", "ntk"), "ntk of seed is 1.0"),
    "time negative": (set_to("seconds", "-1.0"), "took -1.0 seconds"),
    "time infinite": (set_to("seconds", "9e999"), "took inf seconds"),
    "time a text": (set_to("seconds", "'long'"), "took long seconds"),
    "time a text of a megabyte": (set_to("seconds", "'x' || hex(zeroblob(500000))"), "took x000"),
    "work bytes": (set_to("work", "x'00'"), "took 0.1 seconds"),
    "text that is not UTF-8": (set_to("work", "CAST(x'ff' AS TEXT)"), "Could not decode to UTF-8"),
    "a table is missing": ("DROP TABLE measurement", None),
    "a column is missing": ("ALTER TABLE measurement DROP COLUMN work", "no such column: work"),
    "a column is renamed": (
        "ALTER TABLE context RENAME COLUMN description TO words",
        "has no column named description",
    ),
    "another table of that name": ("ALTER TABLE measurement RENAME TO other", None),
}
"""What may be in a ledger, and what has to be said; None: it is measured anew."""


@pytest.mark.parametrize("name", VALUES)
def test_values_that_no_ledger_has(path, name):
    statement, said = VALUES[name]
    edit(path, statement)
    if said is None:
        assert use(path)[0] == {}
        return
    with pytest.raises(UserError) as refused:
        use(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert "damaged or not asvit's" in str(refused.value)
    assert len(str(refused.value)) < 500


def test_a_context_that_is_not_taken_is_said(path):
    edit(path, "CREATE TRIGGER never BEFORE INSERT ON context BEGIN SELECT RAISE(IGNORE); END", "DELETE FROM context")
    with pytest.raises(UserError, match="it takes no context"):
        use(path)


PLACES = {
    "a folder": (lambda path: path.mkdir(), "no regular file"),
    "a named pipe": (lambda path: os.mkfifo(path), "no regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
    "a link to nowhere": (lambda path: path.symlink_to("no/where"), "no regular file"),
    "text": (lambda path: path.write_text("measurements " * 500), "file is not a database"),
    "half a page": (lambda path: path.write_bytes(path.read_bytes()[:700]), "damaged"),
    "half of the pages": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "malformed"),
    "a page of zeros": (
        lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(4096) + path.read_bytes()[8192:]),
        "damaged",
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_no_ledger_in_its_place(path, name):
    make, said = PLACES[name]
    if not name.startswith(("half", "a page")):
        path.unlink()
    make(path)
    with pytest.raises(UserError, match=said):
        use(path)
    assert has_rows(path)  # for its reader to refuse: a run is not begun anew over it


def test_a_locked_ledger_is_waited_for_and_that_is_said(path, monkeypatch, capsys):
    monkeypatch.setattr(room, "TURN", 0.01)
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")

    def let_go(message: str) -> None:
        print(message)
        holder.rollback()
        holder.close()

    monkeypatch.setattr(room, "tell", let_go)
    assert use(path)[0] == ENTRIES[0]
    assert capsys.readouterr().out == f"waiting for the ledger {path}, which another program has locked\n"


def test_a_ledger_that_stays_locked_is_given_up(path, monkeypatch):
    monkeypatch.setattr(room, "TURN", 0.01)
    monkeypatch.setattr(room, "PATIENCE", -1.0)
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match="database is locked: close what else has it open, then repeat"):
            use(path)


def test_a_full_disk_is_no_damage(tmp_path):
    """SQLite's own limit of pages gives the error of a full disk."""
    kept = Ledger(tmp_path / LEDGER)
    kept._connection.execute("PRAGMA max_page_count = 6")
    context = kept.context(CONTEXT)
    with pytest.raises(UserError, match="database or disk is full; make room or choose another --out") as refused:
        kept.write(context, "seed", {i: {"length": Entry(1.0, None, 0.1, "x" * 1000)} for i in range(50)})
    assert of_surroundings(refused.value)
    assert kept.read(context, "seed", 0) == {}
    kept.close()


# ---------------------------------------------------------------------------------------------------------------------


def fill_study(file: Path) -> None:
    """A study of which one training is done and one is running."""
    with join(file) as queue:
        for i in range(2):
            claim = queue.claim("elsewhere:1", PLAN)
            assert claim is not None
            if not i:
                queue.finish(claim, trained(PLAN[0], 0.5), {})


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> bytes:
    """The file of a study of which one training is done and one is running."""
    file = tmp_path_factory.mktemp("study") / "study.sqlite3"
    fill_study(file)
    return file.read_bytes()


@pytest.fixture
def database(tmp_path, study) -> Path:
    """That file, anew."""
    file = tmp_path / "study.sqlite3"
    file.write_bytes(study)
    return file


def join(file: Path, name: str = "study") -> Queue:
    return Queue(f"sqlite:///{file}", name, PLAN, CONFIG, heartbeat=60)


def look(file: Path) -> tuple:
    """All that a worker reads in a database."""
    with join(file) as queue:
        return queue.trained(), queue.running(), queue.given_up(), queue.claim("here:1", PLAN)


def attribute(key: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"UPDATE trial_user_attributes SET value_json = '{text}' WHERE key = '{key}'"


DONE = {"network": PLAN[0].network, "seed": 0, "top1": 0.5, "loss": 1.0, "seconds": 2.0, "device": "cpu",
        "asvit": "0.1.0", "torch": "2.15.0"}  # fmt: skip
CONTENTS = {
    "planned no JSON": attribute("planned", "{"),
    "planned null": attribute("planned", None),
    "planned a list": attribute("planned", []),
    "planned without a seed": attribute("planned", {"network": "x"}),
    "planned with a text as seed": attribute("planned", {"network": "x", "seed": "0"}),
    "planned is missing": "DELETE FROM trial_user_attributes WHERE key = 'planned'",
    "trained no JSON": attribute("trained", "NaN}"),
    "trained null": attribute("trained", None),
    "trained without an accuracy": attribute("trained", {k: v for k, v in DONE.items() if k != "top1"}),
    "trained is missing": "DELETE FROM trial_user_attributes WHERE key = 'trained'",
    "trained another network": attribute("trained", DONE | {"network": PLAN[1].network}),
    "trained another seed": attribute("trained", DONE | {"seed": 5}),
    "accuracy 2": attribute("trained", DONE | {"top1": 2.0}),
    "accuracy NaN": attribute("trained", json.dumps(DONE | {"top1": float("nan")})),
    "accuracy a text": attribute("trained", DONE | {"top1": "good"}),
    "loss infinite": attribute("trained", json.dumps(DONE | {"loss": float("inf")})),
    "negative seconds": attribute("trained", DONE | {"seconds": -2.0}),
    "an unknown state": "UPDATE trials SET state = 'ASLEEP'",
    "a date that is none": "UPDATE trials SET datetime_start = 'yesterday'",
    "a value that is a text": "UPDATE trial_values SET value = 'x', value_type = 'INF'",
    "an unknown kind of value": "UPDATE trial_values SET value_type = 'ODD'",
    "a parameter that is a text": "UPDATE trial_params SET param_value = 'x'",
    "a distribution no JSON": "UPDATE trial_params SET distribution_json = '{'",
    "an unknown distribution": """UPDATE trial_params SET distribution_json = '{"name": "Odd", "attributes": {}}'""",
    "settings no JSON": "UPDATE study_user_attributes SET value_json = '{'",
    "settings a list": "UPDATE study_user_attributes SET value_json = '[]' WHERE key = 'config'",
    "settings of another study": """UPDATE study_user_attributes SET value_json = '{"train": {"epochs": 9}}'
                                    WHERE key = 'config'""",
    "settings are missing": "DELETE FROM study_user_attributes WHERE key = 'config'",
    "an unknown direction": "UPDATE study_directions SET direction = 'SIDEWAYS'",
    "no trials": "DROP TABLE trials",
    "no attributes": "DROP TABLE trial_user_attributes",
    "a table with other columns": "ALTER TABLE trials RENAME COLUMN state TO condition",
}
"""What may be in a study's database."""


@pytest.mark.parametrize("name", CONTENTS)
def test_databases_that_no_study_has(database, monkeypatch, name):
    edit(database, CONTENTS[name])
    monkeypatch.setattr(storage, "RETRY", 10**9)  # nothing is waited for
    monkeypatch.setattr("asvit.study.storage.time.sleep", lambda seconds: pytest.fail("it waits"))
    try:
        done, _, given_up, claim = look(database)
    except UserError as error:
        in_one_line(error) or pytest.fail(str(error))
    else:  # what makes no difference to a study
        assert (len(done), len(given_up)) == (1, 0)
        assert claim is not None


@pytest.mark.parametrize("name", ["text", "half of the pages", "a page of zeros", "a folder"])
def test_no_database_in_its_place(database, monkeypatch, name):
    monkeypatch.setattr("asvit.study.storage.time.sleep", lambda seconds: pytest.fail("it waits"))
    make, _ = PLACES[name]
    if name in ("text", "a folder"):
        database.unlink()
    make(database)
    with pytest.raises(UserError, match="damaged or not asvit's" if name != "a folder" else "unable to open"):
        look(database)


def test_pages_that_are_damaged_meanwhile_are_not_away(database, monkeypatch):
    monkeypatch.setattr("asvit.study.storage.time.sleep", lambda seconds: pytest.fail("it waits"))
    with join(database) as queue:
        content = database.read_bytes()
        # As another process would have written it: with another number of changes, or the pages in memory are taken.
        database.write_bytes(content[:24] + b"\xff" * 4 + content[28:4096] + bytes(len(content) - 4096))
        with pytest.raises(UserError, match="damaged or not asvit's"):
            queue.trained()


def test_a_study_of_another_program_is_refused(tmp_path):
    import optuna

    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.sqlite3'}")
    study = optuna.create_study(storage=storage, study_name="study")
    study.add_trial(optuna.create_trial(value=1.0))
    storage.remove_session()
    storage.engine.dispose()
    with pytest.raises(UserError, match="study 'study' of another program: choose another --name"):
        join(tmp_path / "study.sqlite3")
    assert look_at_names(tmp_path / "study.sqlite3") == ["study"]
    with join(tmp_path / "study.sqlite3", "mine") as queue:
        assert queue.trained() == []


def look_at_names(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [name for (name,) in connection.execute("SELECT study_name FROM studies")]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("v3.0.0.d", "optuna storage upgrade --storage sqlite:///"),
        ("v99.0.0", "pip install -U optuna"),
    ],
)
def test_tables_of_another_version_of_optuna(database, version, said):
    edit(database, f"UPDATE alembic_version SET version_num = '{version}'")
    with pytest.raises(UserError, match="made by another version of Optuna") as refused:
        join(database)
    assert said in str(refused.value)


def test_a_study_that_is_away_says_so_once(database, monkeypatch, capsys):
    monkeypatch.setattr(storage, "RETRY", 0.0)
    tried = []
    with join(database) as queue:
        trials = queue._trials

        def away(*states):
            tried.append(states)
            if len(tried) < 4:
                raise StorageAway("nobody is there")
            return trials(*states)

        monkeypatch.setattr(queue, "_trials", away)
        assert len(queue.trained()) == 1
    assert capsys.readouterr().err == "waiting up to 5 minutes: nobody is there\n"


def test_a_lock_that_somebody_holds_is_waited_for_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "SOON", 0.01)
    holder, said = FileLock(tmp_path / "a.lock"), []
    holder.acquire()

    def let_go(message: str) -> None:
        said.append(message)
        holder.release()

    monkeypatch.setattr(storage, "tell", let_go)
    lock = WaitingLock(tmp_path / "a.lock")
    with lock, lock:  # it may be entered again
        assert said == [f"waiting for {tmp_path / 'a.lock'}, which another process holds"]
    monkeypatch.setattr(storage, "tell", said.append)
    monkeypatch.setattr(storage, "PATIENCE", 0.01)
    with FileLock(tmp_path / "a.lock"), pytest.raises(UserError, match="stop it, then repeat the command"), lock:
        pass


NO_ROOM = {
    "no room": OSError(28, "No space left on device"),
    "no quota": OSError(122, "Disk quota exceeded"),
    "a disk that fails": OSError(5, "Input/output error"),
    "a folder that became read-only": OSError(30, "Read-only file system"),
    "no memory": MemoryError(),
    "no memory for a tensor": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    "no more files": OSError(24, "Too many open files"),
    "SQLite": sqlite3.OperationalError("database or disk is full"),
    "safetensors": ValueError("I/O error: No space left on device (os error 28)"),
}
"""Errors of the machine."""


@pytest.mark.parametrize("name", NO_ROOM)
def test_errors_of_the_machine_are_told_from_others(name):
    wrapped = UserError("cannot write a checkpoint")
    wrapped.__cause__ = NO_ROOM[name]
    assert of_surroundings(NO_ROOM[name])
    assert of_surroundings(wrapped)


@pytest.mark.parametrize("name", ["no room", "no memory"])
def test_what_the_machine_lacks_is_no_attempt_of_a_training(tmp_path, name):
    class Full(Fake):
        def __call__(self, training):
            raise UserError("cannot write a checkpoint") from NO_ROOM[name]

    with join(tmp_path / "study.sqlite3") as queue:
        for _ in range(3):  # one more than the attempts of a training
            with pytest.raises(UserError, match=r"make room.*then repeat the command"):
                work(queue, None, Full(None), name="worker", report=pytest.fail, poll=0.01)
        assert queue.given_up() == queue.running() == {}
        work(queue, None, Fake(lambda training: 0.5), name="worker", report=pytest.fail, poll=0.01)
        assert len(queue.trained()) == len(PLAN)


def test_other_errors_are_attempts():
    for error in (ValueError("the loss is nan"), OSError(2, "No such file or directory"), KeyError("x")):
        assert not of_surroundings(error)


def test_a_database_without_room_ends_the_work_and_goes_on(tmp_path):
    file = tmp_path / "study.sqlite3"
    with join(file) as queue:

        def filled(training):
            with queue._storage.engine.connect() as connection:
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS filler (x)")
            raise OSError(28, "No space left on device")

        fake = Fake(None)
        fake.__class__ = type("Filled", (Fake,), {"__call__": lambda self, training: filled(training)})
        with pytest.raises(UserError, match="make room"), suppress(sqlite3.Error):
            work(queue, None, fake, name="worker", report=pytest.fail, poll=0.01)
    with join(file) as queue:
        assert queue.given_up() == {}


@pytest.mark.parametrize("worker", ["", ":", "x", f"{machine()}:", f"{machine()}:x", f"{machine()}:{10**30}"])
def test_workers_by_names_that_are_none(worker):
    assert may_be_alive(worker) is (worker.rpartition(":")[0] != machine())


def test_deleting_the_lock_of_a_running_job_lets_no_second_one_in(tmp_path):
    run = tmp_path / "run"
    program = (
        "import sys; from pathlib import Path; from asvit.runs.records import open_run\n"
        f"with open_run(Path({str(run)!r}), 'design', {{'recipe': 'quick'}}, {{}}, ''):\n"
        "    print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "in\n"
        for gone in (".lock", ".pid"):
            (run / gone).unlink()
            refused = pytest.raises(UserError, match=r"another job, process .* is at work")
            with refused, open_run(run, "design", {"recipe": "quick"}, {}, ""):
                pass
        other.kill()
        other.wait()
    with open_run(run, "design", {"recipe": "quick"}, {}, ""):
        pass


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: os.mkfifo(path), lambda path: path.write_bytes(b"\xff")]
)
def test_a_number_of_a_process_that_is_none(tmp_path, make):
    with open_run(tmp_path / "run", "design", {"recipe": "quick"}, {}, ""):
        (tmp_path / "run" / ".pid").unlink()
        make(tmp_path / "run" / ".pid")
        with pytest.raises(UserError, match="process unknown"), open_run(tmp_path / "run", "design", {}, {}, ""):
            pass
        (tmp_path / "run" / ".pid").rmdir() if (tmp_path / "run" / ".pid").is_dir() else None
