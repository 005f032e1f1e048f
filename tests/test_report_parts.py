"""What pages are made of: words beside points, typeset symbols, numbers with units, published counts, evidence."""

import json
import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import vl_convert

from asvit.complexity.cost import count_macs, count_params
from asvit.design.ranking import parse_score
from asvit.design.words import undecided, undecided_in_words
from asvit.measure.settings import Settings
from asvit.networks.architecture import Task
from asvit.networks.space import SPACE, TABLE_1, Space, space_for
from asvit.report.charts import VEGA_LITE, Row, layered
from asvit.report.design.evidence import OF_PARAMS, evidence_of
from asvit.report.design.plane import Plane, Words
from asvit.report.labels import Box, Label, Place, places_for, words_box
from asvit.report.parts import next_steps
from asvit.report.published import OF_TIMM, of_the_paper, of_timm_near
from asvit.report.symbols import ZERO_WIDTH, marked_symbols, typeset_svg

STUDY = Path(__file__).parents[1] / "benchmarks" / "results" / "study-cifar10.json"


def boxes(labels, places):
    return [words_box(label, place) for label, place in zip(labels, places, strict=True) if place is not None]


def lie_apart(a: Box, b: Box) -> bool:
    return a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top


def apart(labels, places) -> bool:
    return all(lie_apart(a, b) for a, b in combinations(boxes(labels, places), 2))


@pytest.mark.parametrize("seed", range(5))
def test_no_words_lie_on_others(seed):
    rng = np.random.default_rng(seed)
    labels = [Label(str(i), (float(x), float(y))) for i, (x, y) in enumerate(rng.random((40, 2)) ** 2)]
    places = places_for(labels)
    assert apart(labels, places)
    assert sum(place is not None for place in places) >= 15


def test_words_of_points_in_one_place_are_apart_and_needed_ones_are_all_there():
    labels = [Label("0", (0.0, 0.0)), Label("2", (0.0, 0.001)), Label("30M", (0.02, 0.0), needed=True)]
    places = places_for(labels, lines=[[(0.0, 0.0), (1.0, 1.0)]])
    assert places[2] is not None
    assert apart(labels, places)


def test_words_avoid_points_and_lines_and_those_without_room_are_left_out():
    at = (0.5, 0.5)
    free = places_for([Label("a", at)])
    assert free == [Place("center", 0, -14)]
    (beside,) = places_for([Label("a", at)], lines=[[(0.5, 0.5), (0.5, 1.0)]])
    assert beside == Place("center", 0, 15)
    crowd = [(0.3 + x / 20, 0.3 + y / 20) for x in range(9) for y in range(9)]
    assert places_for([Label("a", at)], points=crowd) == [None]
    (needed,) = places_for([Label("a", at, needed=True)], points=crowd)
    assert needed is not None


def test_words_stay_in_the_plane():
    (place,) = places_for([Label("timm:a_long_name", (1.0, 1.0), needed=True)])
    assert place is not None
    assert place.align == "right"


def drawn(plane: Plane, rows: list[Row], **more) -> str:
    charts = layered(plane.points(rows).mark_point(), *plane.words([Words(r["name"], r) for r in rows], **more))
    return vl_convert.vegalite_to_svg(charts.properties(width=300, height=200).to_dict(), VEGA_LITE)


def test_very_large_numbers_are_short_and_bytes_have_units():
    rows = [{"name": n, "ntk": 10.0**e, "memory": m * 1e6} for n, e, m in (("a", 3, 50), ("b", 9, 90), ("c", 12, 150))]
    picture = drawn(Plane(rows, "ntk", "memory"), rows)
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    assert {"1,000", "1G", "1T", "100MB"} <= set(labels)
    assert not [label for label in labels if len(label) > 24 and label.replace(",", "").isdigit()]
    assert {"a", "b", "c"} <= set(labels)


def test_symbols_are_typeset_in_pictures_and_nothing_else_is_touched():
    svg = '<svg><text aria-label="L^E">length distortion L^E</text><text>my_net κ_Θ, L^E_κ</text></svg>'
    drawn = ElementTree.fromstring(typeset_svg(svg))
    first, second = drawn.findall("text")
    assert "".join(first.itertext()).replace(ZERO_WIDTH, "") == "length distortion LE"
    assert "".join(second.itertext()).replace(ZERO_WIDTH, "") == "my_net κΘ, LEκ"
    assert first.attrib["aria-label"] == "L^E"
    for text, pieces in ((first, 2), (second, 5)):
        moves = [float(piece.attrib["dy"].removesuffix("em")) for piece in text]
        sizes = [0.72 if "font-size" in piece.attrib else 1.0 for piece in text]
        assert len(moves) == pieces
        assert sum(m * s for m, s in zip(moves, sizes, strict=True)) == pytest.approx(0, abs=0.01)  # back on the line
    assert float(first[0].attrib["dy"].removesuffix("em")) < 0 < float(second[0].attrib["dy"].removesuffix("em"))


