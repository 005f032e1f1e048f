"""The report of records made with a fake measure: what it says, what it draws, and that it needs no network."""

import html
import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fakes import fake_meter
from PIL import Image

from asvit.design.budget import Budget
from asvit.design.family import FamilySettings, GrowResult, grow_family
from asvit.design.grow import GrowthSettings
from asvit.design.ranking import parse_score
from asvit.design.results import DesignResult
from asvit.design.search import SearchResult, SearchSettings, search
from asvit.errors import UserError
from asvit.measure.estimates import Estimate, Measurement
from asvit.measure.metrics import METRICS
from asvit.measure.settings import Settings
from asvit.networks.architecture import Architecture, Task
from asvit.networks.drawing import legend
from asvit.networks.space import TABLE_1, Topology
from asvit.report import write_picture, write_report
from asvit.report.markup import symbol
from asvit.report.parts import times
from asvit.runs.records import REPORT, RESULT, RUN, to_json, write_file, write_record
from asvit.units import format_cost, format_size

TASK = Task(image_size=(64, 96), num_classes=10)
BUDGETS = (Budget.parse("params", "3M"), Budget.parse("params", "6M"), Budget.parse("macs", "60M"))
COMMAND = "asvit design --image-size 64x96 --images '<script>alert(1)</script>'"
REASON = "ntk, repeat 0: smallest eigenvalue <= 0"


def fake(repeats: int):
    def measure(architecture: Architecture) -> Measurement:
        t = architecture.topology
        if t.heads == 64:
            return Measurement(str(architecture), {}, REASON)
        length = sum(t.expansions) * architecture.width / 100 + sum(architecture.depths) / 10
        kernel = 40.0 * sum(t.kernels) + sum(t.splits)
        return Measurement(
            str(architecture),
            {
                "length": Estimate.of([length * (1 + i / 50) for i in range(repeats)]),
                "ntk": Estimate.of([kernel * (1 + i / 3) for i in range(repeats)]),
            },
        )

    return measure


METER = fake_meter(lambda a, runs: a.params() * 1e-9, lambda a: 4 * a.params())


def grown(repeats: int, budgets: tuple[Budget, ...] = BUDGETS) -> GrowResult:
    settings = FamilySettings(task=TASK, budgets=budgets, limits=budgets[1:2])
    start = Architecture(Topology.parse("8,2,3|4,1,2|4,1,4|4,1,6|32"))
    return grow_family(start, settings, measure=fake(repeats), measure_proxy=fake(repeats), meter=METER)


def searched(repeats: int, *, seed: int = 0, steps: int = 24):
    return search(fake(repeats), SearchSettings(steps=steps), seed=seed)


def result_of(job: str, repeats: int) -> SearchResult | GrowResult | DesignResult:
    if job == "search":
        return SearchResult.of(TASK, [searched(repeats, seed=seed) for seed in range(3)], "most-probable")
    family = grown(repeats)
    if job == "grow":
        return family
    return DesignResult(TASK, searched(repeats), family.growth, family.family)


def write_run(directory: Path, job: str, *, repeats: int = 2, recipe: str = "quick", result=None):
    result = result or result_of(job, repeats)
    config = {"recipe": recipe, "task": asdict(TASK), "seed": 0, "measure": asdict(Settings(repeats=repeats, angles=4))}
    if job != "search":
        config["growth"] = asdict(GrowthSettings())
    environment = {"asvit": "0.1.0", "torch": "2", "python": "3.11", "machine": "x", "device": "cpu", "threads": 2}
    run = {"schema": 1, "job": job, "config": config, "environment": environment, "command": COMMAND, "commit": None}
    write_file(directory / RUN, to_json(run))
    write_record(directory / RESULT, job, result)
    return result


@pytest.fixture(scope="module", params=["search", "grow", "design"])
def run(request, tmp_path_factory):
    """Record, page and folder of a run of every job."""
    directory = tmp_path_factory.mktemp(request.param)
    result = write_run(directory, request.param)
    return result, write_report(directory).read_text(encoding="utf-8"), directory


def without_scripts(page: str) -> str:
    return re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", without_scripts(page))).replace("\N{NO-BREAK SPACE}", " ")


def charts_of(page: str) -> dict[str, list[dict]]:
    """All rows behind every chart."""
    found = re.findall(r'<script type="application/json" data-chart="([\w-]+)">(.*?)</script>', page, re.DOTALL)
    return {
        name: [row for rows in json.loads(specification)["datasets"].values() for row in rows]
        for name, specification in found
    }


