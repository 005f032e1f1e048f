"""benchmarks/gpu_carry.sh: what it carries is all that the steps need beside torch, torchvision and numpy."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections import Counter
from importlib.metadata import requires, version
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from PIL import Image

ROOT = Path(__file__).parents[1]
CARRY = ROOT / "benchmarks/gpu_carry.sh"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("train", "detect", "study")
"""Whose packages the steps use; for an export to ONNX they take what is there."""
THERE = ("torch", "torchvision", "numpy")


def listed(name: str) -> list[str]:
    said = subprocess.run([CARRY, "--list", name], capture_output=True, text=True, check=True).stdout
    return said.split()


def asked_for() -> dict[str, Requirement]:
    """By name, what asvit and the extras of the steps ask for."""
    texts = [*PROJECT["dependencies"], *(text for extra in EXTRAS for text in PROJECT["optional-dependencies"][extra])]
    requirements = [Requirement(text) for text in texts]
    return {canonicalize_name(one.name): one for one in requirements if one.name != "asvit"}


def test_every_package_that_asvit_asks_for_is_carried_expected_there_or_left_out_on_purpose():
    lists = {name: set(listed(name)) for name in ("carried", "expected", "left-out")}
    known = set().union(*lists.values())
    assert asked_for().keys() - known == set()
    assert (lists["expected"] | lists["left-out"]) - asked_for().keys() == set()
    twice = [name for name, count in Counter(name for one in lists.values() for name in one).items() if count > 1]
    assert twice == []
    assert set(THERE) <= lists["left-out"]


def test_what_a_carried_package_asks_for_is_carried_too():
    """By what is installed here."""
    carried, there = set(listed("carried")), set(listed("expected")) | set(listed("left-out"))
    lacking = {}
    for name in carried:
        for text in requires(name) or ():
            requirement = Requirement(text)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and canonicalize_name(requirement.name) not in carried | there:
                lacking.setdefault(name, []).append(requirement.name)
    assert lacking == UNUSED


UNUSED = {
    "cyclopts": ["rich-rst"],  # help texts in reStructuredText: asvit's are plain
    "huggingface-hub": ["fsspec", "hf-xet"],  # torch brings the first; the second is for downloads
}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--cifar10", "gone.tar.gz"], "--cifar10 gone.tar.gz is no file: expected a tar file of images"),
        (["--python", "three"], "unknown Python three: expected a version such as 3.12, or here"),
        (["--python"], "a value is missing after --python"),
        (["--cuda", "13"], "unknown option --cuda: expected --cifar10, --imagenette, --python or --list"),
        (["--list", "all"], "unknown list all: expected carried, expected or left-out"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_one_line(tmp_path, arguments, problem):
    said = subprocess.run([CARRY, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert (said.returncode, said.stdout, said.stderr) == (2, "", f"gpu_carry.sh: {problem}\n")
    assert list(tmp_path.iterdir()) == []


def write_images(path: Path, side: int, *, classes: int, train: int, val: int) -> Path:
    """A tar file of noise in as many colours as classes, which a network can tell apart."""
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for split, count in (("train", train), ("val", val)):
            for label in range(classes):
                for number in range(count):
                    pixels = rng.integers(96, size=(side, side, 3)) + 40 * (np.arange(3) == label % 3) * (
                        1 + label // 3
                    )
                    content = BytesIO()
                    Image.fromarray(pixels.astype(np.uint8)).save(content, "JPEG")
                    member = tarfile.TarInfo(f"{split}/class{label}/{number:04}.jpg")
                    member.size = content.tell()
                    content.seek(0)
                    tar.addfile(member, content)
    return path


def test_photographs_are_made_small_and_keep_their_places(tmp_path):
    source = write_images(tmp_path / "large.tar", 160, classes=2, train=3, val=1)
    program = [sys.executable, str(ROOT / "benchmarks/gpu_data.py")]
    for name in ("one.tar.gz", "two.tar.gz"):
        said = subprocess.run([*program, source, tmp_path / name], capture_output=True, text=True, check=True).stdout
        assert said.startswith(f"{tmp_path / name}: 8 images, 0.0 MiB")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        names = tar.getnames()
        assert names == [f"train/class{label}/000{i}.webp" for label in range(2) for i in range(3)] + [
            f"val/class{label}/0000.webp" for label in range(2)
        ]
        for name in names:
            file = tar.extractfile(name)
            assert file is not None
            image = Image.open(file)
            assert (image.format, image.size) == ("WEBP", (128, 128))
            means = np.asarray(image).mean((0, 1))
            assert int(means.argmax()) == int(name[len(name.split("/")[0]) + len("/class")])


@pytest.fixture(scope="module")
def carried(tmp_path_factory) -> Path:
    """The folder that the script makes with small data: for Python 3.12, and then over that for the Python at hand."""
    folder = tmp_path_factory.mktemp("carry")
    needs_packages(folder / "probe")
    cifar10 = write_images(folder / "cifar10.tar.gz", 32, classes=4, train=60, val=16)
    imagenette = write_images(folder / "imagenette160.tar", 160, classes=4, train=24, val=12)

    def carry(*options: str) -> str:
        command = [CARRY, *options, "--cifar10", "cifar10.tar.gz", "--imagenette", imagenette]
        said = subprocess.run(command, cwd=folder, env=with_this_python(), capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        return said.stdout

    assert "wheels for Python 3.12: " in carry()
    wheels, small = folder / "carried/wheels", folder / "carried/data/imagenette128.tar.gz"
    check_wheels(wheels, "3.12")
    made = small.stat().st_mtime_ns
    (wheels / "mdurl-0.0.1-py3-none-any.whl").write_bytes(b"superseded")
    assert carry("--python", "here", "carried").splitlines()[-1].endswith(" MiB of at most 60.0")
    check_wheels(wheels, "{}.{}".format(*sys.version_info))
    assert small.stat().st_mtime_ns == made
    assert (folder / "carried/data/cifar10.tar.gz").read_bytes() == cifar10.read_bytes()
    assert sorted(path.name for path in (folder / "carried").iterdir()) == ["commit", "data", "wheels"]
    return folder / "carried"


def needs_packages(folder: Path) -> None:
    """Skip where none can be downloaded."""
    if shutil.which("uv") is None:
        pytest.skip("uv is not installed here")
    asked = subprocess.run(
        ["uv", "tool", "run", "pip", "download", "--no-deps", "--dest", folder, "mdurl"], capture_output=True, text=True
    )
    if asked.returncode != 0:
        pytest.skip(f"no package can be downloaded here: {asked.stderr.strip().splitlines()[-1]}")


def with_this_python() -> dict[str, str]:
    """The environment, with the Python at hand as python3."""
    return os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


def check_wheels(folder: Path, python: str) -> None:
    """One wheel of every name, of a version that asvit asks for, which installs on that Python."""
    wheels = {}
    for path in folder.iterdir():
        name, version, _, tags = parse_wheel_filename(path.name)
        assert name not in wheels
        assert any(tag.interpreter in fitting(python, tag.abi) for tag in tags), path.name
        wheels[name] = version
    assert set(wheels) == {*listed("carried"), "asvit"}
    asked = asked_for()
    assert [name for name in wheels if name in asked and not asked[name].specifier.contains(wheels[name])] == []


def fitting(python: str, abi: str) -> set[str]:
    """Interpreters of wheels that such a Python takes: its own, and those that keep to the stable interface."""
    minor = int(python.partition(".")[2])
    return {"py3", f"cp3{minor}"} | ({f"cp3{older}" for older in range(minor)} if abi == "abi3" else set())


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """A Python with torch, torchvision and numpy, and what is expected there."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    packages = [f"{name}=={version(name)}" for name in (*THERE, *listed("expected"))]
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, *packages], check=True)
    return python


