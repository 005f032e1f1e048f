"""The training loop: AdamW on augmented batches, coarse tokens first (Section 4), one evaluation an epoch.

Every random state is a function of (seed, epoch, step, process) or, for a sample, of (seed, epoch, index). So weights,
moments and a position are all that a checkpoint needs, and a killed training ends with the same weights.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from timm.data.mixup import Mixup
from timm.optim._optim_factory import create_optimizer_v2
from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from asvit.architecture import Task
from asvit.complexity.cost import count_params
from asvit.errors import UserError
from asvit.training.augment import evaluation_transform, training_transform
from asvit.training.checkpoint import (
    EMA,
    MODEL,
    OPTIMISER,
    Header,
    State,
    checkpoint_path,
    fill,
    fill_optimiser,
    last_checkpoint,
    optimiser_tensors,
    prune,
    read_checkpoint,
    remove_unfinished,
    with_prefix,
    without_prefix,
    write_checkpoint,
)
from asvit.training.data import Batch, Draws, EvaluationOrder, Examples, TrainingOrder, batches, seed_everything
from asvit.training.evaluate import Scores, evaluate
from asvit.training.network import build, set_checkpointing
from asvit.training.parallel import Processes
from asvit.training.recipe import TrainRecipe
from asvit.training.results import Epoch, TrainResult, best_of, saved_time
from asvit.training.retokenize import Schedule, StageCost, coarseness_at, enter, saved_share, stage_costs
from asvit.training.running import Running
from asvit.training.sources import Source

BACKWARD = 3
"""A training step costs three forward passes: one forward, two products for each backward."""
PENDING = {"cpu": 1, "cuda": 20}
"""Steps whose losses are read together, by device: reading makes a CPU wait for its GPU."""


@dataclass(frozen=True)
class Pending:
    """A step whose loss nobody has looked at yet."""

    step: int
    lr: float
    values: Tensor
    """Loss and norm of the gradient, still on the device."""
    problems: tuple[str, ...]
    """Images that could not be read."""


Watch = Callable[["Training"], None]
"""Called after some steps and after every epoch."""


class Training:
    """A network in training: what is trained, how far it is, and the steps that take it further."""

    def __init__(
        self,
        name: str,
        train: Source,
        val: Source,
        recipe: TrainRecipe,
        schedule: Schedule,
        *,
        seed: int,
        device: torch.device,
        running: Running = Running(),
        processes: Processes = Processes(),
    ) -> None:
        """Draw the network and set up data, optimiser and average.

        Args:
            name: text form of an architecture, or ``timm:NAME``.
            train: images to learn from.
            val: images to evaluate on, of the same classes.
            recipe: how to train.
            schedule: of re-tokenization, over the recipe's epochs.
            seed: of everything random.
            device: where to train.
            running: how to run it.
            processes: this one among those that train together.
        """
        self.name, self.recipe, self.schedule, self.seed = name, recipe, schedule, seed
        self.device, self.running, self.processes = device, running, processes
        self.train_source, self.val_source = train, val
        if sum(stage.epochs for stage in schedule) != recipe.epochs:
            raise UserError(f"the schedule's epochs are not the recipe's {recipe.epochs}: expected as many")
        self.task = Task(image_size=recipe.image_size, in_chans=train.channels, num_classes=len(train.classes))
        self.state = State()
        seed_everything(Draws.WEIGHTS, seed)
        self.model = build(name, self.task, drop_path=recipe.drop_path)
        self.stages = stage_costs(self.model, schedule, torch.zeros(1, self.task.in_chans, *self.task.image_size))
        place(self.model, device, running.memory_format)
        if running.checkpointing:
            set_checkpointing(self.model)
        self.optimiser = create_optimizer_v2(
            self.model, "adamw", lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True
        )
        self.average = None if recipe.ema is None else ModelEmaV3(self.model, decay=recipe.ema, use_warmup=True)
        if running.compile:
            self.model.compile()
        self.stepping = processes.wrap(self.model)
        self.mix = mixing(recipe, len(train.classes)) if recipe.mixes else None
        self.order = TrainingOrder(
            len(train), recipe.batch_size, seed=seed, rank=processes.rank, processes=processes.count
        )
        self.schedule_lr = learning_rates(self.optimiser, recipe, self.order.steps)
        if self.share < running.accumulate:
            raise UserError(f"a batch of {self.share} cannot be cut into {running.accumulate} parts: choose fewer")
        if recipe.mixes and self.share % 2:
            raise UserError(f"images are mixed in pairs, but a process's batch has {self.share}: choose an even number")

    @property
    def share(self) -> int:
        """Images of a batch that are this process's."""
        return self.recipe.batch_size // self.processes.count

    @cached_property
    def train_loader(self) -> Iterable[Batch]:
        """Augmented images of this process."""
        transform = training_transform(self.recipe)
        examples = Examples(self.train_source, transform, seed=self.seed)
        return batches(examples, self.order, workers=self.running.workers, device=self.device)

    @cached_property
    def val_loader(self) -> Iterable[Batch]:
        """This process's share of the validation images."""
        transform = evaluation_transform(self.task.image_size, self.recipe.test_crop)
        order = EvaluationOrder(
            len(self.val_source),
            self.share,
            rank=self.processes.rank,
            processes=self.processes.count,
        )
        examples = Examples(self.val_source, transform, seed=None)
        return batches(examples, order, workers=self.running.workers, device=self.device)

    @property
    def stage(self) -> StageCost:
        """Of the schedule, in the present epoch."""
        coarseness = coarseness_at(self.schedule, min(self.state.epoch, self.recipe.epochs - 1))
        return next(stage for stage in self.stages if stage.coarseness == coarseness)

    @property
    def planned_macs(self) -> int:
        """Of the whole training."""
        images = self.order.steps * self.recipe.batch_size
        return BACKWARD * images * sum(stage.epochs * stage.macs for stage in self.stages)

    def run(self, folder: Path, watch: Watch) -> TrainResult:
        """Train to the end, from the last checkpoint in a folder where there is one.

        Raises:
            UserError: a loss is not finite, too many images cannot be read, or a checkpoint cannot be written.
        """
        self.resume(folder)
        while self.state.epoch < self.recipe.epochs:
            self.train_epoch(folder, watch)
            self.finish_epoch(self.evaluate())
            self.save(folder)
            watch(self)
        return self.result(folder)

    def train_epoch(self, folder: Path, watch: Watch) -> None:
        """The rest of an epoch, step by step."""
        for model in filter(None, (self.model, self.average and self.average.module)):
            enter(model, self.stage.coarseness)
        self.stepping.train()
        self.order.go_to(self.state.epoch, self.state.step)
        saved = told = time.monotonic()
        pending: list[Pending] = []
        loader, start = iter(self.train_loader), time.perf_counter()
        for step in range(self.state.step, self.order.steps):
            batch = next(loader)
            waited = time.perf_counter() - start
            loss = self.step(step, batch)
            pending.append(Pending(step, self.lr, loss, batch.problems))
            last = step + 1 == self.order.steps
            losses = self.read(pending, folder) if last or len(pending) == PENDING[self.device.type] else 0.0
            now = time.perf_counter()
            self.state = replace(
                self.state,
                step=step + 1,
                losses=self.state.losses + losses,
                seconds=self.state.seconds + now - start,
                waiting=self.state.waiting + waited,
                macs=self.state.macs + BACKWARD * self.recipe.batch_size * self.stage.macs,
            )
            if not pending and not last and self.due(saved):
                self.save(folder)
                saved = time.monotonic()
            if time.monotonic() - told > 1:
                watch(self)
                told = time.monotonic()
            start = time.perf_counter()

    def step(self, step: int, batch: Batch) -> Tensor:
        """One update of the weights; returns the mean loss of this process's images and the gradient's norm."""
        if len(batch.labels) < self.share:
            raise UserError(f"many images in a row cannot be read, the first: {batch.problems[0]}")
        seed_everything(Draws.STEP, self.seed, self.state.epoch, step, self.processes.rank)
        updates = self.state.epoch * self.order.steps + step
        self.schedule_lr.step_update(updates)
        images = batch.images.to(self.device, non_blocking=True, memory_format=self.running.memory_format)
        targets = batch.labels.to(self.device, non_blocking=True)
        if self.mix is not None:
            images, targets = self.mix(images, targets)
        smoothing = 0.0 if self.mix is not None else self.recipe.label_smoothing
        total = torch.zeros((), device=self.device)
        parts = [x.chunk(self.running.accumulate) for x in (images, targets)]
        for i, (part, wanted) in enumerate(zip(*parts, strict=True), start=1):
            with self.processes.exchange(self.stepping, gradients=i == len(parts[0])):
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.running.precision == "bfloat16"):
                    logits = self.stepping(part)
                loss = F.cross_entropy(logits.float(), wanted, label_smoothing=smoothing) * (len(part) / len(images))
                loss.backward()
            total += loss.detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip or math.inf)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.update(self.model, updates + 1)
        return torch.stack((total, norm))

    def read(self, pending: list[Pending], folder: Path) -> float:
        """Sum of the pending losses, means over all processes; all must be finite. Then none are pending."""
        values = self.processes.total(torch.stack([some.values for some in pending])) / self.processes.count
        for (loss, norm), some in zip(values.tolist(), pending, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise UserError(
                    f"the loss is {loss}, the gradient's norm {norm} in step {some.step + 1} of epoch "
                    f"{self.state.epoch + 1}, at learning rate {some.lr:.3g}; the last good checkpoint is "
                    f"{last_checkpoint(folder)}: choose a lower --lr, or --precision float32, in another run directory"
                )
        self.count_unreadable(tuple(problem for some in pending for problem in some.problems))
        pending.clear()
        return values[:, 0].sum().item()

    def count_unreadable(self, problems: tuple[str, ...]) -> None:
        """Remember images that some process could not read, up to the bound."""
        count = self.processes.total(torch.tensor(float(len(problems)), device=self.device))
        if not count:
            return
        said = self.processes.from_all(problems)
        fresh = tuple(problem for problem in dict.fromkeys(said) if problem not in self.state.unreadable)
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
        late = torch.tensor(float(self.processes.first and time.monotonic() - saved > 60 * self.running.minutes))
        return bool(self.processes.total(late.to(self.device)))

    def evaluate(self) -> Scores:
        """Scores of the averaged weights, or of the weights where there is no average, on the validation images."""
        model = self.model if self.average is None else self.average.module
        self.processes.share_buffers(model)
        return evaluate(
            model.eval(),
            self.val_loader,
            classes=self.task.num_classes,
            device=self.device,
            precision=self.running.precision,
            processes=self.processes,
            memory_format=self.running.memory_format,
        )

    def finish_epoch(self, scores: Scores) -> None:
        """Enter the epoch that has just been trained and evaluated into the state."""
        state, steps = self.state, self.order.steps
        epoch = Epoch(
            epoch=state.epoch + 1,
            coarseness=self.stage.coarseness,
            lr=self.lr,
            train_loss=state.losses / steps,
            loss=scores.loss,
            top1=scores.top1,
            top5=scores.top5,
            macs=state.macs,
            seconds=state.seconds,
            waiting=state.waiting / state.seconds,
            images_per_second=steps * self.recipe.batch_size / state.seconds,
            unreadable=len(state.unreadable),
            left_out=int(self.processes.total(torch.tensor(len(scores.unreadable), device=self.device))),
        )
        self.state = State(
            epoch=state.epoch + 1, macs=state.macs, unreadable=state.unreadable, epochs=(*state.epochs, epoch)
        )

    def save(self, folder: Path) -> None:
        """Write a checkpoint (the first process does) and remove those that are no longer needed."""
        if self.processes.first:
            tensors = with_prefix(self.model.state_dict(), MODEL)
            tensors |= with_prefix(optimiser_tensors(self.model, self.optimiser), OPTIMISER)
            if self.average is not None:
                tensors |= with_prefix(self.average.module.state_dict(), EMA)
            write_checkpoint(checkpoint_path(folder, self.state), tensors, self.header)
            prune(folder, keep=self.running.keep, best=best_of(self.state.epochs))
        self.processes.wait()

    @property
    def header(self) -> Header:
        """What a checkpoint of the present state says."""
        trained = self.state.epoch if self.state.step else self.state.epoch - 1
        return Header(
            network=self.name,
            task=self.task,
            classes=self.train_source.classes,
            test_crop=self.recipe.test_crop,
            coarseness=coarseness_at(self.schedule, trained),
            state=self.state,
        )

    def resume(self, folder: Path) -> None:
        """Go on from the last checkpoint in a folder, if there is one."""
        if self.processes.first:
            remove_unfinished(folder)
        last = last_checkpoint(folder)
        name = self.processes.from_first(None if last is None else last.name)
        if name is None:
            return
        path = folder / name
        tensors, header = read_checkpoint(path)
        fill(self.model, without_prefix(tensors, MODEL), path)
        fill_optimiser(self.model, self.optimiser, without_prefix(tensors, OPTIMISER))
        if self.average is not None:
            fill(self.average.module, without_prefix(tensors, EMA), path)
        self.state = header.state

    def result(self, folder: Path) -> TrainResult:
        """What the finished training found."""
        best = best_of(self.state.epochs)
        assert best is not None  # the last stage of a schedule is at full resolution
        return TrainResult(
            network=self.name,
            task=self.task,
            classes=self.train_source.classes,
            params=count_params(self.model),
            stages=self.stages,
            saved_macs=saved_share(self.stages),
            saved_time=saved_time(self.state.epochs),
            best=best,
            checkpoint=str(checkpoint_path(Path(folder.name), State(epoch=best.epoch))),
            unreadable=self.state.unreadable[:100],
            epochs=self.state.epochs,
        )


def place(model: nn.Module, device: torch.device, memory_format: torch.memory_format) -> nn.Module:
    """Move a model to a device, the weights of its convolutions to a memory format, in place."""
    return model.to(device).to(memory_format=memory_format)  # pyright: ignore[reportCallIssue], missing in torch's stubs


def mixing(recipe: TrainRecipe, classes: int) -> Mixup:
    """Mixup and CutMix with label smoothing."""
    return Mixup(recipe.mixup, recipe.cutmix, label_smoothing=recipe.label_smoothing, num_classes=classes)


def learning_rates(optimiser: torch.optim.Optimizer, recipe: TrainRecipe, steps: int) -> CosineLRScheduler:
    """Linear warm-up from zero, then a cosine to zero; ``step_update(n)`` sets the rate of step ``n``."""
    return CosineLRScheduler(
        optimiser,
        t_initial=recipe.epochs * steps,
        warmup_t=recipe.warmup_epochs * steps,
        t_in_epochs=False,
    )