def searches_of(result):
    return getattr(result, "runs", None) or ([result.search] if hasattr(result, "search") else [])


def test_page_loads_nothing(run):
    _, page, _ = run
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    bundle = max(scripts, key=len)
    rest = page.replace(bundle, "")
    assert "http://" not in rest
    assert "https://" not in rest
    assert not re.search(r"<link|\ssrc=|url\(|@import", rest)
    assert not re.search(r"cdn|unpkg|jsdelivr|\bimport\(", bundle)
    assert len(page) < 1_200_000


def test_page_is_well_formed_and_fits_phones(run):
    _, page, _ = run
    opened = []

    class Nesting(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "wbr"):
                opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Nesting().feed(page)
    assert opened == []
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page


def test_page_says_what_was_asked(run):
    _, page, _ = run
    assert "64×96 images, 3 channels, 10 classes" in text_of(page)
    assert COMMAND in text_of(page)
    assert "<script>alert(1)" not in page
    assert "The quick recipe is shorter than the paper's." in text_of(page)


def test_page_answers_first(run):
    """What this is, whether it is good, what comes next: before how it was made."""
    result, page, directory = run
    text = text_of(page)
    answer = text[: text.index("recipe quick · seed")]
    good = "Is it good? A good candidate, not a proven best."
    assert good in answer
    assert "Kendall τ of the score 0.55 [0.35, 0.69], of the number of parameters 0.49 [0.30, 0.65]" in answer
    assert "ranked networks no better than counting their parameters" in answer
    assert ("Searching by it paid" in answer) == bool(searches_of(result))
    assert ("Growing by it was no better than growing at random" in answer) == hasattr(result, "growth")
    for member in getattr(result, "family", ()):
        size = f"{format_size(member.params)} parameters, {format_size(member.macs)} multiply-adds (MACs) an image"
        assert f"Within {member.budget}: {size}, {100 * member.share:.0f} % of the budget." in answer
        file = directory / "family" / f"{member.budget.file_name}.json"
        assert f"asvit train {file} --data path/to/images" in answer
    if not hasattr(result, "family"):
        topology = Architecture.parse(result.architecture).topology
        assert f"{topology} is the likeliest under the policy of " in answer
        assert f"asvit grow {directory}/result.json --params 3M" in answer
        assert f"asvit describe {directory}/seed.json" in answer


def test_symbols_are_typeset(run):
    _, page, _ = run
    assert not re.search(r"L\^E|κ_Θ", without_scripts(page))
    assert "L<sup>E</sup>" in page
    symbols = json.loads(re.findall(r'id="symbols">(.*?)</script>', page)[0])["written"]
    for rows in re.findall(r'data-chart="[\w-]+">(.*?)</script>', page, re.DOTALL):
        for written in re.findall(r"\w+[\^_][EκΘ]\w*", rows):
            assert written in symbols


def test_how_undecided_the_policy_is_comes_before_its_entropy(run):
    result, page, _ = run
    for search_run in searches_of(result)[:1]:
        entropy = search_run.steps[-1].entropy
        words = f"undecided: {100 * entropy / TABLE_1.entropy():.0f} % (entropy {entropy:.1f} of 15.3 nats)"
        assert words in text_of(page)
        shares = [row["undecided"] for row in charts_of(page)["entropy"] if row.get("seed") == search_run.seed]
        assert shares == pytest.approx([step.entropy / TABLE_1.entropy() for step in search_run.steps])


def test_networks_are_drawn_with_a_legend(run):
    result, page, _ = run
    drawn = [
        Architecture.parse(text) for text in re.findall(r"<title id=\"network-\d-title\">The network (.*?)<", page)
    ]
    if hasattr(result, "growth"):
        expected = [result.growth.steps[0].architecture, *(member.architecture for member in result.family)]
        assert [str(network) for network in drawn] == list(dict.fromkeys(expected))
    else:
        assert [str(network) for network in drawn] == [result.architecture]
    assert page.count('<rect class="block"') == sum(sum(network.depths) for network in drawn)
    assert len(set(re.findall(r'id="(network-\d-(?:title|desc))"', page))) == 2 * len(drawn)
    assert all(field in text_of(page) and times(meaning) in text_of(page) for field, meaning in legend(drawn[-1]))


def test_published_networks_stand_beside(run):
    result, page, _ = run
    beside = text_of(page.split("<h2>Published networks beside")[1].split("<h2>")[0])
    seed = Architecture.parse("seed")
    assert f"As-ViT seed{format_size(seed.params(TASK))}" in beside.replace("network", "").replace("parameters", "")
    if hasattr(result, "growth"):
        assert "timm:convnext_atto" in beside
        assert "224×224" in beside
        assert all(f"designed for {member.budget}" in beside for member in result.family)


