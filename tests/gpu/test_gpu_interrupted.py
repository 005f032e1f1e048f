"""Trainings in processes of their own: killed and continued, or joined by torch.distributed."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from alone import EPOCHS, STEPS
from on_device import ON_DEVICE, classifier, ignore
from safetensors.torch import load_file

from asvit.training.checkpoint import checkpoints, last_checkpoint
from asvit.training.results import Epoch

pytestmark = [*ON_DEVICE, pytest.mark.usefixtures("exact")]

REPEATED = {"cpu": 0.0, "cuda": 1e-3}
"""Relative difference of losses of the same training: on a GPU sums are not always taken in the same order."""


def alone(device: torch.device, folder: Path, what: str, **environment: str) -> subprocess.CompletedProcess[str]:
    here = Path(__file__)
    command = [sys.executable, str(here.with_name("alone.py")), str(device), str(folder), what]
    path = os.pathsep.join(filter(None, [str(here.parent.parent), os.environ.get("PYTHONPATH")]))
    environment |= os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def whole(device, tmp_path_factory) -> tuple[Path, tuple[Epoch, ...]]:
    """A training that nothing interrupted, its random numbers drawn on the device too."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, classifier(device, EPOCHS, steps=STEPS).run(folder, ignore).epochs


def test_a_training_that_was_killed_goes_on_to_the_same_losses(device, whole, tmp_path):
    folder, epochs = whole
    died = alone(device, tmp_path, "kill")
    assert died.returncode == -signal.SIGKILL, died.stderr
    at = {"cpu": 22}.get(device.type, 20)
    assert [path.name for path in checkpoints(tmp_path)][-1] == f"epoch-0001-step-{at:06d}.safetensors"
    result = classifier(device, EPOCHS, steps=STEPS).run(tmp_path, ignore)
    tolerance = REPEATED.get(device.type, 1e-3)
    for found, expected in zip(result.epochs, epochs, strict=True):
        assert found.train_loss == pytest.approx(expected.train_loss, rel=tolerance)
        assert found.loss == pytest.approx(expected.loss, rel=10 * tolerance)
    ours, theirs = load_file(last_checkpoint(tmp_path)), load_file(last_checkpoint(folder))
    assert ours.keys() == theirs.keys()
    if tolerance == 0:
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    steps = {name for name in ours if name.startswith("optimiser.step/")}
    assert {ours[name].item() for name in steps} == {2.0 * STEPS}


def test_one_process_that_torch_has_joined_has_the_same_losses(device, whole, tmp_path):
    """Gradients and sums go through NCCL on a GPU, through Gloo on a CPU."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    one = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    done = alone(device, tmp_path, "join", **one, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["wrapped"] == "DistributedDataParallel"
    assert said["backend"] == ("nccl" if device.type == "cuda" else "gloo")
    tolerance = REPEATED.get(device.type, 1e-3)
    assert said["losses"] == pytest.approx([epoch.train_loss for epoch in whole[1]], rel=tolerance)
