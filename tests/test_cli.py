"""The commands as a user runs them: results, interruptions, bad input."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import commands
import pytest
from test_photos import not_an_image, photo_folder, truncated

from asvit.commands.said import SAID, repeat_command

GOLDEN = Path(__file__).parents[2] / "shared" / "golden" / "architectures.csv"
SMOKE = ("design", "--recipe", "smoke", "--threads", "1")


def asvit(*arguments: str | Path, cwd: Path, check: int = 0, **options) -> subprocess.CompletedProcess:
    done = commands.run(arguments, cwd, **options)
    assert done.returncode == check, done.stderr
    return done


def rows(ledger: Path) -> int:
    try:
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM measurement").fetchone()[0]
    except sqlite3.OperationalError:  # not there yet
        return 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A design that nothing interrupted."""
    folder = tmp_path_factory.mktemp("finished")
    asvit(*SMOKE, "--steps", "12", "--out", "run", cwd=folder)
    return folder / "run"


def test_design_hands_over_a_family_within_its_budget(finished):
    result = json.loads((finished / "result.json").read_text())
    assert len(result["search"]["steps"]) == 12
    (member,) = result["family"]
    assert member["params"] <= 5_000_000
    assert member["share"] > 0.8
    described = asvit("describe", finished / "family" / "5M-params.json", "--image-size", "32", "--json", cwd=finished)
    assert json.loads(described.stdout)["params"] == member["params"]
    assert "seconds" not in (finished / "result.json").read_text()
    assert (finished / "report.html").stat().st_size > 100_000


@pytest.mark.parametrize(
    ("how", "after"),
    [(signal.SIGKILL, 15), (signal.SIGINT, 1), (signal.SIGTERM, 30)],
)
def test_an_interrupted_design_ends_in_the_same_bytes(finished, tmp_path, how, after):
    command = commands.Started([*SMOKE, "--steps", "12", "--out", "run"], tmp_path)
    while rows(tmp_path / "run" / "measurements.sqlite") < after and command.at_work():
        time.sleep(0.01)
    command.send(how)
    done = command.ended()
    codes = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}
    assert done.returncode == codes[how], done.stderr
    assert "Traceback" not in done.stderr
    before = rows(tmp_path / "run" / "measurements.sqlite")
    assert before >= after
    assert not (tmp_path / "run" / "result.json").exists()
    asvit(*SMOKE, "--steps", "12", "--out", "run", cwd=tmp_path)
    assert (tmp_path / "run" / "result.json").read_bytes() == (finished / "result.json").read_bytes()


def test_a_finished_run_is_repeated_from_its_ledger_and_keeps_its_threads(finished):
    before = {p.name: p.read_bytes() for p in finished.iterdir() if p.suffix == ".json"}
    measured = rows(finished / "measurements.sqlite")
    asvit("design", "--recipe", "smoke", "--steps", "12", "--out", finished, cwd=finished)  # threads from run.json
    assert {p.name: p.read_bytes() for p in finished.iterdir() if p.suffix == ".json"} == before
    assert rows(finished / "measurements.sqlite") == measured


@pytest.mark.parametrize("room", [24_000, 200_000], ids=["for half a ledger", "for all but the report"])
def test_a_full_disk_keeps_what_was_measured(finished, tmp_path, room):
    stopped = asvit(*SMOKE, "--steps", "12", "--out", "run", cwd=tmp_path, check=2, largest_file=room)
    assert stopped.stderr.splitlines()[-1].startswith("asvit: cannot")
    assert "make room" in stopped.stderr.splitlines()[-1]
    assert "Traceback" not in stopped.stderr
    asvit(*SMOKE, "--steps", "12", "--out", "run", cwd=tmp_path)
    assert (tmp_path / "run" / "result.json").read_bytes() == (finished / "result.json").read_bytes()