def test_a_smoke_run_says_that_it_means_nothing(tmp_path):
    write_run(tmp_path, "design", recipe="smoke")
    text = text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "Is it good? No. The recipe smoke shows all steps within seconds: what it finds means nothing." in text
    assert "Kendall" not in text


def test_training_images_of_the_kernel_are_those_of_the_next_command(tmp_path):
    (tmp_path / "my photos" / "train").mkdir(parents=True)
    write_run(tmp_path, "grow")
    asked = json.loads((tmp_path / RUN).read_text()) | {"images": str(tmp_path / "my photos")}
    write_file(tmp_path / RUN, to_json(asked))
    assert f"--data '{tmp_path}/my photos'" in text_of(write_report(tmp_path).read_text(encoding="utf-8"))


def test_too_few_points_are_said_in_words(tmp_path):
    short = searched(2, steps=2)
    start = Architecture(Topology.parse(short.most_probable))
    settings = FamilySettings(task=TASK, budgets=BUDGETS[:1], limits=(Budget.parse("params", "500k"),))
    family = grow_family(start, settings, measure=fake(2), measure_proxy=fake(2))
    assert len(family.growth.steps) == 1
    write_run(tmp_path, "design", result=DesignResult(TASK, short, family.growth, family.family))
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "A search of 2 steps has no curve to show." in text_of(page)
    assert "Growth took 0 steps from" in text_of(page)
    assert charts_of(page).keys() <= {"policy", "topologies"}
    write_run(tmp_path, "grow", result=family)
    with pytest.raises(UserError, match="nothing to draw: fewer than 3 networks were valid"):
        write_picture(tmp_path, tmp_path / "picture.svg")


def test_same_records_same_bytes(run):
    _, page, directory = run
    assert write_report(directory).read_text(encoding="utf-8") == page
    assert write_report(directory) == directory / REPORT


def test_family_is_listed(run):
    result, page, _ = run
    text = text_of(page)
    for member in getattr(result, "family", ()):
        assert member.architecture in text
        assert member.grown in text
        assert f"{member.share:.1%}" in text


def test_latency_and_memory_stand_beside_the_budgets_that_bound_them(tmp_path):
    both = Budget.together([Budget.parse("params", "4M"), Budget.parse("latency", "8ms")])
    family = grown(2, (both, Budget.parse("memory", "20MB")))
    write_run(tmp_path, "design", result=DesignResult(TASK, None, family.growth, family.family))
    page = write_report(tmp_path).read_text(encoding="utf-8")
    text = text_of(page)
    for member in family.family:
        assert member.usage is not None
        assert f"{1000 * member.usage.latency:.2f} ± 1.00 ms" in text
        assert format_cost("memory", member.usage.memory) in text
    assert "4M parameters and 8ms of latency" in text
    assert "20MB of memory" in text
    assert "1 image at a time, float32, laptop, 2 threads" in text
    labels = {row["budget"] for row in charts_of(page)["length-params"] if "budget" in row}
    assert labels == {"4M, 8ms", "20MB"}


def test_a_design_without_a_search_is_a_growth(tmp_path):
    family = grown(2)
    write_run(tmp_path, "design", result=DesignResult(TASK, None, family.growth, family.family))
    text = text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "As-ViT, grown without training" in text
    assert "latency" not in text
    assert family.family[0].architecture in text
    assert "Policy entropy" not in text


def test_found_topologies_and_invalid_ones_are_listed(run):
    result, page, _ = run
    text = text_of(page)
    for search_run in searches_of(result):
        assert search_run.most_probable in text
        assert search_run.best_ranked in text
        invalid = [name for name, m in search_run.measurements.items() if not m.valid]
        assert invalid
        assert all(f"{name}: {REASON}" in text for name in invalid)


def test_search_charts_hold_the_record(run):
    result, page, _ = run
    charts = charts_of(page)
    for search_run in searches_of(result):
        steps = [row for row in charts["entropy"] if row.get("seed") == search_run.seed]
        assert [row["entropy"] for row in steps] == [step.entropy for step in search_run.steps]
        steps = [row for row in charts["reward"] if row.get("seed") == search_run.seed]
        assert [row["reward"] for row in steps] == [step.reward for step in search_run.steps]
        assert all((row["measurement"] == "valid") == (row["topology"][-2:] != "64") for row in steps)
        points = {row["topology"]: row for row in charts["topologies"] if row["seed"] == search_run.seed}
        valid = {name: m for name, m in search_run.measurements.items() if m.valid}
        assert points.keys() == valid.keys()
        for name, measurement in valid.items():
            for metric, estimate in measurement.estimates.items():
                assert points[name][metric] == estimate.mean
                assert points[name][f"{metric}_high"] == estimate.mean + estimate.standard_error


