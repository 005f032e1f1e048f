"""Training a classifier: augmented images, coarse tokens first (Section 4), accuracy after every epoch."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.data.mixup import Mixup
from torch import Tensor

from asvit.complexity.cost import count_params
from asvit.errors import UserError
from asvit.networks.architecture import Task
from asvit.networks.building import build_trainable
from asvit.networks.named import Network
from asvit.training.augment import evaluation_transform, training_transform
from asvit.training.checkpoint import State, checkpoint_path
from asvit.training.data import Batch, Draws, EvaluationOrder, Examples, Labelled, batches, seed_everything
from asvit.training.evaluate import Scores, evaluate, outputs
from asvit.training.loop import Training
from asvit.training.mistakes import answers_of, write_mistakes
from asvit.training.parallel import Processes
from asvit.training.placing import memory_format, place, set_checkpointing
from asvit.training.recipe import TrainRecipe
from asvit.training.resident import RandomCrops, Resident, ResidentBatches, centre
from asvit.training.results import BACKWARD, Epoch, TrainResult, best_of, saved_time
from asvit.training.retokenize import enter, stage_costs
from asvit.training.schedule import Schedule, StageCost, coarseness_at, saved_share
from asvit.training.settings import Running
from asvit.training.sources import Source
from asvit.training.start import Start, classifier_weights
from asvit.training.trained import ClassifierHeader, load_checkpoint


class ClassifierTraining(Training[Batch, Epoch, TrainResult]):
    """A classifier in training, by a schedule of re-tokenization."""

    header_type = ClassifierHeader

    def __init__(
        self,
        network: Network,
        train: Source,
        val: Source,
        recipe: TrainRecipe,
        schedule: Schedule,
        *,
        start: Start | None = None,
        seed: int,
        device: torch.device,
        running: Running = Running(),
        processes: Processes = Processes(),
    ) -> None:
        """Draw the network, or take trained weights, and set up its training.

        Args:
            network: architecture, or model of timm.
            train: images to learn from.
            val: images to evaluate on, of the same classes.
            recipe: how to train.
            schedule: schedule of re-tokenization, over the recipe's epochs.
            start: trained classifier that it starts from; of other classes, its last layer is drawn.
            seed: random seed of the whole training.
            device: where to train.
            running: how to run it.
            processes: this one among those that train together.
        """
        self.network, self.recipe, self.schedule = network, recipe, schedule
        self.train_source, self.val_source = train, val
        self.normalisation = train.normalisation
        if sum(stage.epochs for stage in schedule) != recipe.epochs:
            raise UserError(f"the schedule's epochs are not the recipe's {recipe.epochs}: expected as many")
        self.task = Task(image_size=recipe.image_size, in_chans=train.channels, num_classes=len(train.classes))
        seed_everything(Draws.WEIGHTS, seed)
        model = build_trainable(network, self.task, drop_path=recipe.drop_path, initialisation=recipe.initialisation)
        if start is not None:
            start.fill(model, without=frozenset() if start.knows(train) else classifier_weights(model))
        self.stages = stage_costs(model, schedule, torch.zeros(1, self.task.in_chans, *self.task.image_size))
        if running.checkpointing:
            set_checkpointing(model)
        super().__init__(model, recipe, len(train), seed=seed, device=device, running=running, processes=processes)
        self.mix = mixing(recipe, len(train.classes)) if recipe.mixes else None
        self.val_order = EvaluationOrder(len(val), self.share, rank=processes.rank, processes=processes.count)
        self.val_loader = self.load_validation()
        if recipe.mixes and self.share % 2:
            raise UserError(f"images are mixed in pairs, but a process's batch has {self.share}: choose an even number")

    def load_batches(self) -> Iterable[Batch]:
        """Augmented images of this process."""
        if isinstance(self.train_source, Resident):
            crops = RandomCrops(self.recipe, len(self.train_source), seed=self.seed)
            return ResidentBatches(self.train_source, self.order, crops, self.normalisation)
        return batches(self.train_examples(), self.order, workers=self.running.workers, device=self.device)

    def train_examples(self) -> Examples:
        """Training images, augmented one by one."""
        transform = training_transform(self.recipe, self.normalisation)
        return Examples(self.train_source, Labelled(transform), seed=self.seed)

    def load_validation(self) -> Iterable[Batch]:
        """This process's share of the validation images."""
        if isinstance(self.val_source, Resident):
            return ResidentBatches(self.val_source, self.val_order, centre(self.task.image_size), self.normalisation)
        transform = evaluation_transform(self.task.image_size, self.recipe.test_crop, self.normalisation)
        examples = Examples(self.val_source, Labelled(transform), seed=None)
        return batches(examples, self.val_order, workers=self.running.workers, device=self.device)

    @property
    def stage(self) -> StageCost:
        """Stage of the schedule in the present epoch."""
        coarseness = coarseness_at(self.schedule, min(self.state.epoch, self.recipe.epochs - 1))
        return next(stage for stage in self.stages if stage.coarseness == coarseness)

    @property
    def macs(self) -> int:
        """Multiply-adds of one image in the present stage, forward."""
        return self.stage.macs

    @property
    def planned_macs(self) -> int:
        """Multiply-adds of the whole training."""
        images = self.order.steps * self.recipe.batch_size
        return BACKWARD * images * sum(stage.epochs * stage.macs for stage in self.stages)

    def begin_epoch(self) -> None:
        """Enter the stage of the present epoch."""
        for model in filter(None, (self.model, self.average and self.average.module)):
            enter(model, self.stage.coarseness)

    def prepare(self, batch: Batch) -> Batch:
        """A batch on the device, its images mixed."""
        batch = batch.to(self.device, memory_format(self.running.channels_last))
        if self.mix is None:
            return batch
        return Batch(*self.mix(batch.images, batch.labels), batch.problems)

    def losses(self, batch: Batch) -> tuple[Float[Tensor, ""]]:
        """Cross entropy; labels that were mixed have been smoothed as well."""
        with self.autocast():
            logits = self.stepping(batch.images)
        smoothing = 0.0 if self.mix is not None else self.recipe.label_smoothing
        return (F.cross_entropy(logits.float(), batch.labels, label_smoothing=smoothing),)

    def evaluate(self) -> Scores:
        """Scores of the network that counts, on the validation images."""
        return evaluate(
            self.evaluated,
            self.val_loader,
            classes=self.task.num_classes,
            device=self.device,
            precision=self.running.precision,
            processes=self.processes,
            memory_format=memory_format(self.running.channels_last),
        )

    def finish_epoch(self) -> Epoch:
        """Accuracy on the validation images, at the stage's tokens."""
        scores = self.evaluate()
        return Epoch(
            **self.epoch_facts(),
            coarseness=self.stage.coarseness,
            loss=scores.loss,
            top1=scores.top1,
            top5=scores.top5,
            left_out=int(self.processes.total(torch.tensor(len(scores.unreadable), device=self.device))),
        )

    def best(self) -> Epoch | None:
        """The epoch of the highest accuracy."""
        return best_of(self.state.epochs)

    @property
    def header(self) -> ClassifierHeader:
        """What a checkpoint of the present state says."""
        trained = self.state.epoch if self.state.step else self.state.epoch - 1
        return ClassifierHeader(
            network=str(self.network),
            task=self.task,
            classes=self.train_source.classes,
            test_crop=self.recipe.test_crop,
            normalisation=self.normalisation,
            value_range=self.train_source.value_range,
            coarseness=coarseness_at(self.schedule, trained),
            state=self.state,
        )

    def result(self, folder: Path) -> TrainResult:
        """What the finished training found."""
        best = best_of(self.state.epochs)
        assert best is not None  # the last stage of a schedule is at full resolution
        return TrainResult(
            network=str(self.network),
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

    def look_back(self, result: TrainResult, run: Path) -> TrainResult:
        """A result with what its best network answers on the validation images; pictures of mistakes are written.

        Args:
            result: what this training, in all processes, has found.
            run: run directory of the checkpoints.

        Raises:
            UserError: the checkpoint or an image cannot be read, or a picture cannot be written.
        """
        layout = memory_format(self.running.channels_last)
        model = place(load_checkpoint(run / result.checkpoint).model, self.device, layout)
        answered = outputs(
            model, self.val_loader, device=self.device, precision=self.running.precision, memory_format=layout
        )
        answers = answers_of(answered, self.val_order, self.val_source, self.processes)
        mistakes = write_mistakes(answers.worst, self.val_source, run) if self.processes.first else ()
        return replace(result, confusion=answers.confused, mistakes=mistakes)


def mixing(recipe: TrainRecipe, classes: int) -> Mixup:
    """Mixup and CutMix with label smoothing."""
    return Mixup(recipe.mixup, recipe.cutmix, label_smoothing=recipe.label_smoothing, num_classes=classes)
