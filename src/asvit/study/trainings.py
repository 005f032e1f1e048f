"""Have a crew of workers do the trainings of a study, and watch over them."""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from asvit.errors import UserError
from asvit.runs.children import deaf_children
from asvit.runs.progress import ProgressDisplay, tell
from asvit.study.queue import Queue
from asvit.study.results import Trained
from asvit.study.setup import Crew
from asvit.study.trainer import TRAININGS, may_be_alive, run_worker, worker_name
from asvit.study.worker import Pilot

LOOK = 1.0
"""Seconds between looks at the workers."""
Keep = Callable[[Sequence[Trained]], None]
"""Called with all that is trained so far, whenever there is more of it."""


@dataclass(frozen=True)
class Worker:
    """A process that trains, and where it says why it cannot go on."""

    process: BaseProcess
    complaints: Connection

    @classmethod
    def started(cls, crew: Crew, device: str) -> "Worker":
        """Start a process."""
        # A forked process can neither use CUDA nor rely on locks that other threads held.
        spawn = get_context("spawn")
        complaints, complain = spawn.Pipe(duplex=False)
        process = spawn.Process(target=run_worker, args=(crew, device, complain))
        with deaf_children():
            process.start()
        complain.close()
        return cls(process, complaints)

    def raise_complaint(self) -> None:
        """Raise what the process has complained about."""
        with suppress(EOFError):  # it has ended without
            if self.complaints.poll():
                raise UserError(self.complaints.recv())


def train_all(
    queue: Queue,
    crew: Crew,
    keep: Keep = lambda trained: None,
    seconds_left: Callable[[], float] = lambda: math.inf,
) -> None:
    """Do all trainings, or those of the pilot if it fails, or as many as there is time for.

    Args:
        queue: the study's queue.
        crew: workers that train.
        keep: puts what is trained so far where it outlives this process.
        seconds_left: of a time that was named; at 0 the workers are stopped, and what they had is given back.

    Raises:
        UserError: the pilot shows that accuracies hardly differ, a worker cannot go on, or all have died.
    """
    if crew.pilot is not None:
        check_pilot(crew.pilot, queue.trained())
    # A study that was killed leaves claims with fresh heartbeats; workers on this machine can be seen to be gone.
    for worker in set(queue.running().values()):
        if not may_be_alive(worker):
            queue.give_back(worker)
    workers: list[Worker] = []
    try:
        if len(queue.trained()) < len(crew.plan):
            for device in crew.setup.devices:
                workers.append(Worker.started(crew, device))
        watch(queue, crew, workers, keep, seconds_left)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
    # Workers end without an error where the pilot has shown too little: it is said here, once.
    if crew.pilot is not None:
        check_pilot(crew.pilot, queue.trained())
    if not seconds_left():
        return
    done, given_up = len(queue.trained()), queue.given_up()
    for planned, error in given_up.items():
        tell(f"given up: {planned.network}, seed {planned.seed}: {error}")
    if done + len(given_up) < len(crew.plan):
        codes = ", ".join(str(worker.process.exitcode) for worker in workers)
        raise UserError(
            f"{done} of {len(crew.plan)} trainings are done and {len(given_up)} given up, but all workers have ended "
            f"(exit codes {codes}): the same command goes on, unless the pilot was given up"
        )
    if crew.part is None:
        shutil.rmtree(crew.setup.path / TRAININGS, ignore_errors=True)


def check_pilot(pilot: Pilot, trained: Sequence[Trained]) -> None:
    """Refuse to go on where the pilot has shown that it is not worth it."""
    variance = pilot.variance(trained)
    if variance is not None and not variance.reaches(pilot.least_ratio):
        raise UserError(
            f"in the pilot the variance between topologies is {variance} times that between seeds, less than "
            f"{pilot.least_ratio:g}: the accuracies would decide nothing; train longer or on more images in another "
            "--out, or go on anyway with --least-ratio 0"
        )


def watch(queue: Queue, crew: Crew, workers: Sequence[Worker], keep: Keep, seconds_left: Callable[[], float]) -> None:
    """Show how far the study is until all workers have ended or time is up, and keep it; give back what dead ones had.

    Raises:
        UserError: a worker cannot go on, for want of room for example: neither could others.
    """
    buried: set[int | None] = set()
    seen, shown = -1, -1.0
    with ProgressDisplay() as display:
        while True:
            for worker in workers:
                worker.raise_complaint()
            ended = [worker.process for worker in workers if not worker.process.is_alive()]
            for worker in ended:
                # A process that was killed cannot give its training back; this one knows before heartbeats are missed.
                if worker.exitcode and worker.pid and worker.pid not in buried:
                    buried.add(worker.pid)
                    queue.give_back(worker_name(worker.pid))
                    tell(f"worker {worker.pid} has died (exit code {worker.exitcode}): its training is given back")
            trained = queue.trained()
            done, total = len(trained), len(crew.plan)
            if done != seen and workers and trained:  # with no workers all were done before, and kept
                keep(trained)
            if (so_far := done + queue.under_way()) != shown:
                count, words = f"{done} of {total} trainings", facts(trained, crew)
                if (part := crew.part) is None:
                    display.update("study", so_far, total, count=count, facts=words)
                else:
                    epochs = part.before + (part.until - part.since) * so_far
                    display.update(part.name, epochs, part.whole, count=count, facts=words, most=seconds_left())
            seen, shown = done, so_far
            if len(ended) == len(workers) or not seconds_left():
                return
            time.sleep(LOOK)


def facts(trained: Sequence[Trained], crew: Crew) -> str:
    """What is known so far, for the progress line."""
    words = []
    if trained:
        words.append(f"top-1 {min(t.top1 for t in trained):.1%} to {max(t.top1 for t in trained):.1%}")
    if crew.pilot is not None:
        variance = crew.pilot.variance(trained)
        words.append("pilot" if variance is None else f"variance ratio of the pilot {variance}")
    return ", ".join(words) or "first trainings"
