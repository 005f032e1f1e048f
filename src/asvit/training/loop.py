"""The training loop: AdamW on batches, a checkpoint now and then, an evaluation after an epoch.

Classifiers (:mod:`asvit.training.classifier`) and detectors (:mod:`asvit.detection.training`) are trained by it.
Every random state is a function of (seed, epoch, step, process) or, for a sample, of (seed, epoch, index). So weights,
moments and a position are all that a checkpoint needs, and on a CPU a killed training ends with the same weights.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from timm.optim._optim_factory import create_optimizer_v2
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from asvit.errors import UserError
from asvit.runs.records import remove_unfinished
from asvit.training.checked import check_moments, check_same_header, check_same_tensors, check_state
from asvit.training.checkpoint import (
    EMA,
    MODEL,
    OPTIMISER,
    Header,
    checkpoint_path,
    fill,
    fill_optimiser,
    fitting,
    last_checkpoint,
    optimiser_tensors,
    prune,
    read_checkpoint,
    with_prefix,
    without_prefix,
    write_checkpoint,
)
from asvit.training.data import Draws, TrainingOrder, seed_everything
from asvit.training.learning_rate import learning_rates
from asvit.training.parallel import Processes
from asvit.training.placing import memory_format, place
from asvit.training.recipe import LoopRecipe
from asvit.training.results import BACKWARD, EpochRecord
from asvit.training.settings import Running
from asvit.training.state import State

PENDING = {"cpu": 1, "cuda": 20}
"""Steps whose losses are read together, by device: reading makes a CPU wait for its GPU."""


@runtime_checkable
class TrainingBatch(Protocol):
    """Images with what is to be learned about them."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read."""
        ...

    def __len__(self) -> int: ...

    def parts(self, count: int) -> Sequence[Any]:
        """The batch in parts of at least one image."""
        ...


BatchT = TypeVar("BatchT", bound=TrainingBatch)
EpochT = TypeVar("EpochT", bound=EpochRecord)
ResultT = TypeVar("ResultT")
Watch = Callable[[Any], None]
"""Called with the training after some steps and after every epoch."""


@dataclass(frozen=True)
class Pending:
    """A step whose loss nobody has looked at yet."""

    step: int
    lr: float
    values: Float[Tensor, " values"]
    """Loss, norm of the gradient and parts of the loss, still on the device."""
    problems: tuple[str, ...]
    """Images that could not be read."""