def test_longer_symbols_are_found_before_those_within_them():
    symbols = marked_symbols()
    assert symbols.index("L^E_κ") < symbols.index("L^E")


def test_a_policy_is_undecided_by_its_entropy_over_the_largest_there_is():
    assert undecided(TABLE_1.entropy(), TABLE_1) == 1.0
    halves = sum(np.log(len(values)) for values in SPACE.values()) / 2
    assert undecided(halves, TABLE_1) == pytest.approx(0.5)
    small = space_for((32, 32), base_stride=2)
    assert undecided(small.entropy() / 4, small) == pytest.approx(0.25)
    assert undecided(0.0, Space({name: values[:1] for name, values in SPACE.items()})) == 0.0
    assert undecided_in_words(5.7, TABLE_1) == "undecided: 37 % (entropy 5.7 of 15.3 nats)"


def test_evidence_is_that_of_the_study():
    scores = {score["name"]: score for score in json.loads(STUDY.read_text())["scores"]}

    def rounded(interval):
        return tuple(round(interval[name], 2) for name in ("value", "low", "high"))

    assert rounded(scores["params"]["tau"]) == (OF_PARAMS.value, OF_PARAMS.low, OF_PARAMS.high)
    for name, score in scores.items():
        if score["over_params"] is None:
            continue
        known = evidence_of(parse_score(name.replace("+", ",")), Settings(repeats=2, angles=3, kernel_images=8))
        assert known is not None
        for ours, theirs in ((known.tau, score["tau"]), (known.over_params, score["over_params"])):
            assert (ours.value, ours.low, ours.high) == rounded(theirs), name


def test_evidence_speaks_of_what_was_asked_only():
    usual = evidence_of(parse_score("ntk,length"), Settings())
    assert usual is not None
    assert (usual.verdict, usual.picked) == ("no better than", False)
    kept = evidence_of(parse_score("length"), Settings(norm="layer"))
    assert kept is not None
    assert (kept.verdict, kept.picked, str(kept.tau)) == ("better than", True, "0.72 [0.59, 0.82]")
    worse = evidence_of(parse_score("dss"), Settings())
    assert worse is not None
    assert worse.verdict == "worse than"
    assert evidence_of(parse_score("length,ntk"), Settings(norm="layer")) is None
    assert evidence_of(parse_score("length,ntk"), Settings(radius="one")) is None
    assert evidence_of(parse_score("length:2,ntk"), Settings()) is None
    assert evidence_of(parse_score("length,params"), Settings()) is None


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "resnet18", "swin_tiny_patch4_window7_224"])
def test_published_counts_are_those_of_timm(name):
    import timm
    import torch

    (kept,) = [network for network in OF_TIMM if network.name == f"timm:{name}"]
    model = timm.create_model(name, pretrained=False)
    assert kept.params == count_params(model)
    assert kept.macs == count_macs(model, torch.zeros(1, 3, 224, 224))
    assert kept.task == Task()


def test_published_networks_of_like_size():
    near = of_timm_near(27_000_000)
    assert [network.name for network in near] == [
        "timm:swin_tiny_patch4_window7_224",
        "timm:resnet50",
        "timm:convnext_tiny",
    ]
    assert len(of_timm_near(10**9)) == 1
    task = Task(image_size=(96, 96), in_chans=5, num_classes=12)
    assert [network.name for network in of_the_paper(task)] == ["seed", "small", "base", "large"]
    assert all(network.task == task for network in of_the_paper(task))
    assert of_the_paper(Task(image_size=(16, 16))) == []


def test_next_steps_are_commands_to_copy():
    page = next_steps([("Train it & see", "asvit train run/3M.json --data path/to/images")])
    assert page.count("<button") == 1
    assert "Train it &amp; see" in page
    assert re.sub(r"<[^>]*>", "", page).endswith("asvit train run/3M.json --data path/to/imagesCopy")
