"""Networks as strangers bring them: lazy, with computed weights, with other outputs; and functions that make none."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from asvit.commands.app import main
from asvit.complexity.copies import fresh_copy
from asvit.complexity.cost import count_macs
from asvit.errors import NotAdmitted, UserError
from asvit.measure.job import prepare
from asvit.measure.measurer import Measurer
from asvit.measure.settings import Measuring, Settings
from asvit.measure.side_by_side import Entrant, measure_side_by_side
from asvit.measure.subject import subject_of
from asvit.networks.architecture import Task
from asvit.networks.callables import load_callable
from asvit.networks.named import NetworkFunction, parse_network
from asvit.runs.job import Job

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.*norm` is deprecated:FutureWarning")
TASK = Task(image_size=(32, 32), num_classes=7)
NETS = """
import torch
import torch.nn.functional as F
from torch import nn


def around(first, num_classes):
    return nn.Sequential(first, nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))


def plain(num_classes):
    return around(nn.Conv2d(3, 8, 3, 2), num_classes)


def lazy(num_classes):
    first = nn.LazyConv2d(8, 3, 2)
    return nn.Sequential(first, nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(num_classes))


def lazy_norm(num_classes):
    return nn.Sequential(nn.LazyConv2d(8, 3, 2), nn.LazyBatchNorm2d(), *around(nn.Identity(), num_classes))


def weight_norm(num_classes):
    return around(nn.utils.weight_norm(nn.Conv2d(3, 8, 3, 2)), num_classes)


def spectral_norm(num_classes):
    return around(nn.utils.spectral_norm(nn.Conv2d(3, 8, 3, 2)), num_classes)


def new_weight_norm(num_classes):
    return around(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3, 2)), num_classes)


class Around(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.net = plain(num_classes)


class scaled(Around):
    def forward(self, x):
        return self.net(x * torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1))


class Output:
    def __init__(self, logits):
        self.logits = logits


class huggingface(Around):
    def forward(self, x):
        return Output(self.net(x))


class mapping(Around):
    def forward(self, x):
        return {"logits": self.net(x), "loss": None}


class pair(Around):
    def forward(self, x):
        return self.net(x), x


class nothing(Around):
    def forward(self, x):
        self.net(x)


class ends(Around):
    def forward(self, x):
        raise SystemExit(3)


class wrong_shape(Around):
    def forward(self, x):
        return self.net(x)[0]


class unnamed(Around):
    def forward(self, x):
        return self.net(x) + undefined


def prints(num_classes):
    print("hello from a network")
    return plain(num_classes)


def raising(num_classes):
    raise ValueError("no such width\\nand more")


def exits(num_classes):
    import sys
    sys.exit("bye")


def nothing_made(num_classes):
    pass


def a_class(num_classes):
    return nn.Identity


def recursion(num_classes):
    return recursion(num_classes)


def lazy_that_does_not_fit(num_classes):
    return nn.Sequential(nn.LazyConv2d(8, 64), nn.Flatten(), nn.LazyLinear(num_classes))
"""
SCRIPT = "import argparse\nargparse.ArgumentParser().parse_args(['--no-such'])\n"


@pytest.fixture(autouse=True)
def nets(tmp_path, monkeypatch) -> Path:
    """A folder with modules of networks, in which the tests work."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for module in ("nets", "script"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return tmp_path


def asvit(*words: str, capsys, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*words])
    out, err = capsys.readouterr()
    assert ended.value.code == code, err
    assert "Traceback" not in err
    return out, err


SMALL = ("--image-size", "32", "--num-classes", "7", "--recipe", "smoke", "--threads", "1")
MEASURED = ("lazy", "lazy_norm", "weight_norm", "spectral_norm", "new_weight_norm", "scaled", "prints")


def test_strange_networks_are_measured(capsys):
    names = [f"nets:{name}" for name in ("plain", *MEASURED)]
    metrics = ("--metrics", "length,ntk,params,macs,synflow")
    out, err = asvit("measure", *names, *SMALL, *metrics, "--output", "logits", "--json", capsys=capsys)
    record = json.loads(out)  # and nothing of what a network printed
    assert record["refused"] == {}
    assert [row["subject"] for row in record["measurements"]] == names
    macs = {row["subject"]: row["estimates"]["macs"]["mean"] for row in record["measurements"]}
    assert set(macs.values()) == {225 * 27 * 8 + 8 * 7}
    assert "hello from a network" in err


