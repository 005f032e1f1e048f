"""A training in a process of its own: ``alone.py DEVICE FOLDER kill|join``; prints its losses as JSON.

``kill`` ends it by SIGKILL within an epoch, after a checkpoint; ``join`` has torch.distributed join it, one alone.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from on_device import EVERYTHING, classifier, ignore

from asvit.complexity.precision import full_float32
from asvit.training.classifier import ClassifierTraining
from asvit.training.parallel import Processes, launched

EPOCHS = replace(EVERYTHING, epochs=2, batch_size=8)
STEPS, KILLED_IN = 24, 24 + 23
"""The second epoch's last step but one: on a GPU losses are read, and checkpoints written, after 20 steps."""


def training(device: torch.device, processes: Processes = Processes()) -> ClassifierTraining:
    return classifier(device, EPOCHS, steps=STEPS, processes=processes, checkpoint_minutes=0.0)


def kill_in_step(one: ClassifierTraining, number: int) -> None:
    step, count = one.step, iter(range(1, 10**9))

    def stumble(*arguments):
        if next(count) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments)

    one.step = stumble


def main(device: torch.device, folder: Path, what: str) -> None:
    if what == "kill":
        one = training(device)
        kill_in_step(one, KILLED_IN)
        one.run(folder, ignore)
    with launched(device) as (processes, own):
        result = training(own, processes).run(folder, ignore)
        wrapped = type(processes.wrap(torch.nn.Linear(1, 1).to(own))).__name__
        backend = torch.distributed.get_backend()
    print(json.dumps({"losses": [e.train_loss for e in result.epochs], "wrapped": wrapped, "backend": backend}))


if __name__ == "__main__":
    with full_float32():
        main(torch.device(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
