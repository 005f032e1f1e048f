"""Running a detector over pictures."""

from collections.abc import Iterable

import torch
from torch import nn

from asvit.detection.coco import Coco
from asvit.detection.data import SceneBatch, Scenes, plain
from asvit.detection.scores import Detection, detections_of
from asvit.errors import UserError
from asvit.training.data import EvaluationOrder, Examples, batches
from asvit.training.parallel import Processes
from asvit.training.recipe import Precision
from asvit.training.running import Running


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
) -> tuple[list[Detection], tuple[str, ...]]:
    """What a detector finds in pictures, in COCO's results format, and what could not be read.

    Args:
        model: in evaluation mode.
        coco: of which the pictures are.
        loader: batches of them.
        device: of the model.
        precision: of the matrix products.

    Raises:
        UserError: no picture can be read.
    """
    found: list[Detection] = []
    unreadable: list[str] = []
    seen = 0
    for batch in loader:
        unreadable += batch.problems
        if len(batch) == 0:
            continue
        batch = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = model(list(batch.images))
        for output, target in zip(outputs, batch.targets, strict=True):
            found += detections_of(output, coco, int(target["index"]))
        seen += len(batch)
    if unreadable and not seen:
        raise UserError(f"none of the images to evaluate on can be read, the first: {unreadable[0]}")
    return found, tuple(unreadable)