REFUSED = {
    "huggingface": ("returned a value of type Output: expected a tensor of logits, 2x7 for 2 images", "its .logits"),
    "mapping": ("returned a value of type dict", "that returns its logits"),
    "pair": ("returned a value of type tuple", "one entry of it"),
    "nothing": ("returned a value of type NoneType", "in a module that returns it"),
    "ends": ("does not take 32x32 images of 3 channels: SystemExit: 3",),
    "wrong_shape": ("returned 7 for 2 images: expected logits 2x7",),
    "unnamed": ("NameError: name 'undefined' is not defined (nets.py, line",),
    "raising": ("nets:raising(num_classes=7) raised ValueError: no such width (nets.py",),
    "exits": ("raised SystemExit: bye (nets.py",),
    "nothing_made": ("returned a value of type NoneType: expected a torch.nn.Module",),
    "a_class": ("returned a value of type type: expected a torch.nn.Module",),
    "recursion": ("RecursionError",),
    "lazy_that_does_not_fit": ("does not take 32x32 images of 3 channels",),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_network_that_cannot_be_measured_says_why(case, nets, capsys):
    _, err = asvit("measure", f"nets:{case}", *SMALL, capsys=capsys, code=2)
    (line,) = err.splitlines()
    assert all(words in line for words in REFUSED[case]), line
    assert not (nets / "runs").exists()


def test_networks_that_cannot_be_measured_do_not_hide_the_others(nets, capsys):
    names = ["nets:huggingface", "nets:plain", "nets:raising"]
    out, _ = asvit("measure", *names, *SMALL, "--metrics", "params,macs", capsys=capsys)
    rows = [line.split()[0] for line in out.splitlines() if line.strip().startswith("nets:")]
    assert rows == ["nets:plain", "nets:huggingface", "nets:raising", "nets:huggingface", "nets:raising"]
    assert "nets:huggingface is not measured: the network of nets:huggingface returned a value of type Output" in out
    out, _ = asvit("measure", *names, *SMALL, "--metrics", "params,macs", "--json", capsys=capsys)
    record = json.loads(out)
    assert [row["subject"] for row in record["measurements"]] == ["nets:plain"]
    assert list(record["refused"]) == ["nets:huggingface", "nets:raising"]
    (run,) = (nets / "runs").iterdir()
    assert json.loads((run / "result.json").read_text())["refused"] == record["refused"]


def test_a_network_that_fails_on_the_way_does_not_hide_the_others(capsys):
    """Token entropy needs a map of tokens, which is seen when it is measured."""
    out, _ = asvit("measure", "nets:plain", "seed", *SMALL, "--metrics", "token_entropy,params", capsys=capsys)
    assert "nets:plain is not measured: nets:plain has no forward_features" in out
    assert "4,1,4" not in out.split("\n")[0]


def test_where_none_can_be_measured_the_first_reason_is_said(nets, capsys):
    _, err = asvit("measure", "nets:pair", "nets:nothing", *SMALL, capsys=capsys, code=2)
    assert "none can be measured; the first, nets:pair: the network of nets:pair returned" in err
    assert not (nets / "runs").exists()


NO_FUNCTIONS = {
    "sys:exit": "built into Python or written in C",
    "os:_exit": "built into Python or written in C",
    "os:abort": "built into Python or written in C",
    "os:fork": "built into Python or written in C",
    "builtins:input": "built into Python or written in C",
    "time:sleep": "built into Python or written in C",
    "builtins:int": "has no signature to call it by: expected a function written in Python",
    "math:pi": "is of type float: expected a function that makes a network",
    "script:net": "script cannot be imported: SystemExit: 2",
    "nets:missing": "nets has no missing",
    "no_such_module:net": "there is no module no_such_module",
    "nets:nn.Linear": "needs in_features, out_features, which nobody gives",
}


@pytest.mark.parametrize("name", NO_FUNCTIONS)
def test_what_makes_no_network_is_said(name):
    with pytest.raises(UserError) as refused:
        subject_of(NetworkFunction(name), TASK).check("normal")
    assert NO_FUNCTIONS[name] in str(refused.value)


@pytest.mark.slow
def test_a_function_that_ends_python_is_said(nets):
    words = ["measure", "builtins:quit", *SMALL]  # which closes the input too
    done = subprocess.run([sys.executable, "-m", "asvit", *words], cwd=nets, capture_output=True, text=True)
    assert done.returncode == 2
    assert "raised SystemExit" in done.stderr


def test_side_by_side_says_of_each_network_why_it_has_no_row():
    measurer = Measurer(Settings(repeats=1, angles=2, kernel_images=4), TASK, metrics=["length", "params"])
    entrants = [Entrant(name, subject_of(parse_network(name), TASK)) for name in ("nets:huggingface", "seed")]
    bad, good = measure_side_by_side(measurer, entrants)
    assert all("its .logits" in (cell.missing or "") for cell in bad.cells.values())
    assert all(cell.estimate is not None for cell in good.cells.values())


class Attending(nn.Module):
    """Attention in all of torch's ways, on a constant that is made on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.constant = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * torch.ones(16) if self.constant else x
        x = self.layer(x)
        x = self.attention(x, x, x, need_weights=False)[0]
        return nn.functional.scaled_dot_product_attention(x, x, x)


def test_multiply_adds_are_the_same_on_the_cpu_where_the_meta_device_fails():
    network, images = Attending().eval(), torch.zeros(3, 5, 16)
    on_cpu = count_macs(network, images)
    network.constant = False
    assert on_cpu == count_macs(network, images)
    linear, attention = 3 * 5 * (4 * 16 * 16 * 2 + 2 * 16 * 32), 3 * 5 * 5 * 16 * 2
    assert on_cpu == linear + 3 * attention


def test_a_copy_of_computed_weights_computes_the_same_and_leaves_the_original():
    torch.manual_seed(0)
    network = nn.utils.weight_norm(nn.Linear(3, 2))
    images = torch.randn(4, 3)
    before = network(images)
    copied = fresh_copy(network)
    assert torch.equal(copied(images), before)
    assert network.weight.grad_fn is not None
    assert {name for name, _ in copied.named_parameters()} == {"bias", "weight_g", "weight_v"}


def test_lazy_networks_are_drawn_by_their_seed():
    subject = subject_of(NetworkFunction("nets:lazy"), TASK)
    one, same, other = (subject.network(seed, output="logits")(torch.ones(1, 3, 32, 32)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def plain_images(folder: Path, colours: list[int]) -> Path:
    folder.mkdir()
    for i, colour in enumerate(colours):
        Image.fromarray(np.full((40, 40, 3), colour, np.uint8)).save(folder / f"{i:02d}.png")
    return folder


@pytest.mark.parametrize("colour", [0, 77, 128, 255])
@pytest.mark.parametrize("command", ["design", "search", "measure"])
def test_images_that_are_all_alike_are_refused_before_anything_is_measured(command, colour, nets, capsys):
    plain_images(nets / "plain", [colour] * 20)
    words = ("seed",) if command == "measure" else ()
    _, err = asvit(command, *words, "--recipe", "smoke", "--images", "plain", capsys=capsys, code=2)
    (line,) = err.splitlines()
    assert "all images that the kernel sees are alike, such as plain/" in line
    assert not (nets / "runs").exists()


def test_two_equal_images_are_named_and_measures_without_a_kernel_taken(nets):
    folder = plain_images(nets / "pairs", [10, 20, 30, 10])
    measuring = Measuring(settings=Settings(repeats=1, angles=2, kernel_images=4), images=folder)
    with pytest.raises(UserError, match=r"two of the images .* are equal, .*0[03].png and .*0[03].png"):
        prepare(measuring, TASK, Job())
    assert prepare(measuring, TASK, Job(), metrics=["length"]).metrics[0].name == "length"


def test_functions_in_c_are_refused_before_they_are_called():
    with pytest.raises(UserError, match="expected one written in Python"):
        load_callable(NetworkFunction("os:abort"))
    assert issubclass(NotAdmitted, UserError)
