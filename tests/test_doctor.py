"""What the doctor finds of an installation, and advises."""

import json
import shutil
import sys
from dataclasses import replace
from importlib.metadata import metadata
from pathlib import Path

import commands
import pytest
import torch

from asvit.commands import checkup
from asvit.commands.checkup import check, unmet, why_torchvision_fails
from asvit.commands.doctor import doctor
from asvit.errors import UserError
from asvit.runs.devices import choose_device

EXTRAS = metadata("asvit").get_all("Provides-Extra")


@pytest.fixture(scope="module")
def here():
    return check()


def test_json_is_the_record_and_nothing_else(tmp_path):
    found = json.loads(commands.run(["doctor", "--json"], tmp_path).stdout)
    assert found["torch"] == torch.__version__
    assert found["misfit"] is None
    assert found["devices"][0]["name"] == "cpu"
    assert list(found["lacking"]) == EXTRAS
    assert isinstance(found["advice"], list)


def test_the_page_names_torch_devices_and_extras(tmp_path):
    said = commands.run(["doctor"], tmp_path).stdout
    assert f"torch {torch.__version__}" in said
    assert all(extra in said for extra in EXTRAS)
    assert "which fits this torch" in said


def test_what_is_missing_or_too_old_is_lacking_wherever_it_is_needed(monkeypatch):
    versions = {"optuna": None, "timm": "0.9"}
    known = checkup.installed
    monkeypatch.setattr(checkup, "installed", lambda name: versions[name] if name in versions else known(name))
    assert list(unmet("train")) == ["timm>=1.0.31"]
    assert list(unmet("study")) == ["optuna>=5", "timm>=1.0.31"]
    assert {"timm>=1.0.31", "optuna>=5"} <= set(unmet("all"))


def test_the_page_says_how_to_install_what_is_lacking(monkeypatch, capsys, here):
    monkeypatch.setattr(checkup, "check", lambda: replace(here, lacking={"study": ("optuna>=5",)}, torchvision=None))
    doctor()
    said = capsys.readouterr().out
    assert 'optuna>=5  pip install "asvit[study]"' in said
    assert "torchvision: not installed" in said


def test_a_healthy_installation_gets_no_advice(monkeypatch, here):
    monkeypatch.setattr(shutil, "which", lambda program: None)
    assert list(replace(here, bytecode=True, misfit=None).advice()) == []


def test_advice_says_what_to_do(monkeypatch, here):
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    cpu = here.devices[:1]
    fit, driver, bytecode = replace(
        here, misfit="no nms", bytecode=False, cuda=None, devices=cpu, torchvision="0.1"
    ).advice()
    assert fit.startswith(f"torchvision 0.1 does not work with torch {here.torch} (no nms): install both")
    assert "torch sees no GPU; it is built without CUDA" in driver
    assert f"python -m compileall -q {Path(torch.__file__).parent}" in bytecode


def test_torchvision_is_tried(monkeypatch):
    assert why_torchvision_fails() is None
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    assert "torchvision.ops" in str(why_torchvision_fails())


def test_apples_gpu_is_taken_where_torch_has_it_and_when_asked(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"^there is no device mps: .*try cpu$"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == torch.device("mps")
    assert choose_device("auto").type in ("cpu", "cuda")
