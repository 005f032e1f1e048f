"""A designed family beside other networks: cells, the record, the page, and the command."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import commands
import pytest
from image_sets import array_folder
from test_measure import TINY, Toy
from test_report import charts_of, text_of, write_run

from asvit.errors import UserError
from asvit.measure.compared import SIDE_BY_SIDE, Cell, Row, SideBySide
from asvit.measure.estimates import Estimate
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Settings, Use
from asvit.measure.side_by_side import Entrant, measure_side_by_side
from asvit.networks.architecture import Task
from asvit.report import write_report, write_side_by_side
from asvit.runs.records import REPORT, read_record, write_record

TASK = Task(image_size=(32, 32))
SETTINGS = Settings(repeats=2, angles=3, kernel_images=4)
REASON = "nets:<small> has no depth"
ENVIRONMENT = {"asvit": "0.1.0", "torch": "2", "python": "3.11", "machine": "x", "device": "laptop", "threads": 2}


def test_each_network_has_the_measures_that_it_admits_and_repeats_go_round():
    measurer = Measurer(SETTINGS, TASK, metrics=["params", "length", "depth", "ntk"])
    entrants = [Entrant("tiny", TINY, "3M parameters"), Entrant("dead", Toy("dead", 0.0))]
    seen = []
    ours, dead = measure_side_by_side(measurer, entrants, lambda done, name: seen.append((done, name)))
    assert seen == [(1, "tiny"), (2, "dead"), (3, "tiny"), (4, "dead")]
    alone = Measurer(SETTINGS, TASK, metrics=["params", "length", "depth", "ntk"])(TINY)
    assert {name: cell.estimate for name, cell in ours.cells.items()} == alone.estimates
    assert (ours.subject, ours.designed_for, dead.designed_for) == (TINY.name, "3M parameters", None)
    assert dead.cells["params"].estimate == Estimate.of([1.0, 1.0])
    assert dead.cells["depth"].estimate is None
    assert "dead has no depth" in dead.cells["depth"].missing
    assert "invalid: repeat 0: the kernel is singular" in dead.cells["ntk"].missing


def rows() -> tuple[Row, ...]:
    def measured(params: float, latency: float) -> dict[str, Cell]:
        return {
            "params": Cell(Estimate.of([params, params])),
            "latency": Cell(Estimate.of([latency, latency + 2])),
            "ntk": Cell(Estimate.of([3.0, 5.0])),
            "depth": Cell(Estimate.of([4.0, 4.0])),
        }

    other = measured(5e6, 9.0) | {"depth": Cell(None, REASON)}
    return (
        Row("8,2,3|4,1,2|4,1,4|4,1,6|32", "8,2,3|4,1,2|4,1,4|4,1,6|32", "3M parameters", measured(2e6, 6.0)),
        Row("nets:<small>", "nets:<small>", None, other),
        Row("timm:resnet18", "timm:resnet18", None, measured(1e6, 4.0)),
    )


@pytest.fixture
def run(tmp_path) -> Path:
    """Folder of a growth whose family was put beside two networks."""
    write_run(tmp_path, "grow")
    record(tmp_path, rows())
    return tmp_path


def record(directory: Path, rows: tuple[Row, ...]) -> SideBySide:
    result = SideBySide(TASK, SETTINGS, Use(batch_size=4), 3, "abc", ENVIRONMENT, "asvit report x --against y", rows)
    write_record(directory / SIDE_BY_SIDE, "report", result)
    return result


def test_the_record_is_read_as_it_was_written(run):
    assert read_record(run / SIDE_BY_SIDE, SideBySide) == record(run, rows())


def test_page_says_what_was_measured_and_how(run):
    page = write_side_by_side(run).read_text(encoding="utf-8")
    text = text_of(page)
    for said in ("laptop, 2 threads", "batches of 4 images in float32", "over 2 repeats", "asvit report x --against y"):
        assert said in text
    assert "designed for 3M parameters" in text
    assert "7.0 ± 1.0" in text  # milliseconds
    assert "Why 1 of 12 cells are empty" in text
    assert f"nets:<small>, depth: {REASON}" in text
    assert "<small>" not in page
    assert text.index("timm:resnet18") < text.index("designed for") < text.index("nets:<small>")  # by parameters
    bundle = max(re.findall(r"<script>(.*?)</script>", page, re.DOTALL), key=len)
    assert not re.search(r"https?://|<link|\ssrc=|@import", page.replace(bundle, ""))


def test_page_says_first_how_the_designed_network_compares_and_what_comes_next(run):
    page = write_side_by_side(run).read_text(encoding="utf-8")
    text = text_of(page)
    said = (
        "Designed for 3M parameters: 2M parameters. Beside timm:resnet18, the nearest in size, it takes 2 times of its "
    )
    assert said + "parameters and 140 % of its latency." in text
    assert "Which is the most accurate is not known: none of them is trained here." in text
    assert text.index(said) < text.index("recipe quick")


def test_page_says_at_which_width_measures_were_taken_and_that_length_grows(run):
    text = text_of(write_side_by_side(run).read_text(encoding="utf-8"))
    assert "κΘ is the NTK condition number (lower is taken for better)" in text
    assert "at its full width; the report of the design has networks at 1/4 of it" in text
    assert "grows with the size" not in text  # no length was measured
    longer = (replace(row, cells=row.cells | {"length": Cell(Estimate.of([1.0, 2.0]))}) for row in rows())
    record(run, tuple(longer))
    text = text_of(write_side_by_side(run).read_text(encoding="utf-8"))
    assert "LE grows with the size of a network: compare it at like size only." in text


def test_a_member_of_the_family_is_trained_from_its_file_and_the_other_at_the_same_size(run):
    member = json.loads((run / "result.json").read_text())["family"][0]
    first, *others = rows()
    record(run, (replace(first, name=member["architecture"], subject=member["architecture"]), *others))
    text = text_of(write_side_by_side(run).read_text(encoding="utf-8"))
    assert f"asvit train {run}/family/3M-params.json --data path/to/images" in text
    assert "asvit train timm:resnet18 --data path/to/images --image-size 32" in text


def test_names_at_points_are_short(run):
    first, *others = rows()
    record(run, (replace(first, designed_for="3M parameters and 20ms of latency"), *others))
    labels = {row["words"] for row in charts_of(write_side_by_side(run).read_text())["ntk"] if "words" in row}
    assert labels == {"3M, 20ms", "resnet18", "nets:<small>"}


def test_charts_hold_the_record(run):
    charts = charts_of(write_side_by_side(run).read_text(encoding="utf-8"))
    assert charts.keys() == {"latency", "ntk"}  # of depth there are two points only
    points = {row["network"]: row for row in charts["latency"]}
    for network in rows():
        latency = network.cells["latency"].estimate
        point = points[network.name]
        assert (point["params"], point["latency"]) == (network.cells["params"].estimate.mean, latency.mean)
        assert point["latency_high"] == latency.mean + latency.standard_error
        assert point["designed"] == (network.designed_for is not None)


def test_pages_are_drawn_again_from_records_and_the_report_leads_to_the_other(run):
    first = write_side_by_side(run).read_bytes()
    (run / SIDE_BY_SIDE).rename(run / "kept")
    assert write_side_by_side(run) is None
    assert "side-by-side.html" not in write_report(run).read_text(encoding="utf-8")
    (run / "kept").rename(run / SIDE_BY_SIDE)
    assert write_side_by_side(run).read_bytes() == first
    assert 'href="side-by-side.html"' in write_report(run).read_text(encoding="utf-8")


def test_damaged_records_are_refused(run):
    first, second, third = rows()
    broken = {
        "no networks": (),
        "has other measures": (first, replace(second, cells={"params": second.cells["params"]})),
        "depth of timm:resnet18 is neither measured nor missing": (
            first,
            replace(third, cells=third.cells | {"depth": Cell(None)}),
        ),
    }
    for said, damaged in broken.items():
        record(run, damaged)
        with pytest.raises(UserError, match=said):
            write_side_by_side(run)


NET = """
from torch import nn

