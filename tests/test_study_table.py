"""Scores judged by accuracies of somebody else: what is read of a table, and what is said of it."""

import json

import numpy as np
import pytest
from scipy import stats
from test_cli import asvit

from asvit.errors import UserError
from asvit.networks.architecture import Architecture, Task
from asvit.networks.space import TABLE_1
from asvit.study.sample import sample_topologies
from asvit.study.table import entrants_of, read_accuracies

SMALL = ("--image-size", "32", "--num-classes", "10", "--recipe", "smoke", "--threads", "1")


def table(tmp_path, text: str, *, name: str = "table.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_shares_and_per_cent_and_seeds_are_read(tmp_path):
    shares = table(tmp_path, "network,seed,top1,params\nsmall,0,0.7,29\nsmall,1,0.72,29\nbase,0,0.8,53\n")
    assert read_accuracies(shares) == {"small": [0.7, 0.72], "base": [0.8]}
    timms = table(tmp_path, "model,top1,top1_err\nresnet18,69.76,30.24\nconvnext_atto.d2_in1k,0.5,99.5\n")
    assert read_accuracies(timms) == {"timm:resnet18": [0.6976], "timm:convnext_atto.d2_in1k": [0.005]}
    semicolons = table(tmp_path, "\ufeffnetwork;accuracy\n8,2,3|4,1,2|4,1,4|4,1,6|32;81\n")
    assert read_accuracies(semicolons) == {"8,2,3|4,1,2|4,1,4|4,1,6|32": [0.81]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("network,top1\n", "has no rows: expected a table with a column network"),
        ("", "has no rows: expected a table"),
        ("name,top1\nsmall,0.7\n", "has columns name, top1: expected a table with a column network"),
        ("network,loss\nsmall,0.7\n", "has columns network, loss: expected a table"),
        ("network,top1\nsmall,good\n", "line 2: top1 is 'good': expected a number"),
        ("network,top1\nsmall,70\nbase,101\n", "line 3: top1 is 101: expected accuracies from 0 to 100"),
        ("network,top1\nsmall,-0.1\n", "line 2: top1 is -0.1: expected accuracies from 0 to 1"),
        ("network,top1\nsmall,nan\n", "line 2: top1 is nan: expected accuracies from 0 to 1"),
        ("network,top1\nsmall,inf\n", "line 2: top1 is inf"),
        ("network,top1\nsmall\n", "has 1 fields, its first line 2"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, said):
    with pytest.raises(UserError, match=said):
        read_accuracies(table(tmp_path, text))


def test_unknown_networks_are_told_by_name():
    entrants, unknown = entrants_of(["small", "timm:nothing_like_it", "no network", "4,4|"], Task(image_size=32))
    assert [entrant.name for entrant in entrants][:1] == ["small"]
    assert {"no network", "4,4|"} <= set(unknown)


def test_scores_are_judged_by_a_table(tmp_path):
    """Accuracies that go by parameters: counting them ranks perfectly; what is not known is left out in words."""
    networks = sample_topologies(12, 3, TABLE_1)
    sizes = [Architecture.parse(network).params(Task(image_size=32, num_classes=10)) for network in networks]
    rows = [f'"{network}",{0.5 + size / 1e8}' for network, size in zip(networks, sizes, strict=True)]
    path = table(tmp_path, "\n".join(["network,top1", *rows, "no network,0.9", ""]))
    said = asvit("study", "table", str(path), *SMALL, "--metrics", "length,ntk,params", "--json", cwd=tmp_path)
    result = json.loads(said.stdout)
    scores = {score["name"]: score for score in result["scores"]}
    assert scores["params"]["tau"]["value"] == 1.0
    lengths = [point["values"]["length"] for point in result["points"]]
    expected = stats.kendalltau(lengths, [point["top1"] for point in result["points"]]).statistic
    assert scores["length"]["tau"]["value"] == pytest.approx(expected)
    assert scores["length"]["over_baseline"]["value"] == pytest.approx(expected - 1)
    assert scores["length"]["ceiling"] is None
    assert list(result["missing"]) == ["no network"]
    assert "left out: no network: " in said.stderr
    assert "12 networks" in result["sentence"]
    (run,) = (tmp_path / "runs").iterdir()
    page = (run / "report.html").read_text()
    assert "Do the measures predict the accuracies of table.csv?" in page
    assert "1 network left out" in page


def test_functions_of_a_module_may_be_made_of_their_names(tmp_path):
    """As AutoFormer's subnets: the module makes a function of every name that it is asked for."""
    (tmp_path / "subnets.py").write_text(
        "from torch import nn\n"
        "def __getattr__(name):\n"
        "    if not name.startswith('w'):\n"
        "        raise AttributeError(name)\n"
        "    width = int(name[1:])\n"
        "    def subnet(num_classes, in_chans):\n"
        "        return nn.Sequential(nn.Flatten(), nn.Linear(in_chans * 32 * 32, width), nn.GELU(),\n"
        "                             nn.Linear(width, num_classes))\n"
        "    return subnet\n"
    )
    widths = np.arange(4, 15)
    rows = "".join(f"subnets:w{width},{50 + width},{seed}\n" for width in widths for seed in (0, 1))
    path = table(tmp_path, "network,top1,seed\n" + rows)
    said = asvit("study", "table", str(path), *SMALL, "--metrics", "length,ntk,params", cwd=tmp_path)
    assert "1.00 [1.00, 1.00]" in said.stdout
    result = json.loads(next((tmp_path / "runs").glob("*/result.json")).read_text())
    assert result["variance"]["topologies"] == len(widths)
    assert {score["name"]: score["ceiling"] for score in result["scores"]}["params"] == pytest.approx(1.0)
