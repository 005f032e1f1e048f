"""Running a detector over pictures, alone or among processes, and scoring what it finds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import nn

from asvit.complexity.usage import Precision
from asvit.detection.batch import SceneBatch
from asvit.detection.coco import Coco
from asvit.detection.data import Scenes, plain
from asvit.detection.scores import Detection, Scored, coco_scores, detections_of
from asvit.errors import UserError
from asvit.training.data import EvaluationOrder, Examples, batches
from asvit.training.parallel import Processes
from asvit.training.settings import Running


@dataclass(frozen=True)
class Found:
    """What a detector found in some pictures."""

    detections: Sequence[Detection]
    """Detections in COCO's results format."""
    seen: Sequence[int]
    """Ids of the pictures it looked at."""
    unreadable: Sequence[str]
    """Pictures that could not be read, each with the reason."""

    def scores(self, coco: Coco) -> Scored:
        """COCO's numbers for boxes and for masks, all and by class, over the pictures that could be read."""
        return coco_scores(coco, self.detections, self.seen)


def evaluation_batches(
    scenes: Scenes, batch_size: int, running: Running, device: torch.device, processes: Processes = Processes()
) -> Iterable[SceneBatch]:
    """This process's share of some pictures, each once, as they are."""
    order = EvaluationOrder(len(scenes), batch_size, rank=processes.rank, processes=processes.count)
    examples = Examples(scenes, plain, seed=None)
    return batches(examples, order, workers=running.workers, device=device, batch_type=SceneBatch)


@torch.inference_mode()
def find_all(
    model: nn.Module,
    coco: Coco,
    loader: Iterable[SceneBatch],
    *,
    device: torch.device,
    precision: Precision = "float32",
    processes: Processes = Processes(),
) -> Found:
    """What a detector finds in pictures, in the shares of all processes.

    Args:
        model: detector in evaluation mode.
        coco: data set of the pictures.
        loader: batches of them.
        device: where the model is.
        precision: precision of the matrix products.
        processes: processes that share the pictures.

    Raises:
        UserError: no picture can be read.
    """
    detections: list[Detection] = []
    seen: list[int] = []
    unreadable: list[str] = []
    for batch in loader:
        unreadable += batch.problems
        scenes = batch.to(device).scenes() if len(batch) else []
        if not scenes:
            continue
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = model([image for image, _ in scenes])
        for output, (_, target) in zip(outputs, scenes, strict=True):
            index = int(target["index"])
            detections += detections_of(output, coco, index)
            seen.append(coco.pictures[index].id)
    everything = processes.from_all((detections, seen, unreadable))
    result = Found(*(list(chain.from_iterable(parts)) for parts in zip(*everything, strict=True)))
    if not result.seen:
        first = next(iter(result.unreadable), "")
        raise UserError(f"none of the images to evaluate on can be read, the first: {first}")
    return result