@pytest.mark.slow
def test_the_carried_files_are_all_that_the_steps_need(carried, bare, tmp_path):
    site, clone, out = tmp_path / "site", tmp_path / "clone", tmp_path / "out"
    wheels = sorted((carried / "wheels").iterdir())
    options = ["--quiet", "--no-index", "--no-deps", "--target", site]
    subprocess.run(["uv", "tool", "run", "pip", "--python", bare, "install", *options, *wheels], check=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    command = [bare, "benchmarks/gpu.py", "--device", "cpu", "--minutes", MINUTES, "--carried", carried, "--out", out]
    ran = subprocess.run(command, cwd=clone, env=kept | {"PYTHONPATH": str(site)}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    attempts = json.loads((out / "steps.json").read_text())
    ended = {attempt["step"]: attempt["ended"] for attempt in attempts}
    assert ended == dict.fromkeys(steps(bare, clone, site), "done"), [one["log"] for one in attempts]
    assert {attempt["device"] for attempt in attempts} == {"cpu"}
    assert (out / "gpu.md").read_text().startswith("# ")


MINUTES = "10"
"""Three are enough where no other test runs beside."""


def steps(python: Path, clone: Path, site: Path) -> list[str]:
    """Names of all steps, as the program lists them."""
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [python, "benchmarks/gpu.py", "--list"]
    said = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^# ([\w-]+): ", said, re.MULTILINE)