def test_small_images_are_designed_for_at_a_base_stride_of_one(tmp_path):
    small = ("--base-stride", "1", "--steps", "3", "--num-classes", "10", "--params", "3M")
    asvit(*SMOKE, *small, "--out", "run", cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert set(result["search"]["probabilities"]["K1"]) == {"2", "3"}
    (member,) = result["family"]
    described = asvit("describe", "run/family/3M-params.json", "--json", cwd=tmp_path)  # which says what it is for
    assert [stage["resolution"] for stage in json.loads(described.stdout)["stages"]] == [
        [32, 32],
        [16, 16],
        [8, 8],
        [4, 4],
    ]
    page = (tmp_path / "run" / "report.html").read_text()
    assert member["architecture"] in page


def test_few_tokens_are_pointed_out(tmp_path):
    said = asvit("search", "--recipe", "smoke", "--steps", "1", "--repeats", "1", "--out", "run", cwd=tmp_path).stderr
    assert "at 32x32 a base stride of 4 leaves the last stage 1 token a side: --base-stride 1 or 2 leaves more" in said


def test_json_is_the_record_and_nothing_else(tmp_path):
    printed = asvit(*SMOKE, "--steps", "2", "--params", "1M", "--json", cwd=tmp_path).stdout
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("design-smoke-")
    assert json.loads(printed) == json.loads((run / "result.json").read_text())


def test_a_changed_configuration_is_refused_with_the_difference(finished):
    said = asvit(*SMOKE, "--steps", "13", "--out", finished, cwd=finished, check=2).stderr
    assert "begun with --steps 12, not 13: repeat its command" in said
    assert len(said.splitlines()) == 1


def test_search_several_times_then_grow_what_was_found(tmp_path):
    asvit("search", "--recipe", "smoke", "--steps", "2", "--runs", "2", "--out", "s", cwd=tmp_path)
    result = json.loads((tmp_path / "s" / "result.json").read_text())
    assert len(result["runs"]) == 2
    assert set(result["statistics"]["K1"]) == {"mean", "relative_std"}
    grown = asvit("grow", "s/result.json", "--recipe", "smoke", "--macs", "6M", "--json", cwd=tmp_path)
    (member,) = json.loads(grown.stdout)["family"]
    assert member["macs"] <= 6_000_000


MEMORY = (
    "design", "--recipe", "smoke", "--threads", "1", "--start", "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,2|16,32",
    "--image-size", "32", "64", "--in-chans", "5", "--num-classes", "12",
    "--memory", "7MB", "--latency", "100s", "--params", "2M", "--params", "1M", "--together", "--out", "run",
)  # fmt: skip


def test_a_design_within_measured_budgets_is_killed_and_goes_on_from_what_it_measured(tmp_path):
    """Memory is exact: kills change nothing but latencies, and those that were measured stay."""
    ledger, result = tmp_path / "run" / "measurements.sqlite", tmp_path / "run" / "result.json"
    command = commands.Started(MEMORY, tmp_path)
    while rows(ledger) < 40 and command.at_work():
        time.sleep(0.01)
    command.send(signal.SIGKILL)
    done = command.ended()
    assert done.returncode == -9, done.stderr
    before = latencies(ledger)
    assert before
    printed = json.loads(asvit(*MEMORY, "--json", cwd=tmp_path).stdout)
    after = latencies(ledger)
    assert before.items() <= after.items()
    record = result.read_bytes()
    asvit(*MEMORY, cwd=tmp_path)
    assert result.read_bytes() == record
    assert latencies(ledger) == after

    assert printed["search"] is None
    assert printed["task"] == {"image_size": [32, 64], "in_chans": 5, "num_classes": 12}
    assert printed["growth"]["steps"][0]["architecture"] == MEMORY[6]
    for member, limit in zip(printed["family"], (2 * 10**6, 10**6), strict=True):
        assert limit * 0.8 < member["params"] <= limit
        used = member["usage"]
        assert used["memory"] <= 7 * 10**6
        assert used["latency"] in after.values()
        assert (used["batch_size"], used["precision"], used["threads"]) == (1, "float32", 1)
    assert {path.name for path in (tmp_path / "run" / "family").iterdir()} == {
        "2M-params-7MB-memory-100s-latency.json",
        "1M-params-7MB-memory-100s-latency.json",
    }
    page = (tmp_path / "run" / "report.html").read_text()
    assert "32×64 images, 5 channels, 12 classes" in page


def latencies(ledger: Path) -> dict[tuple, float]:
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT context, subject, value FROM measurement WHERE metric = 'latency'")
        return {(context, subject): value for context, subject, value in found}


def test_memory_below_the_smallest_network_is_refused_before_anything_is_searched(tmp_path):
    said = asvit(*SMOKE, "--memory", "100kB", "--out", "run", cwd=tmp_path, check=2).stderr.splitlines()
    assert "100kB of memory is below the smallest network that the smallest topology of the space has" in said[-1]
    assert not any("search" in line for line in said[:-1])
    assert rows(tmp_path / "run" / "measurements.sqlite") == 0  # a latency of a busy moment would be refused for good


def test_an_image_size_is_one_number_or_two(tmp_path):
    def described(*words: str) -> dict:
        return json.loads(asvit("describe", *words, "--json", cwd=tmp_path).stdout)

    assert described("--image-size", "96", "128", "seed") == described("seed", "--image-size", "96x128")
    assert described("--image-size", "96", "seed") == described("seed", "--image-size", "96x96")


def test_a_full_architecture_is_grown_as_it_is_and_a_topology_from_one_block_a_stage(tmp_path):
    def first(network: str) -> str:
        printed = asvit(
            "grow", network, "--recipe", "smoke", "--threads", "1", "--params", "1.3M", "--json", cwd=tmp_path
        ).stdout
        return json.loads(printed)["growth"]["steps"][0]["architecture"]

    full = "4,2,2,2|2,1,2,1|2,1,2,1|2,1,2,2|16,32"
    assert first(full) == full
    assert first("4,2,2|2,1,2|2,1,2|2,1,2|16") == "4,2,2,1|2,1,2,1|2,1,2,1|2,1,2,1|16,32"


def test_design_by_another_score(tmp_path):
    asvit(*SMOKE, "--score", "naswot:2,expansion", "--params", "2M", "--out", "run", cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert set(result["family"][0]["measurement"]["estimates"]) == {"naswot", "expansion"}
    asked = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert asked["search"]["score"] == asked["growth"]["score"]
    assert asked["search"]["score"][0] == {"name": "naswot", "weight": 2.0}


def test_measure_several_networks_with_five_channels(tmp_path):
    done = asvit(
        "measure", "seed", "timm:resnet10t", "--image-size", "32x64", "--in-chans", "5",
        "--metrics", "length,ntk", "--recipe", "smoke", "--json", cwd=tmp_path,
    )  # fmt: skip
    first, second = json.loads(done.stdout)["measurements"]
    assert first["invalid"] is second["invalid"] is None
    assert second["subject"] == "timm:resnet10t"
    assert set(first["seconds"]) == set(first["work"]) == {"length", "ntk"}
    assert "repeated over 5" in done.stderr


def test_the_images_of_a_folder_are_used(tmp_path):
    photo_folder(tmp_path)
    mine, theirs = (
        json.loads(asvit("measure", "seed", "--recipe", "smoke", "--json", *more, cwd=tmp_path).stdout)["measurements"]
        for more in (["--images", "."], [])
    )
    assert mine[0]["estimates"]["length"] == theirs[0]["estimates"]["length"]
    assert mine[0]["estimates"]["ntk"] != theirs[0]["estimates"]["ntk"]


@pytest.mark.skipif(not GOLDEN.exists(), reason="golden counts stand beside the project only while it is developed")
def test_describe_agrees_with_every_golden_row(capsys):
    from asvit.commands.show import show_architecture
    from asvit.networks.architecture import Architecture, Task

    with GOLDEN.open() as file:
        for row in csv.DictReader(file):
            for embedded, column in ((True, "params"), (False, "params_no_pos_embed")):
                architecture = Architecture.parse(row["architecture"])
                show_architecture(architecture, Task(), position_embedding=embedded, as_json=True)
                record = json.loads(capsys.readouterr().out)
                assert record["params"] == int(row[column])
                assert record["macs"] == int(row["macs"])
                assert record["architecture"] == row["architecture"]
                assert record["image_size"] == [224, 224]
                assert len(record["stages"]) == 4


def test_describe_needs_no_torch(tmp_path):
    program = (
        "import sys; from asvit.commands.app import app; app(['describe', 'small'], result_action='return_value')\n"
    )
    program += "assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "29,051,296 parameters" in done.stdout


BAD = {
    "unknown command": (["desing"], 'Did you mean "design"'),
    "unknown option": (["design", "--parms", "3M"], "Did you mean --params"),
    "unknown choice": (["measure", "seed", "--norm", "batch"], '"identity", "layer"'),
    "unknown architecture": (["describe", "tiny"], "seed, small, base, large"),
    "choice outside Table 1": (["describe", "9,2,3|4,1,2|4,1,4|4,1,6|32"], "allows 4, 5, 6, 7, 8"),
    "malformed text": (["describe", "8,2|4,1,2|4,1,4|4,1,6|32"], "expected whole numbers in the form"),
    "malformed size": (["design", "--params", "many"], "expected a positive number such as 30M"),
    "budget too small": (["design", "--params", "10k"], "expected at least"),
    "image too small": (["describe", "seed", "--image-size", "16"], "expected sides from 32, or a smaller base stride"),
    "duration without a unit": (["design", "--latency", "8"], "such as 8ms, 0.5s"),
    "budgets that look alike": (["design", "--params", "3001k", "--params", "3002k"], "several budgets of 3M-params"),
    "no amount of memory": (["grow", "seed", "--memory", "much"], "such as 2GB, 512MiB"),
    "latency of nothing": (["design", "--batch-size", "8"], "give --latency or --memory"),
    "no images at a time": (["design", "--latency", "8ms", "--batch-size", "0"], "expected at least 1"),
    "one kind together": (["design", "--params", "3M", "--together"], "--params 3M --latency 8ms --together"),
    "uneven budgets together": (
        ["design", *("--params", "3M") * 2, *("--latency", "8ms") * 3, "--together"],
        "there are 2 of params, 3 of latency",
    ),
    "a search that is left out": (["design", "--start", "seed", "--steps", "5"], "leave out --start-from, --steps"),
    "image size no number": (["describe", "seed", "--image-size", "big"], "expected pixels such as 224"),
    "no channels": (["describe", "seed", "--in-chans", "0"], "expected at least 1"),
    "no repeats": (["measure", "seed", "--repeats", "0"], "expected at least 1"),
    "malformed memory": (["measure", "seed", "--work-memory", "lots"], "expected a positive number such as"),
    "unknown metric": (["measure", "seed", "--metrics", "flops"], "unknown metrics flops"),
    "unknown score": (["design", "--score", "flops"], "unknown metrics flops"),
    "malformed score": (["search", "--score", "2*length"], "such as length:2,ntk"),
    "timm at fan-in": (
        ["measure", "timm:resnet18", "--initialisation", "fan-in", "--recipe", "smoke"],
        "keeps its own initialisation",
    ),
    "nothing to measure": (["measure"], "expected one or more"),
    "unknown timm model": (["measure", "timm:vit_huge_patch1"], "timm has no model named"),
    "unknown device": (["measure", "seed", "--device", "tpu9"], "expected auto, cpu, cuda"),
    "missing image folder": (["measure", "seed", "--images", "nowhere"], "there is no folder nowhere"),
    "empty image folder": (["measure", "seed", "--images", "empty"], "no images in empty"),
    "truncated image": (["measure", "seed", "--recipe", "smoke", "--images", "truncated"], "cannot read the image"),
    "no image": (["measure", "seed", "--recipe", "smoke", "--images", "text"], "cannot read the image"),
    "folder that cannot be written": (["design", "--recipe", "smoke", "--out", "file/run"], "choose another --out"),
    "folder of something else": (["design", "--recipe", "smoke", "--out", "text"], "holds"),
    "report of nothing": (["report", "empty"], "run.json"),
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    for name in ("empty", "truncated", "text"):
        (folder / name).mkdir()
    truncated(photo_folder(folder / "truncated"))
    not_an_image(photo_folder(folder / "text"))
    (folder / "file").write_text("")
    return folder


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(workplace, case):
    arguments, complaint = BAD[case]
    done = asvit(*arguments, cwd=workplace, check=2)
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert sorted(os.listdir(workplace)) == ["empty", "file", "text", "truncated"]


def test_repeat_command_with_another_recipe():
    before = SAID.set(("design", "--recipe", "quick", "--params", "3M", "--json"))
    assert repeat_command() == "asvit design --recipe quick --params 3M"
    assert repeat_command(recipe="paper") == "asvit design --params 3M --recipe paper"
    SAID.reset(before)
