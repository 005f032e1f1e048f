"""benchmarks/gpu.py: steps end in time, fail alone, go on another day; its docs name every command."""

import json
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import gpu  # noqa: E402
import gpu_page  # noqa: E402
import gpu_steps  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Program(gpu_steps.Step):
    """A step that is a few lines of Python; RESULT stands for its result file."""

    lines: str

    def command(self, day: gpu_steps.Day, limit: float) -> list[str]:
        return [sys.executable, "-c", self.lines.replace("RESULT", repr(day.result(self.name)))]


def step(name: str, lines: str, *, seconds: float = 30.0) -> Program:
    return Program(
        name=name, title=f"the {name} step", seconds=seconds, arguments=lambda day, limit: [], lines=lines,
        headline=lambda result: f"found {result['found']}",
    )  # fmt: skip


FINDS = "import json; json.dump({'found': 7}, open(RESULT, 'w'))"
FAILS = "print('all is well'); raise SystemExit('no such kernel')"
GOES_ON = "raise SystemExit(75)"
HANGS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
open(RESULT, 'w').write('{"found": %d}' % child.pid)
print('waiting for a kernel', flush=True)
time.sleep(600)
"""


@pytest.fixture
def run(tmp_path, monkeypatch) -> Iterator[Callable[..., dict[str, str]]]:
    """Runs gpu.py with some steps; how each ended, by its last attempt."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*steps: Program, options: tuple[str, ...] = ()) -> dict[str, str]:
        for module in (gpu, gpu_steps):
            monkeypatch.setattr(module, "STEPS", steps)
        words = ["--device", "cpu", "--minutes", "2", "--out", str(tmp_path / "out"), "--at-once", "1", *options]
        monkeypatch.setattr(sys, "argv", ["benchmarks/gpu.py", *words])
        gpu.main()
        return {attempt["step"]: attempt["ended"] for attempt in gpu.attempts(tmp_path / "out")}

    yield run
    signal.signal(signal.SIGTERM, before)


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_step_that_fails_or_hangs_stops_no_other(run, tmp_path):
    ended = run(step("bad", FAILS), step("slow", HANGS, seconds=2), step("good", FINDS))
    assert ended == {"bad": "failed", "slow": "out of time", "good": "done"}
    page = (tmp_path / "out/gpu.md").read_text()
    assert "| good: the good step | done |" in page
    assert "| found 7 |" in page
    assert "## bad: failed, exit code 1\n\n```text\nall is well\nno such kernel\n```" in page
    assert "## slow: out of time\n\n```text\nwaiting for a kernel\n```" in page
    assert (tmp_path / "out/bad.log").read_text() == "all is well\nno such kernel\n"


def test_what_a_step_has_started_ends_with_it(run, tmp_path):
    run(step("slow", HANGS, seconds=2))
    child = json.loads((tmp_path / "out/slow.json").read_text())["found"]
    assert not is_alive(child)


def test_a_day_that_is_stopped_stops_its_steps_and_writes_the_page(run, tmp_path):
    stops_the_day = HANGS.replace("time.sleep(600)\n", "os.kill(os.getppid(), 15); time.sleep(600)\n")
    with pytest.raises(SystemExit) as ended:
        run(step("good", FINDS), step("slow", stops_the_day), step("other", FINDS))
    assert ended.value.code == 143
    assert not is_alive(json.loads((tmp_path / "out/slow.json").read_text())["found"])
    page = (tmp_path / "out/gpu.md").read_text()
    assert "| good: the good step | done |" in page
    assert "| slow: the slow step | not run |" in page


def test_another_day_goes_on_with_what_is_missing(run, tmp_path):
    first = (step("good", FINDS), step("bad", FAILS), step("long", GOES_ON))
    assert run(*first) == {"good": "done", "bad": "failed", "long": "goes on"}
    second = (step("good", FAILS), step("bad", FINDS), step("long", FINDS))
    assert run(*second) == {"good": "done", "bad": "done", "long": "done"}
    assert [a["step"] for a in gpu.attempts(tmp_path / "out")] == ["good", "bad", "long", "bad", "long"]
    assert run(*second, options=("--again", "good"))["good"] == "failed"


