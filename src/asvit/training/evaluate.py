"""How good a classifier is: accuracy, loss, calibration, confusion, and how fast it says so."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from asvit.complexity.precision import float64_device, in_float64
from asvit.complexity.usage import Precision
from asvit.errors import UserError
from asvit.training.data import Batch
from asvit.training.parallel import Processes

BINS = 15
"""Number of bins of confidence, for the calibration error."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of a classifier on some images."""

    images: int
    top1: float
    """Share of the images whose class is ranked first."""
    top5: float
    """Share of the images whose class is among the first five."""
    loss: float
    """Mean cross entropy, in nats."""
    calibration_error: float
    """Expected calibration error: mean over images of | accuracy - confidence | of their bin (Guo et al., 2017)."""
    images_per_second: float
    """Images per second, loading included."""
    confusion: tuple[tuple[int, ...], ...]
    """Images by true class (rows) and predicted class (columns)."""
    unreadable: tuple[str, ...]
    """Images left out, each with the reason."""


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    loader: Iterable[Batch],
    *,
    classes: int,
    device: torch.device,
    precision: Precision = "float32",
    processes: Processes = Processes(),
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Scores:
    """Run a classifier over images.

    Args:
        model: images to logits ``B x classes``, in evaluation mode.
        loader: batches of this process.
        classes: outputs that count.
        device: where the model is.
        precision: precision of the matrix products.
        processes: processes that share the images.
        memory_format: layout of the images in memory.

    Raises:
        UserError: no image can be read, or the outputs are not finite.
    """
    tally = Tally.empty(classes, float64_device(device))
    unreadable: list[str] = []
    start = time.perf_counter()
    for batch, logits in outputs(model, loader, device=device, precision=precision, memory_format=memory_format):
        unreadable += batch.problems
        tally.add(logits, batch.labels)
    tally = tally.over(processes)
    images = int(tally.sums[0])
    seconds = time.perf_counter() - start
    if images == 0:
        raise UserError(f"none of the images to evaluate on can be read, the first: {next(iter(unreadable), '')}")
    correct, among_five, loss = (tally.sums[1:] / images).tolist()
    if not math.isfinite(loss):
        raise UserError(f"the loss on the images to evaluate is {loss}: the network's outputs are not finite")
    gaps = (tally.bins[1] - tally.bins[2]).abs().sum().item()
    return Scores(
        images=images,
        top1=correct,
        top5=among_five,
        loss=loss,
        calibration_error=gaps / images,
        images_per_second=images / seconds,
        confusion=tuple(tuple(row) for row in tally.confusion.tolist()),
        unreadable=tuple(unreadable),
    )


def outputs(
    model: nn.Module,
    loader: Iterable[Batch],
    *,
    device: torch.device,
    precision: Precision,
    memory_format: torch.memory_format,
) -> Iterator[tuple[Batch, Float[Tensor, "B classes"]]]:
    """Every batch on the device, with a classifier's logits; none for a batch of which no image could be read."""
    for batch in loader:
        if len(batch) == 0:
            yield batch, torch.empty(0, 1)
            continue
        batch = batch.to(device, memory_format)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(batch.images)
        yield batch, logits.float()


@dataclass(frozen=True)
class Tally:
    """Sums over images, on a device that has float64."""

    sums: Float[Tensor, "4"]
    """Images, correct ones, ones among the first five, losses."""
    bins: Float[Tensor, "3 bins"]
    """Images, correct ones and confidences by bin of confidence."""
    confusion: Int[Tensor, "classes classes"]

    @classmethod
    def empty(cls, classes: int, device: torch.device) -> "Tally":
        """Sums over no images yet."""
        exact = {"dtype": torch.float64, "device": device}
        confusion = torch.zeros(classes, classes, dtype=torch.long, device=device)
        return cls(torch.zeros(4, **exact), torch.zeros(3, BINS, **exact), confusion)

    def add(self, logits: Float[Tensor, "B classes"], labels: Int[Tensor, " B"]) -> None:
        """Count a batch, unless it is empty."""
        if len(labels) == 0:
            return
        labels, log_p = labels.to(self.sums.device), in_float64(logits).log_softmax(1)
        first = log_p.topk(min(5, logits.shape[1])).indices
        hits = first == labels[:, None]
        right = hits[:, 0].double()
        confidence = log_p.gather(1, first[:, :1])[:, 0].exp()
        losses = -log_p.gather(1, labels[:, None])[:, 0]
        ones = torch.ones_like(right)
        self.sums.add_(torch.stack((ones.sum(), right.sum(), hits.any(1).double().sum(), losses.sum())))
        bins = (confidence.nan_to_num() * BINS).long().clamp(max=BINS - 1)
        for row, values in zip(self.bins, (ones, right, confidence), strict=True):
            row.index_add_(0, bins, values)
        classes = len(self.confusion)
        counts = torch.bincount(labels * classes + first[:, 0], minlength=classes * classes)
        self.confusion.add_(counts.reshape(classes, classes))

    def over(self, processes: Processes) -> "Tally":
        """Sums over all processes."""
        return Tally(*(processes.total(x) for x in (self.sums, self.bins, self.confusion)))
