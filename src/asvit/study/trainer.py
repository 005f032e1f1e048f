"""A worker of a study: a process of its own that measures and trains one network after the other."""

import hashlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from filelock import FileLock

from asvit.errors import UserError, one_line
from asvit.measure.ledger import Ledger
from asvit.measure.measurer import Measurer
from asvit.measure.subject import subject_of
from asvit.networks.named import parse_network
from asvit.runs.devices import device_name, use_threads
from asvit.runs.progress import tell
from asvit.runs.records import LEDGER
from asvit.runs.signals import Stopped, raise_stopped, try_again
from asvit.runs.surroundings import of_surroundings
from asvit.study.plan import Planned
from asvit.study.results import Trained
from asvit.study.setup import Crew
from asvit.study.worker import work
from asvit.training.classifier import ClassifierTraining
from asvit.training.loading import leave_with_parent
from asvit.training.resident import Resident, stored_size

TRAININGS = "trainings"
"""Folder, in the run directory, of the checkpoints of what is being trained."""


def worker_name(pid: int) -> str:
    """Name of a process, unlike that of any other that is alive on any machine."""
    return f"{machine()}:{pid}"


def machine() -> str:
    """This machine or container, since it was started: one in which a number names one process."""
    # After a restart, or in another container of the same name, a process that lives may have the number of a dead one.
    identity = socket.gethostname()
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        if os.path.lexists(path):
            identity += os.readlink(path) if os.path.islink(path) else Path(path).read_text()
    return f"{socket.gethostname()}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def may_be_alive(worker: str) -> bool:
    """Whether a worker may be at work: one on another machine may."""
    place, _, pid = worker.rpartition(":")
    if place != machine():
        return True
    # Signal 0 asks whether there is such a process, and sends nothing.
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):  # or what is no process's number
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


def run_worker(crew: Crew, device: str, complain: Connection) -> None:
    """Work until the study is done; the process's exit code is 0, 2 after a UserError, 130 or 143 after a signal.

    Args:
        crew: what all workers are told.
        device: device to train on.
        complain: takes the line of a UserError that ends this worker.
    """
    # As an exception it passes Queue.beating, which gives the training back; the signal itself would leave it claimed.
    signal.signal(signal.SIGTERM, raise_stopped)
    try_again()
    leave_with_parent()
    use_threads(crew.setup.job.threads)
    name = worker_name(os.getpid())
    try:
        with crew.queue() as queue:
            work(queue, crew.pilot, Trainer(crew, torch.device(device)), name=name, report=tell)
    except UserError as error:
        complain.send(" ".join(str(error).split()))
        sys.exit(2)
    except Exception as error:
        if not of_surroundings(error):
            raise
        complain.send(f"a worker has ended: {one_line(error)}; make room, then repeat the command, which goes on")
        sys.exit(2)
    except KeyboardInterrupt as interrupt:
        sys.exit(128 + (interrupt.number if isinstance(interrupt, Stopped) else signal.SIGINT))


class Trainer:
    """Measures and trains networks on one device; goes on from checkpoints of a worker that died here."""

    def __init__(self, crew: Crew, device: torch.device) -> None:
        """Read the images, once for all trainings."""
        self.setup, self.measure, self.part, self.device = crew.setup, crew.measure, crew.part, device
        self._share = 0.0
        self.train, self.val = self.setup.source("train"), self.setup.source("val")
        # A quarter of the memory for training images and as much for validation, over all workers of the device: at
        # least half of it is left to train in.
        if self.setup.settings.resident:
            size, share = stored_size(self.setup.settings.train), 0.25 / self.setup.devices.count(str(device))
            self.train = Resident(self.train, size, device, images=self.setup.settings.images, share=share)
            self.val = Resident(self.val, size, device, evaluation=True, share=share)

    @cached_property
    def measurer(self) -> Measurer:
        """Measurer that writes into the ledger of the run directory; what is timed waits until nothing is trained."""
        measurer = self.setup.measurer(str(self.device), in_use=False)
        measurer.remember_in(Ledger(self.setup.path / LEDGER))
        return measurer

    def __call__(self, planned: Planned) -> tuple[Trained, Mapping[str, float]]:
        """Measure and train a network."""
        self._share = 0.0
        network = parse_network(planned.network)
        measured = self.measurer.by_metric(subject_of(network, self.setup.task)) if self.measure else {}
        folder = folder_of(self.setup.path, planned)
        folder.parent.mkdir(exist_ok=True)
        # A worker that was taken for dead may still be at it: two must not write the same checkpoints.
        with FileLock(folder.with_suffix(".lock")):
            training = ClassifierTraining(
                network,
                self.train,
                self.val,
                self.setup.settings.train,
                self.setup.settings.schedule,
                seed=planned.seed,
                device=self.device,
                running=self.setup.running,
            )
            training.advance(folder, self._watch, None if self.part is None else self.part.until)
        # The last epoch, not the best: a maximum over epochs would flatter trainings whose accuracy goes up and down.
        epochs = training.state.epochs
        last = epochs[-1]
        trained = Trained(
            network=planned.network,
            seed=planned.seed,
            top1=last.top1,
            loss=last.loss,
            seconds=sum(epoch.seconds for epoch in epochs),
            device=device_name(self.device),
            asvit=version("asvit"),
            torch=torch.__version__,
        )
        return trained, {name: estimate.mean for name, estimate in measured.items()}

    def share(self) -> float:
        """Share of the present training that is done."""
        return self._share

    def _watch(self, training: ClassifierTraining) -> None:
        since, until = (0, training.loop.epochs) if self.part is None else (self.part.since, self.part.until)
        seen = training.state.epoch + training.state.step / training.order.steps
        self._share = min(1.0, max(0.0, (seen - since) / (until - since)))

    def forget(self, planned: Planned) -> None:
        """Remove the checkpoints of a training that has been entered, unless it goes on later."""
        folder = folder_of(self.setup.path, planned)
        if self.part is None:
            shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".lock").unlink(missing_ok=True)


def folder_of(run: Path, planned: Planned) -> Path:
    """Folder of a training's checkpoints, in a run directory."""
    name = planned.network.replace("|", "_").replace(":", "_").replace("/", "_")
    return run / TRAININGS / f"{name}-{planned.seed}"
