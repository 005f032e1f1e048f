"""A network's drawing and the legend of its text form: as many bars as blocks, every number in words."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from asvit.networks.architecture import ARCHITECTURES, Architecture, Task
from asvit.networks.drawing import legend
from asvit.report.network import WIDTH, network_drawing, network_legend
from asvit.report.parts import times

NETWORKS = ["seed", "large", "3,4,6,2|4,1,2,1|3,2,5,7|2,1,4,3|16,48|1"]


def drawn(network: Architecture, task: Task, **more) -> ElementTree.Element:
    return ElementTree.fromstring(network_drawing("network-0", network, task, **more))


def bars(drawing: ElementTree.Element) -> list[dict[str, float]]:
    found = drawing.findall("rect[@class='block']")
    return [{name: float(bar.attrib[name]) for name in ("x", "y", "width", "height")} for bar in found]


def test_a_legend_explains_every_number_of_the_text_form():
    network = Architecture.parse("3,4,6,2|4,1,2,1|3,2,5,7|2,1,4,3|16,48|1")
    fields, meanings = zip(*legend(network), strict=True)
    assert "|".join(fields) == str(network)
    first, second, third, last, whole, stride = meanings
    assert first == (
        "stage 1: K = 3, tokens see 3x3 pixels, one at each; S = 4, 4x4 attention windows; E = 6, FFN 6 times as wide; "
        "L = 2 blocks"
    )
    assert second.startswith("stage 2: K = 4, tokens see 4x4 tokens, one every 2; S = 1, attention over the whole map")
    assert second.endswith("E = 2, FFN twice as wide; L = 1 block")
    assert "2x2 attention windows" in third
    assert last.endswith("E = 4, FFN 4 times as wide; L = 3 blocks")
    assert whole == (
        "16 attention heads in the last stage (before it 2, 4, 8); C = 48 channels in the first (after it 96, 192, 384)"
    )
    assert stride == "base stride 1: a token of the first stage every 1 pixel"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_published_networks_need_no_word_on_the_base_stride(name):
    assert len(legend(ARCHITECTURES[name])) == 5
    assert f"{ARCHITECTURES[name].width} channels in the first" in legend(ARCHITECTURES[name])[4][1]


def test_the_page_has_the_same_legend():
    network = ARCHITECTURES["small"]
    page = re.sub(r"<[^>]*>", "|", network_legend(network)).replace("\N{NO-BREAK SPACE}", " ")
    for field, meaning in legend(network):
        assert f"|{field}|" in page
        assert times(meaning) in page


@pytest.mark.parametrize("text", NETWORKS)
def test_a_drawing_has_a_bar_a_block_and_a_column_a_stage(text):
    network, task = Architecture.parse(text), Task(image_size=(64, 96), num_classes=10)
    drawing = drawn(network, task)
    stages = list(network.stages(task))
    assert len(bars(drawing)) == sum(network.depths)
    assert [element.text for element in drawing.findall("text[@class='heading']")][1:] == [
        f"stage {number}" for number in (1, 2, 3, 4)
    ]
    words = [element.text for element in drawing.findall("text")]
    for stage in stages:
        for said in (f"{stage.resolution[0]}×{stage.resolution[1]}", str(stage.dim), f"×{stage.expansion}"):
            assert said in words
    tallest = max(bar["height"] for bar in bars(drawing))
    heights = [bar["height"] / tallest for bar in bars(drawing)]
    rows = [stage.resolution[0] / stages[0].resolution[0] for stage in stages for _ in range(stage.depth)]
    assert heights == pytest.approx(rows, abs=0.001)


def test_bars_are_as_wide_as_the_root_of_their_channels_and_stay_in_their_column():
    network = ARCHITECTURES["large"]
    found = bars(drawn(network, Task()))
    dims = [stage.dim for stage in network.stages(Task()) for _ in range(stage.depth)]
    assert [bar["width"] / found[0]["width"] for bar in found] == pytest.approx(
        [(dim / dims[0]) ** 0.5 for dim in dims], rel=0.01
    )
    for left, right in pairwise(found):
        assert left["x"] + left["width"] < right["x"]
    assert found[-1]["x"] + found[-1]["width"] < WIDTH


def test_networks_beside_each_other_are_drawn_to_one_scale():
    small, large = ARCHITECTURES["seed"], ARCHITECTURES["large"]
    alone, beside = bars(drawn(small, Task())), bars(drawn(small, Task(), beside=[small, large]))
    assert beside[0]["width"] < alone[0]["width"]
    assert bars(drawn(large, Task(), beside=[small, large])) == bars(drawn(large, Task()))


def test_attention_windows_are_the_lines_across():
    network = Architecture.parse("8,4,3,2|4,2,2,1|4,1,4,1|4,1,6,1|32,32")
    lines = drawn(network, Task()).findall("line[@class='border']")
    assert len(lines) == 2 * 3 + 1 * 1
    few = drawn(network, Task(image_size=(32, 32))).findall("line[@class='border']")  # maps of 8, 4, 2 and 1 tokens
    assert len(few) == 2 * 3 + 1 * 1


def test_a_drawing_is_told_to_those_who_do_not_see_it():
    drawing = drawn(ARCHITECTURES["small"], Task())
    named = drawing.attrib["aria-labelledby"].split()
    title, desc = drawing.find("title"), drawing.find("desc")
    assert title is not None
    assert desc is not None
    assert [title.attrib["id"], desc.attrib["id"]] == named
    assert drawing.attrib["role"] == "img"
    assert desc.text is not None
    assert "four stages and 10 blocks for 224×224 images, 3 channels, 1,000 classes" in desc.text
    assert (
        "Stage 1: 56×56 tokens of 88 channels, 3 blocks, 4 heads, 2×2 attention windows, kernel 8, stride 4, FFN 3 "
        "times as wide." in desc.text
    )
    assert "Stage 4: 7×7 tokens of 704 channels, 2 blocks, 32 heads, one attention window" in desc.text
