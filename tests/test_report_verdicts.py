"""What pages of detectors and studies say first, and what they leave out where there is too little to judge."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pages import detected, studied
from test_report import charts_of, text_of

from asvit.errors import UserError
from asvit.report import write_picture, write_report
from asvit.runs.records import RESULT, RUN, read_record, to_json, write_file, write_record
from asvit.study.results import StudyResult
from asvit.study.verdict import FEWEST


def answer_of(page: Path) -> str:
    """What stands before how the run was made."""
    text = text_of(page.read_text(encoding="utf-8"))
    return text[: text.index("recipe by-hand · seed")]


def test_a_detector_is_answered_for_first(tmp_path):
    answer = answer_of(detected(tmp_path))
    assert "A detector: finds objects of 80 kinds and their outlines, with 15M parameters" in answer
    assert "Average precision 47.3 % of boxes and 37.3 % of masks on the validation images" in answer
    assert "By size: 47.3 % of small objects, 47.3 % of medium objects, 47.3 % of large objects." in answer
    assert (
        "COCO's evaluation on validation images, which it never learned from, after epoch 36 of 36, the best" in answer
    )
    assert f"asvit detect evaluate {tmp_path} --data /data/coco" in answer
    assert f"asvit detect predict {tmp_path} image.jpg" in answer
    assert "hardly anything" not in answer


def changed(directory: Path, epochs: int, ap: float) -> Path:
    """The page of the first epochs of a detector's training, of which the last alone is evaluated."""
    run, record = json.loads((directory / RUN).read_text()), json.loads((directory / RESULT).read_text())
    run["config"]["detect"]["epochs"] = epochs
    run["config"]["images"] = {"train": 845, "val": 1200}
    record["epochs"] = record["epochs"][:epochs]
    last = record["epochs"][-1]
    last["left_out"] = 3
    for kind in ("boxes", "masks"):
        for epoch in record["epochs"][:-1]:
            epoch[kind] = None
        last[kind] = dict.fromkeys(record["best"][kind], ap) | {"ap_medium": None, "ap_large": None}
    record["best"] = last
    write_file(directory / RUN, to_json(run))
    write_file(directory / RESULT, to_json(record))
    return write_report(directory)


def test_a_single_evaluation_is_no_curve(tmp_path):
    detected(tmp_path)
    page = changed(tmp_path, epochs=4, ap=0.005)
    assert charts_of(page.read_text(encoding="utf-8")).keys() == {"loss"}
    text = text_of(page.read_text(encoding="utf-8"))
    assert "A training with 1 evaluation has no curve of the average precision." in text
    assert "It finds hardly anything yet: train it longer." in answer_of(page)
    assert "COCO's evaluation on 1,197 validation images" in answer_of(page)
    assert "flatters" not in answer_of(page)
    assert "By size" not in answer_of(page)
    page = changed(tmp_path, epochs=2, ap=0.3)
    assert charts_of(page.read_text(encoding="utf-8")) == {}
    assert "A training of 2 epochs has no curve of the loss." in text_of(page.read_text(encoding="utf-8"))


def test_a_study_is_answered_for_first_with_symbols_typeset(tmp_path):
    page = studied(tmp_path)
    answer = answer_of(page)
    assert "On this data, length distortion ranks no better than counting parameters: τ 0.08 [-0.23, 0.37]" in answer
    assert "30 topologies in 60 trainings; 2 epochs of 25,600 images" in answer
    assert "<strong>On this data, length distortion ranks" in page.read_text(encoding="utf-8")
    rows = [row for row in charts_of(page.read_text(encoding="utf-8"))["correlations"] if "score" in row]
    # Symbols alone, so that on a phone there is room for the intervals; the tooltip has the title.
    titles = {row["score"]: row["title"] for row in rows}
    assert (titles["L^E"], titles["L^E + κ_Θ"]) == ("length distortion", "sum of ranks")


def few(directory: Path, topologies: int) -> Path:
    """The page of a study's first topologies, none of which is judged."""
    result = read_record(directory / RESULT, StudyResult)
    points = result.points[:topologies]
    kept = {point.topology for point in points}
    nothing = dict.fromkeys(("tau", "beyond_baseline", "within_bands", "over_baseline", "regret", "ceiling"))
    scores = tuple(replace(score, topologies=min(score.topologies, topologies), **nothing) for score in result.scores)
    trained = tuple(training for training in result.trained if training.network in kept)
    sentence = f"No score is judged: this study trained {topologies} topologies, and it takes {FEWEST} at least."
    few = replace(result, sentence=sentence, scores=scores, points=points, trained=trained)
    write_record(directory / RESULT, "study", few)
    return write_report(directory)


def test_a_study_of_a_few_topologies_judges_nothing(tmp_path):
    studied(tmp_path)
    page = few(tmp_path, 4).read_text(encoding="utf-8")
    text = text_of(page)
    assert "No score is judged: this study trained 4 topologies, and it takes 10 at least." in text
    assert "None is judged: the first sentence of this page says why." in text
    assert "within bands" not in text.lower()
    charts = charts_of(page)
    assert "correlations" not in charts
    assert len([row for row in charts["length"] if "top1" in row and "topology" in row]) >= 4
    write_picture(tmp_path, tmp_path / "four.svg")
    assert charts_of(few(tmp_path, 2).read_text(encoding="utf-8")) == {}
    with pytest.raises(UserError, match="nothing to draw: fewer than 3 topologies"):
        write_picture(tmp_path, tmp_path / "two.svg")