def test_no_step_is_begun_without_time_for_it(run, tmp_path, capsys):
    assert run(step("good", FINDS), options=("--minutes", "0.2")) == {}
    assert "good: not begun, " in capsys.readouterr().out
    assert "| good: the good step | not run |" in (tmp_path / "out/gpu.md").read_text()


def test_steps_share_a_cpu(run):
    begin = "import os, time; open(RESULT + '.there', 'w'); other = RESULT.replace('{0}', '{1}') + '.there'\n"
    meet = begin + "while not os.path.exists(other): time.sleep(0.05)"
    steps = [step(a, meet.replace("{0}", a).replace("{1}", b)) for a, b in (("left", "right"), ("right", "left"))]
    assert run(*steps, options=("--at-once", "2")) == {"left": "done", "right": "done"}


def test_results_come_back_in_one_file(run, tmp_path):
    run(step("good", FINDS), options=("--pack", str(tmp_path / "results.tar.gz")))
    with tarfile.open(tmp_path / "results.tar.gz") as tar:
        names = {Path(name).name for name in tar.getnames()}
    assert {"good.json", "good.log", "steps.json", "gpu.md"} <= names


def test_without_a_card_nothing_is_called_done(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        run(step("good", FINDS), options=("--device", "cuda"))
    assert "there is no CUDA device here: --device cpu runs every step in miniature" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_long_log_keeps_its_end(tmp_path):
    log = tmp_path / "step.log"
    log.write_bytes(b"begin" + b"." * gpu.LOG_BYTES + b"the end")
    gpu.keep_end(log)
    assert log.read_bytes().startswith(b"[...]\n.")
    assert log.read_bytes().endswith(b"the end")
    assert log.stat().st_size == gpu.LOG_BYTES + len("[...]\n")


def test_a_result_of_another_shape_spoils_no_page():
    attempt = {"step": "design", "ended": "done", "seconds": 1.0, "limit": 2.0, "busy": 0.25, "exit_code": 0}
    attempt |= {"hardware": "a card", "date": "2026-11-26", "commit": "abc", "versions": "torch"}
    page = gpu_page.as_page(gpu_steps.STEPS, [attempt], {"design": {"other": 1}})
    assert "| done | 1 of 2 | 25% | a card | 2026-11-26 | abc | see its file |" in page


def test_the_docs_name_every_command():
    page = (ROOT / "docs/gpu.md").read_text()
    assert gpu.commands("cuda") in page


def test_the_kernel_sees_photographs_of_all_classes(tmp_path):
    (tmp_path / "carried/data").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    with tarfile.open(tmp_path / "carried/data/imagenette128.tar.gz", "w:gz") as tar:
        for split in ("train", "val"):
            for label in range(10):
                for i in range(20):
                    tar.addfile(tarfile.TarInfo(f"{split}/{label}/{i}.webp"))
    day = gpu_steps.Day("cpu", tmp_path / "carried", tmp_path / "out", tmp_path / "work")
    names = sorted(path.name for path in Path(day.photographs).iterdir())
    assert len(names) == gpu_steps.PHOTOGRAPHS
    assert {name.split("-")[1] for name in names} == set("0123456789")
    assert {name.split("-")[0] for name in names} == {"val"}


def test_pytest_lists_what_has_run_on_which_card(tmp_path):
    assert gpu_page.has_run(tmp_path) == ["nothing yet: benchmarks/gpu.py has its steps"]
    common = {"hardware": "16 cores of a processor, NVIDIA H100", "commit": "abc", "date": "2026-11-30"}
    runs = [("tests", "failed", "cuda"), ("tests", "done", "cuda"), ("design", "done", "cpu")]
    attempts = [common | {"step": step, "ended": ended, "device": device} for step, ended, device in runs]
    (tmp_path / "steps.json").write_text(json.dumps(attempts))
    assert gpu_page.has_run(tmp_path) == ["tests: done on 16 cores of a processor, NVIDIA H100, 2026-11-30, commit abc"]


def test_it_does_so_with_several_processes_too():
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "2", "tests/test_rooms.py"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    heading, _, rest = said.partition("what has run on a card (benchmarks/results/gpu)")
    assert heading != said
    assert rest.splitlines()[1] == gpu_page.has_run(ROOT / "benchmarks/results/gpu")[0]
