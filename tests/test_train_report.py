"""The report of a training, from records made by hand: what it says, what it draws, what it refuses."""

import json
import re
from base64 import b64encode
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from scipy import stats
from test_report import charts_of, text_of

from asvit.errors import UserError
from asvit.measure.estimates import wilson
from asvit.networks.architecture import Task
from asvit.report import write_picture, write_report
from asvit.runs.records import REPORT, RESULT, RUN, to_json, write_file, write_record
from asvit.training.recipe import RECIPES
from asvit.training.results import Confused, Epoch, Mistake, TrainResult, best_of
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
    assert "A classifier: tells 2 classes apart with 2.06M parameters and 4M multiply-adds (MACs) an image." in text
    assert "checkpoints/epoch-0009.safetensors" in text
    assert "Epoch 9 of 9, the best on the validation images" in text
    assert "that of another training. Loss 0.3750." in text  # five guesses among two classes are always right
    # 1 - (2 * 0.8 + 3 * 1.5 + 4 * 4) / (9 * 4)
    assert "Coarse tokens saved 38.6% of the multiply-adds and 25.0% of the time." in text
    assert "train.batch_size64" in text


def test_five_guesses_are_told_of_where_there_are_more_classes(tmp_path):
    text = text_of(page_of(tmp_path, result_of(1, classes=tuple("abcdef"))))
    assert "Right with five guesses for 95.0 %. Loss" in text