def test_policy_chart_holds_the_probabilities(run):
    result, page, _ = run
    searches = searches_of(result)
    for row in charts_of(page).get("policy", ()):
        mean = sum(s.probabilities[row["choice"]][row["value"]] for s in searches) / len(searches)
        assert row["probability"] == pytest.approx(mean)


def test_growth_charts_hold_the_record(run):
    result, page, _ = run
    if not hasattr(result, "growth"):
        return
    charts = charts_of(page)
    trajectory = {row["step"]: row for row in charts["depth-width"]}
    for i, step in enumerate(result.growth.steps):
        architecture = Architecture.parse(step.architecture)
        assert trajectory[i]["depth"] == sum(architecture.depths)
        assert trajectory[i]["width"] == sum(n * c for n, c in zip(architecture.depths, architecture.dims, strict=True))
    for name in ("length-params", "ntk-params", "trade-off"):
        rows = {row["architecture"]: row for row in charts[name]}
        assert set(result.growth.measurements) <= set(rows)
        for text, measurement in result.growth.measurements.items():
            assert rows[text]["params"] == Architecture.parse(text).params(TASK)
            assert rows[text]["ntk"] == measurement.estimates["ntk"].mean
        drawn = {row["architecture"] for row in charts[name] if "budget" in row}
        assert drawn == {member.architecture for member in result.family if member.measured_at == 4}


def test_every_budget_has_its_words_in_the_chart(run):
    result, page, _ = run
    if not hasattr(result, "growth"):
        return
    words = [row["words"] for row in charts_of(page)["length-params"] if "words" in row]
    for member in result.family:
        assert words.count(member.budget.label) == (member.measured_at == 4)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_picture(run, suffix):
    _, _, directory = run
    target = write_picture(directory, directory / f"picture{suffix}")
    content = target.read_bytes()
    assert len(content) < 200_000
    if suffix == ".png":
        with Image.open(target) as image:
            image.load()
            assert image.width > 2 * image.height
    else:
        drawn = ElementTree.fromstring(content)
        assert drawn.tag.endswith("svg")
        said = "".join(drawn.itertext())
        assert "length distortion LE" in said
        assert "L^E" not in said


def test_single_repeat_has_no_error_bars(tmp_path):
    write_run(tmp_path, "design", repeats=1)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "±" not in text_of(page)
    assert "A single repeat has no error bars." in text_of(page)
    assert not any("low" in key for rows in charts_of(page).values() for row in rows for key in row)


@pytest.mark.parametrize("score", ["naswot", "naswot:2,params,ntk"])
@pytest.mark.parametrize("job", ["search", "grow", "design"])
def test_report_of_another_score(tmp_path, job, score):
    objectives = parse_score(score)
    names = [objective.name for objective in objectives]

    def measure(architecture: Architecture) -> Measurement:
        plain = fake(2)(architecture)
        if not plain.valid:
            return plain
        size = Estimate.of([float(architecture.params(TASK))] * 2)
        values = {"naswot": plain.estimates["length"], "params": size, "ntk": plain.estimates["ntk"]}
        return Measurement(str(architecture), {name: values[name] for name in names})

    growth = GrowthSettings(score=objectives)
    family = FamilySettings(task=TASK, budgets=BUDGETS, limits=BUDGETS[1:2], growth=growth)
    settings = SearchSettings(steps=8, score=objectives)
    found = search(measure, settings)
    grown = grow_family(found.start("best-ranked"), family, measure=measure, measure_proxy=measure)
    results = {
        "search": SearchResult.of(TASK, [found], "best-ranked"),
        "grow": grown,
        "design": DesignResult(TASK, found, grown.growth, grown.family),
    }
    write_run(tmp_path, job)
    asked = json.loads((tmp_path / RUN).read_text())
    asked["config"] |= {"search": asdict(settings)} if job == "search" else {"growth": asdict(growth)}
    write_file(tmp_path / RUN, to_json(asked))
    write_record(tmp_path / RESULT, job, results[job])
    page = write_report(tmp_path).read_text(encoding="utf-8")
    charts, text = charts_of(page), text_of(page)
    assert "by log-determinant of the codes' kernel" in text
    assert "length distortion" not in text
    assert ("trade-off" in charts) == (job != "search" and len(names) > 1)
    if job != "search":
        assert {f"{name}-params" for name in names} <= charts.keys()
        drawn = {row["architecture"]: row for row in charts["naswot-params"]}
        for name, measurement in grown.growth.measurements.items():
            assert drawn[name]["naswot"] == measurement.estimates["naswot"].mean
    if job != "grow":
        assert ("upper half" if len(names) == 1 else "(weight 2)") in text
        assert all("naswot" in row for row in charts["topologies"])
    write_picture(tmp_path, tmp_path / "picture.svg")


