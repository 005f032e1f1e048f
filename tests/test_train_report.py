"""The report of a training, from records made by hand: what it says, what it draws, what it refuses."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from test_report import charts_of, text_of

from asvit.errors import UserError
from asvit.networks.architecture import Task
from asvit.report import write_picture, write_report
from asvit.runs.records import REPORT, RESULT, RUN, to_json, write_file, write_record
from asvit.training.recipe import RECIPES
from asvit.training.results import Epoch, TrainResult, best_of
from asvit.training.schedule import StageCost, saved_share, schedule_of

IMAGES = 1000
COSTS = {1: 4_000_000, 2: 1_500_000, 4: 800_000}
COMMAND = "asvit train seed --data 'a <b>folder</b>'"
NETWORK = "8,2,3,1|4,1,2,1|4,1,4,1|4,1,6,1|32,32"


def result_of(*stage_epochs: int, network: str = NETWORK, classes: tuple[str, ...] = ("cat", "owl")) -> TrainResult:
    """A training whose accuracy rises, and falls back at the beginning of every stage."""
    stages = tuple(StageCost(s.coarseness, s.epochs, COSTS[s.coarseness]) for s in schedule_of(stage_epochs))
    epochs: list[Epoch] = []
    for stage in stages:
        for i in range(stage.epochs):
            number, spent = len(epochs) + 1, epochs[-1].macs if epochs else 0
            epochs.append(
                Epoch(
                    epoch=number,
                    coarseness=stage.coarseness,
                    lr=1e-3 / number,
                    train_loss=2 / (i + 1),
                    loss=1.5 / (i + 1),
                    top1=1 - 0.4 / (i + 2),
                    top5=1 - 0.1 / (i + 2),
                    macs=spent + 3 * IMAGES * stage.macs,
                    seconds=10.5 / stage.coarseness,
                    waiting=0.125,
                    images_per_second=1234.5,
                    unreadable=0,
                )
            )
    best = best_of(epochs)
    assert best is not None
    return TrainResult(
        network=network,
        task=Task(image_size=(32, 48), in_chans=1, num_classes=len(classes)),
        classes=classes,
        params=2_063_146,
        stages=stages,
        saved_macs=saved_share(stages),
        saved_time=0.25,
        best=best,
        checkpoint=f"checkpoints/epoch-{best.epoch:04}.safetensors",
        unreadable=(),
        epochs=tuple(epochs),
    )


def write_run(directory: Path, result: TrainResult) -> None:
    recipe = replace(RECIPES["digits"], epochs=len(result.epochs), warmup_epochs=0)
    config = {"recipe": "digits", "network": result.network, "data": "a <b>folder</b>", "seed": 7}
    config |= {"train": asdict(recipe), "schedule": [asdict(stage) for stage in result.stages]}
    environment = {"asvit": "0.1.0", "torch": "2", "python": "3.11", "machine": "x", "device": "cpu", "threads": 2}
    run = {"schema": 1, "job": "train", "config": config, "environment": environment, "command": COMMAND}
    write_file(directory / RUN, to_json(run | {"commit": None}))
    write_record(directory / RESULT, "train", result)


def page_of(directory: Path, result: TrainResult) -> str:
    write_run(directory, result)
    return write_report(directory).read_text(encoding="utf-8")


def tables_of(page: str) -> list[list[list[str]]]:
    """Cells of every table, without the labels for narrow screens."""
    rows = [
        [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]
        for body in re.findall(r"<tbody>(.*?)</tbody>", page)
    ]
    return [[[text_of(re.sub(r'<span class="label">.*?</span>', "", c)) for c in r] for r in body] for body in rows]


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    """Record, page and folder of a training of three stages."""
    directory = tmp_path_factory.mktemp("train")
    result = result_of(2, 3, 4)
    return result, page_of(directory, result), directory


def test_page_says_what_was_trained_and_found(coarse):
    _, page, _ = coarse
    text = text_of(page)
    assert f"Training of {NETWORK} on 32×48 images, 1 channel, 2 classes" in text
    assert "trained on a <b>folder</b> for 9 epochs in batches of 64" in text
    assert "recipe digits · seed 7 · cpu, 2 threads · asvit 0.1.0 · torch 2 · Python 3.11" in text
    assert COMMAND in text
    assert "Best epoch 9 of 9: top-1 accuracy 92.00%, top-5 98.00%, loss 0.3750; 2.06M parameters" in text
    assert "checkpoints/epoch-0009.safetensors" in text
    # 1 - (2 * 0.8 + 3 * 1.5 + 4 * 4) / (9 * 4)
    assert "Coarse tokens saved 38.6% of the multiply-adds and 25.0% of the time." in text
    assert "train.batch_size64" in text


def test_stages_and_epochs_are_listed(coarse):
    _, page, _ = coarse
    stages, epochs = tables_of(page)
    assert stages == [
        ["1 to 2", "1/16", "800k", "20.0%"],
        ["3 to 5", "1/4", "1.5M", "37.5%"],
        ["6 to 9", "all", "4M", "100.0%"],
    ]
    assert [row[0] for row in epochs] == [str(number) for number in range(1, 10)]
    expected = ["3", "1/4", "3.33e-04", "2.0000", "1.5000", "80.00%", "95.00%", "5.2", "1,234", "12.5%"]
    assert epochs[2] == expected
    assert "<strong>9</strong>" in page
    assert "<strong>8</strong>" not in page


def test_charts_hold_the_record(coarse):
    result, page, _ = coarse
    charts = charts_of(page)
    assert charts.keys() == {"top1-epoch", "top1-macs", "loss-epoch", "loss-macs"}
    for spent in ("epoch", "macs"):
        accuracy = [row for row in charts[f"top1-{spent}"] if "epoch" in row]
        assert [row["top1"] for row in accuracy[:9]] == [epoch.top1 for epoch in result.epochs]
        assert [row[spent] for row in accuracy[:9]] == [getattr(epoch, spent) for epoch in result.epochs]
        assert [row["epoch"] for row in accuracy[9:]] == [result.best.epoch]
        loss = [row for row in charts[f"loss-{spent}"] if "images" in row]
        assert [row["value"] for row in loss if row["images"] == "training"] == [e.train_loss for e in result.epochs]
        assert [row["value"] for row in loss if row["images"] == "validation"] == [e.loss for e in result.epochs]


def test_coarse_stages_are_shaded(coarse):
    _, page, _ = coarse
    charts = charts_of(page)
    for name in ("top1", "loss"):
        bands = {
            spent: [(row["stage"], row["start"], row["end"]) for row in charts[f"{name}-{spent}"] if "stage" in row]
            for spent in ("epoch", "macs")
        }
        assert bands["epoch"] == [("1/16 of the tokens", 0, 2), ("1/4 of the tokens", 2, 5)]
        ends = [0, 3 * IMAGES * 1_600_000, 3 * IMAGES * 6_100_000]
        assert bands["macs"] == [("1/16 of the tokens", *ends[:2]), ("1/4 of the tokens", *ends[1:])]


def test_same_records_same_bytes(coarse):
    _, page, directory = coarse
    assert write_report(directory) == directory / REPORT
    assert (directory / REPORT).read_text(encoding="utf-8") == page


def test_page_loads_nothing(coarse):
    _, page, _ = coarse
    bundle = max(re.findall(r"<script>(.*?)</script>", page, re.DOTALL), key=len)
    rest = page.replace(bundle, "")
    assert not re.search(r"https?://|<link|\ssrc=|url\(|@import", rest)


def test_a_single_stage_has_no_bands(tmp_path):
    page = page_of(tmp_path, result_of(3))
    assert "Coarse tokens" not in text_of(page)
    assert "A single stage" in text_of(page)
    assert not any("stage" in row for rows in charts_of(page).values() for row in rows)
    assert tables_of(page)[0] == [["1 to 3", "all", "4M", "100.0%"]]


def test_coarse_tokens_that_saved_no_time(tmp_path):
    text = text_of(page_of(tmp_path, replace(result_of(1, 2), saved_time=-0.44)))
    assert "of the multiply-adds but no time: training took 44.0% longer than 3 epochs with all tokens would" in text


def test_long_lists_are_folded(tmp_path):
    page = page_of(tmp_path, result_of(11))
    assert "<summary>All 11 epochs</summary>" in page
    assert len(tables_of(page)[1]) == 11
    assert "<summary>All" not in page_of(tmp_path, result_of(10)).replace("<summary>All settings", "")


def test_unreadable_images_are_listed(tmp_path):
    result = result_of(2)
    assert "could not be read" not in text_of(page_of(tmp_path, result))
    last = replace(result.epochs[-1], unreadable=3)
    problems = ("a/<i>1</i>.png: truncated", "b/2.png: no image", "b/3.png: empty")
    result = replace(result, unreadable=problems, best=last, epochs=(result.epochs[0], last))
    page = page_of(tmp_path, result)
    assert "3 training images could not be read and gave way to another" in text_of(page)
    assert "a/&lt;i&gt;1&lt;/i&gt;.png: truncated</span></li>" in page
    page = page_of(tmp_path, replace(result, unreadable=problems[:2]))
    assert "another; the first 2 are listed" in text_of(page)


def test_names_are_escaped(tmp_path):
    result = result_of(1, network="timm:<b>net</b>", classes=("<b>cat</b>", "</script>", "owl & co"))
    page = page_of(tmp_path, result)
    assert "<b>" not in page
    assert "<title>Training of timm:&lt;b&gt;net&lt;/b&gt; on" in page
    assert "&lt;b&gt;cat&lt;/b&gt;, &lt;/script&gt;, owl &amp; co" in page


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_picture(coarse, suffix):
    _, _, directory = coarse
    target = write_picture(directory, directory / f"picture{suffix}")
    if suffix == ".png":
        with Image.open(target) as image:
            image.load()
            assert image.width > 2 * image.height
    else:
        root = ElementTree.fromstring(target.read_bytes())
        words = {"".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")}
        assert {"Top-1 accuracy by epoch: best 92.00%", "1/16 of the tokens", "training"} <= words


def test_bad_results_are_refused_in_one_line(tmp_path):
    result = result_of(1, 2)
    write_run(tmp_path, result)
    other = replace(result.best, epoch=9)
    for wrong, message in (
        (replace(result, epochs=result.epochs[:-1]), "epochs are not those of its stages"),
        (replace(result, epochs=(), stages=()), "best epoch is none of its epochs"),
        (replace(result, best=other), "best epoch is none of its epochs"),
        (replace(result, stages=tuple(replace(stage, macs=0) for stage in result.stages)), "a stage costs nothing"),
        (replace(result, classes=("cat",)), "names 1 of 2 classes"),
    ):
        write_record(tmp_path / RESULT, "train", wrong)
        with pytest.raises(UserError, match=rf"result\.json is damaged: .*{message}"):
            write_report(tmp_path)
    whole = to_json({"schema": 1, "job": "train", **json.loads(to_json(result))})
    (tmp_path / RESULT).write_bytes(whole[:1000])
    with pytest.raises(UserError, match="whole"):
        write_report(tmp_path)
    record = json.loads(whole)
    del record["params"]
    (tmp_path / RESULT).write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"result\.json is damaged: .*params"):
        write_report(tmp_path)
    (tmp_path / RESULT).unlink()
    with pytest.raises(UserError, match="has not ended"):
        write_report(tmp_path)
    run = json.loads((tmp_path / RUN).read_text())
    del run["config"]["train"]
    (tmp_path / RUN).write_text(json.dumps(run))
    with pytest.raises(UserError, match=r"run\.json is damaged: .*train"):
        write_report(tmp_path)
