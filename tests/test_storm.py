"""benchmarks/storm.py: it counts what a job does wrong that is killed, and nothing else; real jobs stand it.

Kills at chosen moments are in the tests of each command; these are at random ones.
"""

import signal
import sqlite3
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

import storm
import storm_launch
from storm_jobs import JOBS, Job, Kept, compared, content, kept, timeless

JOB = """
import json, os, signal, subprocess, sys, time
from pathlib import Path

how, run = sys.argv[1], Path("run")
def stop(number, frame):
    words = {15: "terminated", 2: "stopped"}[number]
    if how == "words":
        raise ValueError
    if how == "hangs":
        time.sleep(60)
    if how != "files":
        (run / ".pid").unlink()
    print(f"asvit: {words}; the same command goes on from what was kept", file=sys.stderr, flush=True)
    os._exit(1 if how == "code" else 128 + number)
run.mkdir(exist_ok=True)
(run / ".pid").touch()
print("run directory: run", file=sys.stderr, flush=True)
if how == "processes":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stderr=subprocess.DEVNULL)
starts = Path("starts")
done = len(starts.read_text()) if starts.exists() else 0
starts.write_text("." * (done + 1))
signal.signal(2, stop)
signal.signal(15, stop)
if Path.cwd().name != "job undisturbed" and done < 2:
    for _ in range(6000):
        time.sleep(0.01)  # short: a signal just before a sleep waits for its end
(run / "result.json").write_text(json.dumps({"found": done if how == "differ" else 1, "seconds": time.time()}))
(run / ".pid").unlink()
"""
"""Something that ends when it is started for the third time, and does one thing wrong."""


@pytest.fixture
def deaf_no_more():
    """A shell that starts tests in the background makes them, and what they start, deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def rounds(name: str, folder: Path, count: int, seed: int) -> storm.Storm:
    """A job, undisturbed and then killed in some rounds."""
    found = storm.Storm([name], seed, folder)
    found.see_undisturbed(name)
    for number in range(count):
        found.round(number, time.monotonic() + 600)
    return found


@pytest.mark.usefixtures("deaf_no_more")
@pytest.mark.parametrize("how", ["nothing", "code", "words", "hangs", "files", "processes", "differ"])
def test_what_a_job_does_wrong_is_counted(how, tmp_path, monkeypatch):
    monkeypatch.setattr(storm_launch, "asvit", lambda *words: [sys.executable, "-c", JOB, *words])
    monkeypatch.setitem(JOBS, "job", Job(how))
    monkeypatch.setattr(storm, "MOST_KILLS", 2)
    monkeypatch.setattr(storm, "PATIENCE", 10.0 if how != "hangs" else 1.0)
    monkeypatch.setattr(storm, "GRACE", 0.1 if how == "processes" else 5.0)
    found = rounds("job", tmp_path, 1, seed=7)
    rows = storm.table(found)
    kinds = {kind for row in rows for kind in storm.FAULTS if row[kind]}
    assert [(row["signal"], row["kills"]) for row in rows] == [("SIGINT", 1), ("SIGTERM", 1)]
    assert how in kinds if how != "nothing" else not kinds, found.details


@pytest.mark.slow
@pytest.mark.usefixtures("deaf_no_more")
@pytest.mark.parametrize("name", list(JOBS))
def test_real_jobs_stand_random_kills(name, tmp_path):
    found = rounds(name, tmp_path, 2, seed=1)
    assert found.details == []
    assert sum(tally.kills for tally in found.tallies.values()) >= 2


def test_a_measurement_that_is_gone_and_a_step_back_are_losses():
    before = Kept(frozenset({"a", "b"}), (2, 0))
    assert Kept(frozenset({"a", "b", "c"}), (2, 7)).lost_since(before) == 0
    assert Kept(frozenset({"a", "c"}), (2, 0)).lost_since(before) == 1
    assert Kept(frozenset({"a", "b"}), (1, 9)).lost_since(before) == 1


def test_what_a_run_has_kept_is_read_from_its_files(tmp_path):
    assert kept(tmp_path / "run") == Kept(frozenset(), (0, 0))
    (tmp_path / "checkpoints").mkdir()
    for name in ("epoch-0002", "epoch-0002-step-000030", "epoch-0001-step-000090"):
        (tmp_path / "checkpoints" / f"{name}.safetensors").touch()
    with sqlite3.connect(tmp_path / "study.sqlite3") as database:
        database.execute("CREATE TABLE trials (trial_id, state)")
        database.execute("CREATE TABLE trial_user_attributes (trial_id, key, value_json)")
        database.executemany("INSERT INTO trials VALUES (?, ?)", [(1, "COMPLETE"), (2, "FAIL")])
        found = '{"top1": 0.5, "seconds": 9}'
        attributes = [(1, "trained", found), (1, "planned", "{}"), (2, "trained", found)]
        database.executemany("INSERT INTO trial_user_attributes VALUES (?, ?, ?)", attributes)
    assert kept(tmp_path) == Kept(frozenset({'[{"top1": 0.5}]'}), (2, 30))


def test_only_times_are_not_compared(tmp_path):
    assert timeless({"top1": 1, "seconds": 2, "epochs": [{"waiting": 3, "loss": 4}]}) == {
        "top1": 1,
        "epochs": [{"loss": 4}],
    }
    (tmp_path / "summary.csv").write_text("top1,seconds\n0.5,1.25\n")
    assert compared(tmp_path / "summary.csv") == b'[{"top1": "0.5"}]'
    (tmp_path / "report.html").write_text("<html>12 seconds</html>\n")
    assert compared(tmp_path / "report.html") == b"</html>"
    before = content(tmp_path)
    assert list(before) == ["report.html", "summary.csv"]
    (tmp_path / "summary.csv").write_text("top1,seconds\n0.6,1.25\n")
    assert [name for name, digest in content(tmp_path).items() if before[name] != digest] == ["summary.csv"]