def test_a_result_without_the_measures_of_its_score_is_refused(tmp_path):
    write_run(tmp_path, "grow")
    asked = json.loads((tmp_path / RUN).read_text())
    asked["config"]["growth"] = asdict(GrowthSettings(score=parse_score("naswot")))
    write_file(tmp_path / RUN, to_json(asked))
    with pytest.raises(UserError, match="damaged: no naswot of"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("name", "markup"),
    [
        ("length", "L<sup>E</sup>"),
        ("ntk", "κ<sub>Θ</sub>"),
        ("curvature", "κ"),
        ("length_of_curvature", "L<sup>E</sup><sub>κ</sub>"),
        ("snip", "SNIP"),
        ("params", "#params"),
        ("macs", "MACs"),
        ("attention_entropy", "H<sub>attn</sub>"),
    ],
)
def test_symbols(name, markup):
    assert symbol(METRICS[name]) == markup


def test_statistics_are_of_winners_or_of_the_policy(tmp_path):
    write_run(tmp_path, "search")
    assert "most probable topologies of 3 runs" in text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    write_record(tmp_path / RESULT, "search", SearchResult.of(TASK, [searched(2)], "most-probable"))
    assert "the final policy would sample" in text_of(write_report(tmp_path).read_text(encoding="utf-8"))


def test_search_without_a_valid_topology(tmp_path):
    write_run(tmp_path, "search")
    broken = search(lambda a: Measurement(str(a), {}, "singular"), SearchSettings(steps=3))
    valid = SearchResult.of(TASK, [searched(2)], "most-probable")
    write_record(tmp_path / RESULT, "search", replace(valid, runs=(broken,)))
    text = text_of(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "none: no measured topology is valid" in text
    assert "4 of 4 topologies measured were invalid" in text
    write_picture(tmp_path, tmp_path / "picture.png")


def test_search_of_many_steps(tmp_path):
    write_run(tmp_path, "search")
    one = searched(2)
    many = tuple(replace(one.steps[i % 24], step=i) for i in range(6000))  # more than altair takes of a data frame
    write_record(tmp_path / RESULT, "search", SearchResult.of(TASK, [replace(one, steps=many)], "most-probable"))
    steps = [row for row in charts_of(write_report(tmp_path).read_text(encoding="utf-8"))["reward"] if "seed" in row]
    assert len(steps) == 6000


def test_bad_directories_are_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^there is no folder .*none: expected a run directory of asvit$"):
        write_report(tmp_path / "none")
    with pytest.raises(UserError, match=r" has no run\.json: expected a run directory of asvit$"):
        write_report(tmp_path)
    write_run(tmp_path, "design")
    with pytest.raises(UserError, match=r"ends in \.png or \.svg"):
        write_picture(tmp_path, tmp_path / "picture.bmp")
    whole = (tmp_path / RESULT).read_bytes()
    (tmp_path / RESULT).write_bytes(whole[:1000])
    with pytest.raises(UserError, match="whole"):
        write_report(tmp_path)
    record = json.loads(whole)
    del record["search"]["measurements"][record["search"]["most_probable"]]
    (tmp_path / RESULT).write_text(json.dumps(record))
    with pytest.raises(UserError, match="damaged: no measurement of"):
        write_report(tmp_path)
    del record["growth"]
    (tmp_path / RESULT).write_text(json.dumps(record))
    with pytest.raises(UserError, match="growth"):
        write_report(tmp_path)
    (tmp_path / RESULT).unlink()
    with pytest.raises(UserError, match="has not ended"):
        write_report(tmp_path)
    asked = json.loads((tmp_path / RUN).read_text())
    (tmp_path / RUN).write_text(json.dumps(asked | {"job": "measure"}))
    with pytest.raises(UserError, match="has no report"):
        write_report(tmp_path)