class Training(ABC, Generic[BatchT, EpochT, ResultT]):
    """A network in training: what is trained, how far it is, and the steps that take it further.

    What is trained, on what and how it is scored is said by the abstract methods.
    """

    parts: ClassVar[tuple[str, ...]] = ()
    """Names of the parts of the loss that are recorded beside their sum."""
    header_type: ClassVar[type[Header]]

    def __init__(
        self,
        model: nn.Module,
        recipe: LoopRecipe,
        images: int,
        *,
        seed: int,
        device: torch.device,
        running: Running = Running(),
        processes: Processes = Processes(),
    ) -> None:
        """Set up optimiser and average for a freshly drawn network.

        Args:
            model: network to train; it is moved to the device.
            recipe: how to train.
            images: number of training images.
            seed: random seed of the whole training.
            device: where to train.
            running: how to run it.
            processes: this one among those that train together.
        """
        self.seed, self.device, self.running, self.processes = seed, device, running, processes
        self.loop = recipe
        self.state: State[EpochT] = State()
        self.model = place(model, device, memory_format(running.channels_last))
        self.optimiser = create_optimizer_v2(
            self.model, "adamw", lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True
        )
        self.average = None if recipe.ema is None else ModelEmaV3(self.model, decay=recipe.ema, use_warmup=True)
        if running.compile:
            # In place: the wrapper that torch.compile returns would change the names of weights in checkpoints.
            self.model.compile()
        self.stepping = processes.wrap(self.model)
        self.order = TrainingOrder(images, recipe.batch_size, seed=seed, rank=processes.rank, processes=processes.count)
        self.schedule_lr = learning_rates(self.optimiser, recipe, self.order.steps)
        if self.share < running.accumulate:
            raise UserError(f"a batch of {self.share} cannot be cut into {running.accumulate} parts: choose fewer")

    @property
    @abstractmethod
    def header(self) -> Header:
        """What a checkpoint of the present state says."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-adds of one image in the present epoch, forward."""

    @property
    @abstractmethod
    def planned_macs(self) -> int:
        """Multiply-adds of the whole training."""

    @abstractmethod
    def load_batches(self) -> Iterable[BatchT]:
        """Training images of this process, in the order of the loop."""

    @abstractmethod
    def begin_epoch(self) -> None:
        """Make the network ready for the present epoch."""

    @abstractmethod
    def prepare(self, batch: BatchT) -> BatchT:
        """A batch on the device, as the network is to see it."""

    @abstractmethod
    def losses(self, batch: BatchT) -> tuple[Float[Tensor, ""], ...]:
        """Mean loss of some images, then its parts if they are recorded."""

    @abstractmethod
    def finish_epoch(self) -> EpochT:
        """Evaluate the network, and say what there is to say of the epoch that has just been trained."""

    @abstractmethod
    def best(self) -> EpochT | None:
        """The best epoch so far whose checkpoint is to stay."""

    @abstractmethod
    def result(self, folder: Path) -> ResultT:
        """What the finished training, whose checkpoints are in a folder, found."""

    @property
    def share(self) -> int:
        """Images of a batch that are this process's."""
        return self.loop.batch_size // self.processes.count

    @property
    def evaluated(self) -> nn.Module:
        """The network that counts, in evaluation mode: with averaged weights where there is an average."""
        model = self.model if self.average is None else self.average.module
        self.processes.share_buffers(model)
        return model.eval()

    @cached_property
    def train_loader(self) -> Iterable[BatchT]:
        """Loader of this process's training images, the same one in all epochs."""
        return self.load_batches()

    def run(self, folder: Path, watch: Watch) -> ResultT:
        """Train to the end, from the last checkpoint in a folder where there is one.

        Args:
            folder: where the checkpoints are.
            watch: shows how far it is.

        Raises:
            UserError: a loss is not finite, too many images cannot be read, or a checkpoint cannot be written.
        """
        self.advance(folder, watch)
        return self.result(folder)

    def advance(self, folder: Path, watch: Watch, until: int | None = None) -> None:
        """Train until so many epochs are done, or to the end; :meth:`run` or this goes on from there."""
        self.resume(folder)
        while self.state.epoch < (self.loop.epochs if until is None else until):
            self.train_epoch(folder, watch)
            epoch, state = self.finish_epoch(), self.state
            self.state = State(
                epoch=state.epoch + 1, macs=state.macs, unreadable=state.unreadable, epochs=(*state.epochs, epoch)
            )
            self.save(folder)
            watch(self)

    def train_epoch(self, folder: Path, watch: Watch) -> None:
        """The rest of an epoch, step by step."""
        self.begin_epoch()
        self.stepping.train()
        # The order is gone through in this process, not in those that load: these live on while it jumps to a step.
        self.order.go_to(self.state.epoch, self.state.step)
        saved = shown = time.monotonic()
        pending: list[Pending] = []
        loader, start = iter(self.train_loader), time.perf_counter()
        for step in range(self.state.step, self.order.steps):
            batch = next(loader)
            waited = time.perf_counter() - start
            values = self.step(step, batch)
            pending.append(Pending(step, self.lr, values, batch.problems))
            last = step + 1 == self.order.steps
            if last or len(pending) == PENDING[self.device.type]:
                self.read(pending, folder)
            now = time.perf_counter()
            self.state = replace(
                self.state,
                step=step + 1,
                seconds=self.state.seconds + now - start,
                waiting=self.state.waiting + waited,
                macs=self.state.macs + BACKWARD * self.loop.batch_size * self.macs,
            )
            # Only where no loss is pending: a checkpoint holds the sum of all of them, and is called the last good one.
            if not pending and not last and self.due(saved):
                self.save(folder)
                saved = time.monotonic()
            if time.monotonic() - shown > 1:
                watch(self)
                shown = time.monotonic()
            start = time.perf_counter()

    def step(self, step: int, batch: BatchT) -> Float[Tensor, " values"]:
        """One update of the weights; returns the mean loss of this process's images, the gradient's norm, and parts."""
        if len(batch) < self.share:
            raise UserError(f"many images in a row cannot be read, the first: {batch.problems[0]}")
        # Stochastic depth and Mixup draw from the global states. As a function of the position these need no place in a
        # checkpoint, and a resumed step draws what it would have drawn. The same goes for the learning rate and for the
        # decay of the average, which are functions of the number of updates.
        seed_everything(Draws.STEP, self.seed, self.state.epoch, step, self.processes.rank)
        updates = self.state.epoch * self.order.steps + step
        self.schedule_lr.step_update(updates)
        batch = self.prepare(batch)
        sums = torch.zeros(1 + len(self.parts), device=self.device)
        pieces = batch.parts(self.running.accumulate)
        for i, piece in enumerate(pieces, start=1):
            with self.processes.exchange(self.stepping, gradients=i == len(pieces)):
                # Weighed by images, for the last part may be smaller: they add up to the mean over the batch.
                loss, *parts = (value * (len(piece) / len(batch)) for value in self.losses(piece))
                loss.backward()
            sums += torch.stack((loss, *parts)).detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.loop.clip or math.inf)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.update(self.model, updates + 1)
        return torch.cat((sums[:1], norm[None], sums[1:]))

    def autocast(self) -> AbstractContextManager[Any]:
        """Context in which a network is computed in the training's precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.running.precision == "bfloat16")

    def read(self, pending: list[Pending], folder: Path) -> None:
        """Add the pending losses, means over all processes, to the state; all must be finite. Then none are pending."""
        values = self.processes.total(torch.stack([entry.values for entry in pending])) / self.processes.count
        for (loss, norm), entry in zip(values[:, :2].tolist(), pending, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise UserError(
                    f"the loss is {loss}, the gradient's norm {norm} in step {entry.step + 1} of epoch "
                    f"{self.state.epoch + 1}, at learning rate {entry.lr:.3g}; the last good checkpoint is "
                    f"{last_checkpoint(folder)}: choose a lower --lr, or --precision float32, in another run directory"
                )
        self.count_unreadable(tuple(problem for entry in pending for problem in entry.problems))
        loss, _, *parts = values.sum(0).tolist()
        before = self.state.losses or (0.0,) * (1 + len(parts))
        self.state = replace(self.state, losses=tuple(map(sum, zip(before, (loss, *parts), strict=True))))
        pending.clear()

    def count_unreadable(self, problems: tuple[str, ...]) -> None:
        """Remember images that some process could not read, up to the bound."""
        count = self.processes.total(torch.tensor(float(len(problems)), device=self.device))
        if not count:
            return
        # Lists are gathered only where there is something in one of them; the sum has told all processes so.
        everywhere = chain.from_iterable(self.processes.from_all(problems))
        fresh = tuple(problem for problem in dict.fromkeys(everywhere) if problem not in self.state.unreadable)
        self.state = replace(self.state, unreadable=self.state.unreadable + fresh)
        if len(self.state.unreadable) > self.running.max_unreadable:
            raise UserError(
                f"{len(self.state.unreadable)} training images cannot be read, the last: "
                f"{self.state.unreadable[-1]}; replace them, or allow more with --max-unreadable "
                f"(now {self.running.max_unreadable})"
            )

    @property
    def lr(self) -> float:
        """Learning rate of the last step."""
        return self.optimiser.param_groups[0]["lr"]

    def due(self, saved: float) -> bool:
        """Whether it is time for a checkpoint; all processes go by the first one's clock."""
        # With clocks of their own, one process would save and wait for others that go on. All of them ask here after
        # the same steps, as a sum over processes needs: how many losses are pending depends on the step alone.
        late = torch.tensor(
            float(self.processes.first and time.monotonic() - saved > 60 * self.running.checkpoint_minutes)
        )
        return bool(self.processes.total(late.to(self.device)))

    def epoch_facts(self) -> dict[str, Any]:
        """Fields of :class:`EpochRecord` for the epoch that has just been trained."""
        state, steps = self.state, self.order.steps
        return {
            "epoch": state.epoch + 1,
            "lr": self.lr,
            "train_loss": state.losses[0] / steps,
            "macs": state.macs,
            "seconds": state.seconds,
            "waiting": state.waiting / state.seconds,
            "images_per_second": steps * self.loop.batch_size / state.seconds,
            "unreadable": len(state.unreadable),
        }

    def save(self, folder: Path) -> None:
        """Write a checkpoint (the first process does) and remove those that are no longer needed."""
        if self.processes.first:
            tensors = with_prefix(self.model.state_dict(), MODEL)
            tensors |= with_prefix(optimiser_tensors(self.model, self.optimiser), OPTIMISER)
            if self.average is not None:
                tensors |= with_prefix(self.average.module.state_dict(), EMA)
            write_checkpoint(checkpoint_path(folder, self.state), tensors, self.header)
            prune(folder, keep=self.running.keep, best=self.best())
        self.processes.wait()

    def resume(self, folder: Path) -> None:
        """Go on from the last checkpoint in a folder, if there is one."""
        if self.processes.first:
            remove_unfinished(folder)
        last = last_checkpoint(folder)
        # On a shared file system another process may not see the newest file yet: none is to go on from an older one.
        name = self.processes.from_first(None if last is None else last.name)
        if name is None:
            return
        path = folder / name
        tensors, header = read_checkpoint(path, self.header_type)
        weights, average, moments = (without_prefix(tensors, prefix) for prefix in (MODEL, EMA, OPTIMISER))
        with fitting(path):
            self.check(header, path)
            check_same_tensors(weights, self.model.state_dict())
            check_same_tensors(average, {} if self.average is None else self.average.module.state_dict())
            check_moments(moments, self.model, self.state.epoch * self.order.steps + self.state.step)
        fill(self.model, weights, path)
        fill_optimiser(self.model, self.optimiser, moments)
        if self.average is not None:
            fill(self.average.module, average, path)

    def check(self, header: Header, path: Path) -> None:
        """Take the state of a header, and refuse one that this training would not have written there."""
        state, sums = header.state, 1 + len(self.parts)
        check_state(state, epochs=self.loop.epochs, steps=self.order.steps, sums=sums, macs=self.planned_macs)
        if checkpoint_path(path.parent, state) != path:
            raise UserError(f"its name is not that of {state.epoch} epochs and {state.step} steps")
        self.state = state
        check_same_header(header, self.header)