def test_stages_and_epochs_are_listed(coarse):
    _, page, _ = coarse
    stages, epochs = tables_of(page)
    assert stages == [
        ["1 to 2", "1/16", "800k", "20.0%", "1,234"],
        ["3 to 5", "1/4", "1.5M", "37.5%", "1,234"],
        ["6 to 9", "all", "4M", "100.0%", "1,234"],
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
    assert not re.search(r"https?://|<link|\ssrc=(?!\"data:)|url\(|@import", rest)


def test_a_single_stage_has_no_bands(tmp_path):
    page = page_of(tmp_path, result_of(3))
    assert "Coarse tokens" not in text_of(page)
    assert "A single stage" in text_of(page)
    assert not any("stage" in row for rows in charts_of(page).values() for row in rows)
    assert tables_of(page)[0] == [["1 to 3", "all", "4M", "100.0%", "1,234"]]


def test_coarse_tokens_that_saved_no_time(tmp_path):
    text = text_of(page_of(tmp_path, replace(result_of(1, 2), saved_time=-0.44)))
    assert "Coarse tokens saved 20.8% of the multiply-adds; of the time none saved: the machine was busy." in text


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
    assert write_picture(directory, target) == target  # its own may be drawn again
    target.write_bytes(b"mine")
    with pytest.raises(UserError, match="is there already and was not drawn by asvit"):
        write_picture(directory, target)
    assert target.read_bytes() == b"mine"


def test_bad_results_are_refused_in_one_line(tmp_path):
    result = result_of(1, 2)
    write_run(tmp_path, result)
    other = replace(result.best, epoch=9)
    for wrong, message in (
        (replace(result, epochs=result.epochs[:-1]), "epochs are not those of its stages"),
        (replace(result, epochs=(), stages=()), "epochs are not those of its stages"),
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


def with_answers(directory: Path, result: TrainResult, confusion: list[list[int]], picture: bytes) -> TrainResult:
    """A training whose answers are known, with pictures of two mistakes in a run directory."""
    right, images = sum(row[i] for i, row in enumerate(confusion)), sum(map(sum, confusion))
    best = replace(result.best, top1=right / images)
    epochs = tuple(best if epoch == result.best else epoch for epoch in result.epochs)
    cells = tuple(Confused(i, j, n) for i, row in enumerate(confusion) for j, n in enumerate(row) if n)
    mistakes = []
    for number, (true, said) in enumerate((result.classes[:2], result.classes[1::-1]), start=1):
        place = f"mistakes/{number:02}.png"
        file, probability = f"{true}/<{number}>.png", 0.99 - number / 100
        mistakes.append(Mistake(file=file, true=true, said=said, probability=probability, picture=place))
        write_file(directory / place, picture)
    return replace(result, best=best, epochs=epochs, confusion=cells, mistakes=tuple(mistakes))


def answered(directory: Path, confusion: list[list[int]], classes: tuple[str, ...]) -> TrainResult:
    return with_answers(directory, result_of(1, classes=classes), confusion, PICTURE)


PICTURE = b"\x89PNG, says the file"


def answer_of(page: str) -> str:
    """What stands before how the run was made."""
    text = text_of(page)
    return text[: text.index("recipe digits · seed")]


def test_page_answers_first(tmp_path):
    """What this is, how good with an interval and beside what costs nothing, how that was found out, what is next."""
    page = page_of(tmp_path, answered(tmp_path, [[50, 10], [5, 35]], ("cat", "owl")))
    answer = answer_of(page)
    assert "Right for 85.0 % of 100 validation images, 95 % interval 76.7 to 90.7 %." in answer
    assert "The floor to beat: always saying the largest class, cat, would be right for 60.0 %." in answer
    assert "How that was found out: Epoch 1 of 1, the best on the validation images, which it never learned" in answer
    for command in (
        f"asvit evaluate {tmp_path} --data 'a <b>folder</b>'",
        f"asvit predict {tmp_path} path/to/images",
        f"asvit export {tmp_path} --to timm onnx --out",
    ):
        assert command in answer


@pytest.mark.parametrize(
    ("confusion", "said"),
    [
        ([[40, 20], [15, 25]], "It has learned nothing that shows: it is not surely better."),
        ([[10, 50], [30, 10]], "It is worse than that."),
        ([[58, 2], [2, 38]], None),
    ],
)
def test_what_is_no_better_than_the_largest_class_is_said(tmp_path, confusion, said):
    answer = answer_of(page_of(tmp_path, answered(tmp_path, confusion, ("cat", "owl"))))
    known = ("It has learned nothing that shows: it is not surely better.", "It is worse than that.")
    assert [words for words in known if words in answer] == ([] if said is None else [said])


def test_a_few_classes_have_a_confusion_matrix(tmp_path):
    page = page_of(tmp_path, answered(tmp_path, [[50, 10, 0], [5, 35, 0], [0, 1, 9]], ("cat", "<owl>", "bat")))
    matrix = re.search(r'<table class="confusion">(.*?)</table>', page)[1]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", matrix)[1:]]
    right = [f"<strong>{n}</strong>" for n in (50, 35, 9)]
    assert rows == [[right[0], "10", ""], ["5", right[1], ""], ["", "1", right[2]]]
    assert "var(--block) 58%, transparent" in matrix  # 50 of 60 images, at most 70 %
    assert "&lt;owl&gt;" in matrix
    by_class = next(rows for rows in tables_of(page) if rows and rows[0][0] == "cat")
    assert by_class == [
        ["cat", "50 of 60", "83.3 %", "72.0 to 90.7 %"],
        ["<owl>", "35 of 40", "87.5 %", "73.9 to 94.5 %"],
        ["bat", "9 of 10", "90.0 %", "59.6 to 98.2 %"],
    ]


def test_many_classes_have_their_most_confused_pairs(tmp_path):
    n = 21
    confusion = [[8 if i == j else 0 for j in range(n)] for i in range(n)]
    confusion[3][4], confusion[20][0] = 2, 8
    page = page_of(tmp_path, answered(tmp_path, confusion, tuple(f"kind {i}" for i in range(n))))
    assert 'class="confusion' not in page
    pairs, worst, *_ = tables_of(page)
    assert pairs == [["kind 20", "kind 0", "8 of 16", "50.0 %"], ["kind 3", "kind 4", "2 of 10", "20.0 %"]]
    assert [row[0] for row in worst[:2]] == ["kind 20", "kind 3"]
    assert len(worst) == 10
    assert "<summary>The other 11 classes</summary>" in page


def test_the_worst_mistakes_are_pictures_in_the_page(tmp_path):
    result = answered(tmp_path, [[50, 10], [5, 35]], ("cat", "owl"))
    page = page_of(tmp_path, result)
    source = f"data:image/png;base64,{b64encode(PICTURE).decode()}"
    assert page.count(f'<img src="{source}" alt="') == 2
    assert 'alt="cat/&lt;1&gt;.png"' in page
    assert "true catsaid owlprobability 98.0 %" in text_of(page)
    assert "channels of each image" not in text_of(page)
    five = replace(result, task=replace(result.task, in_chans=5))
    words = "Drawn are the first three channels of each image, stretched from the 2nd to the 98th percentile"
    assert words in text_of(page_of(tmp_path, five))
    (tmp_path / result.mistakes[1].picture).unlink()
    with pytest.raises(UserError, match=r"cannot read .*02\.png: No such file"):
        write_report(tmp_path)


def test_a_perfect_classifier_has_no_mistakes(tmp_path):
    result = answered(tmp_path, [[60, 0], [0, 40]], ("cat", "owl"))
    text = text_of(page_of(tmp_path, replace(result, mistakes=())))
    assert "Worst mistakesNone: every image was answered rightly." in text


def test_records_of_earlier_versions_are_shown_without_answers(tmp_path):
    result = result_of(3)
    write_run(tmp_path, result)
    record = json.loads((tmp_path / RESULT).read_text())
    del record["confusion"], record["mistakes"]
    (tmp_path / RESULT).write_text(json.dumps(record))
    text = text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "Where it is wrong" not in text
    assert "Right for 90.0 % of the validation images; how many these are is not recorded." in text
    run = json.loads((tmp_path / RUN).read_text())
    run["config"]["images"] = {"train": 400, "val": 100}
    (tmp_path / RUN).write_text(json.dumps(run))
    text = text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "Right for 90.0 % of 100 validation images, 95 % interval 82.6 to 94.5 %." in text


def test_few_epochs_are_no_curve(tmp_path):
    page = page_of(tmp_path, result_of(2))
    assert "A training of 2 epochs has no curve to show." in text_of(page)
    assert charts_of(page) == {}


def test_where_tokens_change_is_said(coarse):
    _, page, _ = coarse
    assert "The number of tokens changes with epoch 3 and 6: there accuracy may fall at first" in text_of(page)


@pytest.mark.parametrize(("right", "images"), [(0, 5), (5, 5), (92, 100), (850, 1000)])
def test_intervals_are_wilsons(right, images):
    expected = stats.binomtest(right, images).proportion_ci(method="wilson")
    assert wilson(right, images) == pytest.approx((expected.low, expected.high), abs=1e-6)
