"""Training a detector: the classifiers' loop, on pictures with objects, with COCO's numbers after an epoch."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from asvit.detection.batch import SceneBatch
from asvit.detection.cost import detector_costs, padded_image
from asvit.detection.data import Prepare, Scenes
from asvit.detection.evaluate import Found, evaluation_batches, find_all
from asvit.detection.mistakes import sights_of, worst_of, write_mistakes
from asvit.detection.recipe import DetectRecipe
from asvit.detection.results import CocoScores, DetectEpoch, DetectResult, PartCost, best_of
from asvit.detection.trained import DetectorHeader, DetectorSpec, load_detector
from asvit.networks.architecture import Task
from asvit.networks.named import Network
from asvit.training.checkpoint import State, checkpoint_path
from asvit.training.data import Draws, Examples, batches, seed_everything
from asvit.training.loop import Training
from asvit.training.parallel import Processes
from asvit.training.placing import memory_format, place, set_checkpointing
from asvit.training.results import BACKWARD
from asvit.training.settings import Running
from asvit.training.start import Start

PARTS = {
    "proposal_loss": ("loss_objectness", "loss_rpn_box_reg"),
    "class_loss": ("loss_classifier",),
    "box_loss": ("loss_box_reg",),
    "mask_loss": ("loss_mask",),
}
"""What the names of the losses that are recorded together begin with: of all stages of the cascade."""


def plan(network: Network, train: Scenes, recipe: DetectRecipe, start: Start | None = None) -> DetectorSpec:
    """What the detector will be.

    Args:
        network: backbone: architecture, or model of timm.
        train: pictures to learn from.
        recipe: how to train.
        start: classifier that the backbone starts from, at whose image size it then stays laid out.

    Raises:
        UserError: the network cannot be a backbone.
    """
    size = (recipe.backbone_size, recipe.backbone_size) if start is None else start.task.image_size
    task = Task(image_size=size, in_chans=train.channels, num_classes=len(train.coco.categories))
    spec = DetectorSpec(
        network=str(network),
        task=task,
        settings=recipe.detector,
        normalisation=train.normalisation if start is None else start.looking.normalisation,
        value_range=train.value_range,
        frozen_norms=start is not None,
    )
    with torch.device("meta"):
        spec.build(drop_path=recipe.drop_path)
    return spec


MOST_AT_A_TIME = 8
"""Most validation images at a time: the masks of all that is found in them are as large as the pictures."""


class DetectorTraining(Training[SceneBatch, DetectEpoch, DetectResult]):
    """A detector in training."""

    header_type = DetectorHeader
    parts = tuple(PARTS)

    def __init__(
        self,
        spec: DetectorSpec,
        train: Scenes,
        val: Scenes,
        recipe: DetectRecipe,
        *,
        start: Start | None = None,
        seed: int,
        device: torch.device,
        running: Running = Running(),
        processes: Processes = Processes(),
    ) -> None:
        """Draw the detector and set up its training.

        Args:
            spec: what the detector is.
            train: pictures to learn from.
            val: pictures to evaluate on, with objects of the same categories.
            recipe: how to train.
            start: classifier that the backbone starts from.
            seed: random seed of the whole training.
            device: where to train.
            running: how to run it.
            processes: this one among those that train together.
        """
        self.spec, self.recipe, self.train_scenes, self.val_scenes = spec, recipe, train, val
        seed_everything(Draws.WEIGHTS, seed)
        model, self.costs = self.build(start)
        if running.checkpointing:
            set_checkpointing(model.backbone.network)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
        super().__init__(model, recipe, len(train), seed=seed, device=device, running=running, processes=processes)
        at_a_time = min(-(-self.share // running.accumulate), MOST_AT_A_TIME)
        self.val_batches = evaluation_batches(val, at_a_time, running, device, processes)

    def build(self, start: Start | None) -> tuple[GeneralizedRCNN, tuple[PartCost, ...]]:
        """A freshly drawn detector, its backbone from a start where there is one, and what it costs."""
        model = self.spec.build(drop_path=self.recipe.drop_path)
        if start is not None:
            start.fill(model.backbone.network)
        return model, detector_costs(model, padded_image(self.spec.settings, self.spec.task.in_chans))

    @property
    def macs(self) -> int:
        """Multiply-adds of one image, forward, with the boxes and masks that are learned from."""
        return sum(part.training_macs for part in self.costs)

    @property
    def planned_macs(self) -> int:
        """Multiply-adds of the whole training."""
        return BACKWARD * self.order.steps * self.recipe.batch_size * self.recipe.epochs * self.macs

    def load_batches(self) -> Iterable[SceneBatch]:
        """Augmented images of this process."""
        normalisation = self.spec.normalisation or self.train_scenes.normalisation
        prepare = Prepare(self.recipe.augmentation, self.spec.settings.resize, normalisation)
        examples = Examples(self.train_scenes, prepare, seed=self.seed)
        return batches(examples, self.order, workers=self.running.workers, device=self.device, batch_type=SceneBatch)

    def begin_epoch(self) -> None:
        """Every epoch begins alike."""

    def prepare(self, batch: SceneBatch) -> SceneBatch:
        """A batch on the device."""
        return batch.to(self.device)

    def losses(self, batch: SceneBatch) -> tuple[Float[Tensor, ""], ...]:
        """Sum of the detector's losses, and its parts."""
        images, targets = map(list, zip(*batch.scenes(), strict=True))
        with self.autocast():
            losses: dict[str, Tensor] = self.stepping(images, targets)
        parts = [
            torch.stack([loss.float() for name, loss in losses.items() if name.startswith(prefixes)]).sum()
            for prefixes in PARTS.values()
        ]
        return torch.stack(parts).sum(), *parts

    def finish_epoch(self) -> DetectEpoch:
        """COCO's numbers on the validation images, where it is time for them."""
        steps = self.order.steps
        done = self.state.epoch + 1
        parts: dict[str, Any] = {name: total / steps for name, total in zip(PARTS, self.state.losses[1:], strict=True)}
        boxes, masks, left_out = None, None, 0
        if done == self.recipe.epochs or done % self.recipe.evaluate_every == 0:
            boxes, masks, left_out = self.evaluate()
        return DetectEpoch(**self.epoch_facts(), **parts, boxes=boxes, masks=masks, left_out=left_out)

    def evaluate(self) -> tuple[CocoScores, CocoScores, int]:
        """Scores of boxes and masks of the network that counts, and the number of images that were left out."""
        findings = self.find(self.evaluated)
        scored = self.processes.from_first(findings.scores(self.val_scenes.coco) if self.processes.first else None)
        return scored.boxes, scored.masks, len(findings.unreadable)

    def find(self, model: nn.Module) -> Found:
        """What a network finds in the validation images, in all processes."""
        return find_all(
            model,
            self.val_scenes.coco,
            self.val_batches,
            device=self.device,
            precision=self.running.precision,
            processes=self.processes,
        )

    def best(self) -> DetectEpoch | None:
        """The epoch of the highest average precision."""
        return best_of(self.state.epochs)

    @property
    def header(self) -> DetectorHeader:
        """What a checkpoint of the present state says."""
        return DetectorHeader(spec=self.spec, classes=self.train_scenes.coco.classes, state=self.state)

    def result(self, folder: Path) -> DetectResult:
        """What the finished training found."""
        best = self.best()
        assert best is not None  # the last epoch is evaluated
        return DetectResult(
            network=self.spec.network,
            task=self.spec.task,
            classes=self.train_scenes.coco.classes,
            costs=self.costs,
            best=best,
            checkpoint=str(checkpoint_path(Path(folder.name), State(epoch=best.epoch))),
            unreadable=self.state.unreadable[:100],
            left_out=self.train_scenes.coco.left_out[:100],
            epochs=self.state.epochs,
        )

    def look_back(self, result: DetectResult, run: Path) -> DetectResult:
        """A result with each class's average precision at the best epoch; pictures of the worst images are written.

        Args:
            result: what this training, in all processes, has found.
            run: run directory of the checkpoints.

        Raises:
            UserError: the checkpoint or an image cannot be read, or a picture cannot be written.
        """
        best, _ = load_detector(run / result.checkpoint)
        findings = self.find(place(best, self.device, memory_format(self.running.channels_last)))
        if not self.processes.first:
            return result
        coco = self.val_scenes.coco
        worst = worst_of(sights_of(coco, findings.detections, findings.seen))
        mistakes = write_mistakes(worst, self.val_scenes, run)
        return replace(result, by_class=findings.scores(coco).by_class, mistakes=mistakes)
