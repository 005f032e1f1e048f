"""Processes that load images: one that dies, or that cannot share what it has loaded, ends the job in one line."""

import multiprocessing
import os
import resource
import signal
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import torch
from image_sets import image_folder, opened
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from asvit.detection.batch import SceneBatch
from asvit.errors import UserError
from asvit.training import loading
from asvit.training.data import EvaluationOrder, Examples, batches

CPU = torch.device("cpu")
Usage = namedtuple("Usage", ["total", "free"])


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """The loader looks after its processes, and waits for their ends, a fifth of a second rather than five."""
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)
    monkeypatch.setattr(_MultiProcessingDataLoaderIter._try_get_data, "__defaults__", (0.2,))


def killed(image: Any, label: int) -> Any:
    """As the kernel ends a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def ended(image: Any, label: int) -> Any:
    """As a library ends a process."""
    os._exit(3)


def crowded(image: Any, label: int) -> Any:
    """An image of 3 MB where the shared memory takes files of 1 MB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    return torch.zeros(3, 512, 512), label


def crowded_scene(image: Any, label: int) -> Any:
    """The same for a detector."""
    image, _ = crowded(image, label)
    target = {"boxes": torch.zeros(1, 4), "labels": torch.ones(1, dtype=torch.long)}
    return image, target | {"masks": torch.zeros(1, 512, 512, dtype=torch.uint8), "index": torch.tensor(0)}


def without_files(image: Any, label: int) -> Any:
    """No more files may be opened."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return torch.zeros(3, 8, 8), label


SMALL = (
    r"^the shared memory \(/dev/shm\) is too small for processes that load images: it has .* MB of it free, and about "
)
ENDS: dict[str, tuple[Callable[..., Any], Any, str]] = {
    "killed": (
        killed,
        None,
        r"^loading images in 1 process has failed: .* of /dev/shm are free; docker's --shm-size .*: choose fewer --w",
    ),
    "ended": (ended, None, r"^loading images in 1 process has failed: .*memory may be short"),
    "a small shared memory": (
        crowded,
        None,
        rf"{SMALL}9\.4 MB are needed, 3\.1 MB a batch; start docker with --shm-size 1g, or load .* --workers 0$",
    ),
    "a small shared memory for scenes": (crowded_scene, SceneBatch, rf"{SMALL}10\.2 MB are needed, 3\.4 MB a batch;"),
    "no more files": (without_files, None, "^(the shared memory|loading images in 1 process has failed)"),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_process_that_cannot_load_ends_the_job(tmp_path, what):
    prepare, batch_type, message = ENDS[what]
    source = opened(image_folder(tmp_path), "train")
    order = EvaluationOrder(len(source), 1, rank=0, processes=1)
    kind = {} if batch_type is None else {"batch_type": batch_type}
    loader = batches(Examples(source, prepare, seed=None), order, workers=1, device=CPU, **kind)
    with pytest.raises(UserError, match=message) as caught:
        list(loader)
    assert "\n" not in str(caught.value)


def test_without_processes_errors_stay_what_they_are(tmp_path):
    source = opened(image_folder(tmp_path), "train")
    order = EvaluationOrder(len(source), 1, rank=0, processes=1)

    def broken(image: Any, label: int) -> Any:
        raise RuntimeError("a fault of the program")

    with pytest.raises(RuntimeError, match="a fault of the program"):
        list(batches(Examples(source, broken, seed=None), order, workers=0, device=CPU))


def test_a_shared_memory_without_room_is_refused_before_any_process_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "shared_memory", lambda: Usage(total=67_108_864, free=100_000))
    before = set(multiprocessing.active_children())
    with pytest.raises(UserError) as caught:
        iter(loading.Loader(list, EvaluationOrder(1, 1, rank=0, processes=1), workers=2, pin_memory=False))
    assert str(caught.value) == (
        "the shared memory (/dev/shm) is too small for processes that load images: it has 67.1 MB, 0.1 MB of it free, "
        "and about 0.3 MB are needed; start docker with --shm-size 1g, or load images without such processes, "
        "--workers 0"
    )
    assert set(multiprocessing.active_children()) <= before


def test_the_shared_memory_that_is_needed_is_said(monkeypatch):
    monkeypatch.setattr(loading, "shared_memory", lambda: None)
    words = loading.too_little(1_700_000_000, 100_000_000)
    assert (
        "there is no more, and about 1,700.0 MB are needed, 100.0 MB a batch; start docker with --shm-size 4g" in words
    )


def test_an_error_of_the_system_before_any_batch_is_said():
    told = pytest.raises(UserError, match=r"^loading images in 2 processes has failed: No space left on device; memory")
    with told, loading.said(2):
        raise OSError(28, "No space left on device", "/dev/shm/sem")
