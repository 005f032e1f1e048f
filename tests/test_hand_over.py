"""On a machine without the packages that draw reports, or without scikit-image, jobs end with their results."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asvit.commands import hand_over
from asvit.errors import UserError, from_plain_install
from asvit.measure.photos import BuiltIn

MISSING = ("altair", "skimage", "sklearn", "vl_convert")
NOT_DRAWN = (
    "the report is not drawn, for the package vl_convert is missing: where `pip install asvit` has brought it, "
    "`asvit report {}` draws it"
)


@pytest.fixture
def images(tmp_path) -> Path:
    """A folder of noise."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(16):
        Image.fromarray(rng.integers(256, size=(40, 40, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def without(tmp_path):
    """Runs asvit in a process of its own to which some packages are missing."""
    folder = tmp_path / "blocks"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({MISSING}))\n")

    def run(*arguments: str) -> subprocess.CompletedProcess:
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "asvit", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
        )

    return run


def test_a_design_ends_without_its_report_which_is_refused_in_one_line(without, images, tmp_path):
    designed = without("design", "--recipe", "smoke", "--images", str(images), "--out", "my run", "--json")
    assert designed.returncode == 0, designed.stderr
    result = json.loads(designed.stdout)
    assert result == json.loads((tmp_path / "my run/result.json").read_text())
    assert len(list((tmp_path / "my run/family").glob("*.json"))) == len(result["family"]) > 0
    assert NOT_DRAWN.format("'my run'") in designed.stderr.splitlines()
    assert not any(line.startswith("report: ") for line in designed.stderr.splitlines())
    assert not (tmp_path / "my run/report.html").exists()

    report = without("report", "my run")
    assert (report.returncode, report.stdout) == (2, "")
    assert report.stderr == (
        "asvit: the package vl_convert is missing, which this needs: install it with `pip install asvit`\n"
    )


def test_where_the_packages_are_there_the_report_is_drawn_and_its_place_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("asvit.report.write_report", lambda path: path / "report.html")
    assert hand_over.drawn(tmp_path) == tmp_path / "report.html"
    assert capsys.readouterr() == ("", "")


def test_a_report_that_fails_for_another_reason_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"run\.json"):
        hand_over.drawn(tmp_path)


def test_what_is_missing_is_said_with_the_command_that_draws_the_report(tmp_path, monkeypatch, capsys):
    forget_reports(monkeypatch)
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert hand_over.drawn(tmp_path) is None
    assert capsys.readouterr() == ("", NOT_DRAWN.format(tmp_path) + "\n")


def forget_reports(monkeypatch):
    for name in [name for name in sys.modules if name.partition("asvit.report")[1]]:
        monkeypatch.delitem(sys.modules, name)


def test_what_jobs_export_needs_no_package_of_the_reports(monkeypatch):
    forget_reports(monkeypatch)
    for name in ("asvit.commands.export", "asvit.export.origin"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in MISSING:
        monkeypatch.setitem(sys.modules, name, None)
    import asvit.commands.export

    assert list(asvit.commands.export.RESULTS) == ["search", "grow", "design"]


def test_without_scikit_image_a_kernel_asks_for_images(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(
        UserError, match=r"^the package scikit-image is missing.* --images .*`pip install scikit-image`$"
    ):
        BuiltIn()


def test_a_package_of_a_plain_install_is_missed_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(UserError, match=r"^the package altair is missing.*`pip install asvit`$"), from_plain_install():
        import altair  # noqa: F401
    error = ModuleNotFoundError("ours", name="asvit.gone")
    with pytest.raises(ModuleNotFoundError, match="ours"), from_plain_install():
        raise error
