"""The device, and pictures for measures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from image_sets import image_folder
from on_device import photograph_folder

from asvit.complexity.precision import full_float32
from asvit.measure.photos import Folder


@pytest.fixture(scope="session")
def device(request) -> torch.device:
    """That the tests are about."""
    return torch.device(request.config.getoption("--device"))


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Folder:
    """What measures see: scikit-image's may not be there."""
    return Folder(photograph_folder(tmp_path_factory.mktemp("photographs")))


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> Path:
    """72 to learn from, 24 to evaluate on, in three classes."""
    return image_folder(tmp_path_factory.mktemp("images"), train=24, val=8)


@pytest.fixture(scope="module")
def exact() -> Iterator[None]:
    """No TF32, with which torch computes convolutions where nobody forbids it: losses would differ by its rounding."""
    with full_float32():
        yield