def net(num_classes):
    layers = nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(8, num_classes))
"""
AGAINST = ["--against", "timm:resnet10t", "one:net", "seed", "--metrics", "params,memory,latency,length,dss"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    """A folder with a network of one's own, and a search beside which it and others stand."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "one.py").write_text(NET)
    smoke = ["--recipe", "smoke", "--steps", "2", "--score", "params", "--threads", "1"]
    done = commands.run(["search", *smoke, "--out", "run"], folder)
    assert done.returncode == 0, done.stderr
    done = commands.run(["report", "run", *AGAINST, "--batch-size", "2"], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["run/report.html", "run/side-by-side.html"]
    return folder


def test_a_design_beside_networks_of_timm_of_ones_own_and_of_ours(searched):
    result = read_record(searched / "run" / SIDE_BY_SIDE, SideBySide)
    assert [row.name for row in result.rows[1:]] == ["timm:resnet10t", "one:net", "seed"]
    assert result.rows[0].designed_for == "a seed topology"
    assert [row.cells["dss"].missing is None for row in result.rows] == [True, False, False, True]
    assert "no linear layer within attention" in result.rows[2].cells["dss"].missing
    assert (result.use, result.environment["threads"]) == (Use(batch_size=2), 1)
    assert result.environment["timm"]
    assert result.rows[2].cells["params"].estimate.mean == 8 * 27 + 8 + 16 + 9 * 1000
    for row in result.rows:
        assert row.cells["memory"].estimate.mean > 4 * row.cells["params"].estimate.mean
        assert row.cells["latency"].estimate.mean > 0


def test_a_report_alone_draws_what_was_measured_without_measuring(searched, tmp_path):
    shutil.copytree(searched / "run", tmp_path / "run")
    pages = {name: (tmp_path / "run" / name).read_bytes() for name in ("side-by-side.html", REPORT)}
    for name in (*pages, "measurements.sqlite"):
        (tmp_path / "run" / name).unlink()
    done = commands.run(["report", "run"], tmp_path)  # where there is no network of one's own
    assert done.returncode == 0, done.stderr
    assert {name: (tmp_path / "run" / name).read_bytes() for name in pages} == pages
    assert not (tmp_path / "run" / "measurements.sqlite").exists()


def test_networks_are_in_use_as_the_run_had_them(searched, tmp_path):
    """Of a family within a measured latency or memory, run.json says at what batch size and precision."""
    shutil.copytree(searched / "run", tmp_path / "run")
    asked = json.loads((tmp_path / "run" / "run.json").read_text())
    asked["config"]["in_use"] = {"batch_size": 3, "precision": "bfloat16"}
    (tmp_path / "run" / "run.json").write_text(json.dumps(asked))
    for more, use in (
        ([], Use(batch_size=3, precision="bfloat16")),
        (["--batch-size", "1"], Use(precision="bfloat16")),
    ):
        done = commands.run(["report", "run", "--against", "seed", "--metrics", "memory", *more], tmp_path)
        assert done.returncode == 0, done.stderr
        assert read_record(tmp_path / "run" / SIDE_BY_SIDE, SideBySide).use == use


def test_arrays_are_read_again_in_the_range_of_values_of_the_run(tmp_path):
    array_folder(tmp_path / "arrays", 2)
    smoke = ["--recipe", "smoke", "--params", "1M", "--image-size", "32", "--threads", "1", "--start", "seed"]
    done = commands.run(["design", *smoke, "--images", "arrays", "--value-range=-9:300", "--out", "run"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--data arrays --value-range=-9:300" in done.stderr
    done = commands.run(["report", "run", "--against", "seed", "--metrics", "ntk"], tmp_path)
    assert done.returncode == 0, done.stderr
    rows = read_record(tmp_path / "run" / SIDE_BY_SIDE, SideBySide).rows
    assert all(row.cells["ntk"].estimate.mean > 1 for row in rows)
    assert "--data arrays --value-range=-9:300" in text_of(
        (tmp_path / "run" / "side-by-side.html").read_text(encoding="utf-8")
    )


BAD = {
    "no networks": (["--batch-size", "2"], "expected some networks after it"),
    "other photographs": (["--against", "seed", "--images", "photos"], "saw other images than those in photos"),
    "no such model": (["--against", "timm:resnet"], "timm has no model named"),
    "no such module": (["--against", "two:net"], "there is no module two"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(searched, case):
    from skimage import data, io

    photos = searched / "photos"
    photos.mkdir(exist_ok=True)
    for i in range(4):
        io.imsave(photos / f"{i}.png", data.astronaut()[i * 64 : i * 64 + 64, :64], check_contrast=False)
    arguments, said = BAD[case]
    done = commands.run(["report", "run", *arguments], searched)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_only_designs_have_a_family(tmp_path):
    write_run(tmp_path, "grow")
    asked = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(asked | {"job": "train"}))
    done = commands.run(["report", ".", "--against", "seed"], tmp_path)
    assert done.returncode == 2
    assert "of the job 'train', which designs nothing: expected one of search, grow, design" in done.stderr
