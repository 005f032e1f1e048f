"""How good a classifier is: accuracy, loss, calibration, confusion, and how fast it says so."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from asvit.complexity.precision import float64_device, in_float64
from asvit.complexity.usage import Precision
from asvit.errors import UserError
from asvit.training.data import Batch
from asvit.training.parallel import Processes
from asvit.training.results import Confused

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
    confusion: tuple[Confused, ...]
    """Images by true class and predicted class, in this order; pairs that do not occur are left out."""
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
    tally = Tally.empty(float64_device(device))
    unreadable: list[str] = []
    start = time.perf_counter()
    for batch, logits in outputs(model, loader, device=device, precision=precision, memory_format=memory_format):
        unreadable += batch.problems
        tally.add(logits, batch.labels)
    confusion = tally.confusion(classes, processes)
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
        confusion=confusion,
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
    answers: list[Tensor] = field(default_factory=list)
    """Classes of the images, and those that were said, ``2 x B`` for each batch: a matrix of classes may be huge."""

    @classmethod
    def empty(cls, device: torch.device) -> "Tally":
        """Sums over no images yet."""
        exact = {"dtype": torch.float64, "device": device}
        return cls(torch.zeros(4, **exact), torch.zeros(3, BINS, **exact))

    def add(self, logits: Float[Tensor, "B classes"], labels: Int[Tensor, " B"]) -> None:
        """Count a batch, unless it is empty."""
        if len(labels) == 0:
            return
        labels, log_p = labels.to(self.sums.device), in_float64(logits).log_softmax(1)
        first = log_p.topk(min(5, logits.shape[1])).indices
        hits = first == labels[:, None]
        right = hits[:, 0].double()
        confidence = log_p.gather(1, first[:, :1])[:, 0].exp()
        # No output may be infinite, that of another class neither: nothing times infinity is no number.
        losses = 0 * in_float64(logits).sum(1) - log_p.gather(1, labels[:, None])[:, 0]
        ones = torch.ones_like(right)
        self.sums.add_(torch.stack((ones.sum(), right.sum(), hits.any(1).double().sum(), losses.sum())))
        bins = (confidence.nan_to_num() * BINS).long().clamp(max=BINS - 1)
        for row, values in zip(self.bins, (ones, right, confidence), strict=True):
            row.index_add_(0, bins, values)
        self.answers.append(torch.stack((labels, first[:, 0])))

    def over(self, processes: Processes) -> "Tally":
        """Sums over all processes; the answers stay those of this one."""
        return Tally(processes.total(self.sums), processes.total(self.bins), self.answers)

    def confusion(self, classes: int, processes: Processes) -> tuple[Confused, ...]:
        """Images of all processes by true class and predicted class."""
        counts: Counter[int] = Counter()
        for true, said in self.answers:
            pairs, images = torch.unique(true * classes + said, return_counts=True)
            counts.update(dict(zip(pairs.tolist(), images.tolist(), strict=True)))
        everywhere = sum(processes.from_all(counts), Counter())
        return tuple(Confused(pair // classes, pair % classes, images) for pair, images in sorted(everywhere.items()))
