"""What a trained classifier makes of the validation images: which classes it confuses, and its worst mistakes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from asvit.errors import UserError, reason
from asvit.images import UNREADABLE
from asvit.runs.records import write_file
from asvit.training.data import Batch, EpochAndIndex, Readable
from asvit.training.parallel import Processes
from asvit.training.results import Confused, Mistake
from asvit.training.sources import Source

MOST = 12
"""Mistakes that are kept."""
SIDE = 96
"""Longest side of their pictures in pixels; smaller images stay as they are."""
FOLDER = "mistakes"
"""Folder of the pictures in a run directory."""
STRETCHED = (2, 98)
"""Percentiles of a channel that become black and white, where channels are no colours."""


@dataclass(frozen=True, order=True)
class Wrong:
    """An image and a wrong answer; the surest come first in order."""

    doubt: float
    """One less the probability of the answer."""
    index: int
    true: int
    said: int


@dataclass(frozen=True)
class Answers:
    """What a classifier answers on all images."""

    confused: tuple[Confused, ...]
    worst: tuple[Wrong, ...]


@torch.inference_mode()
def answers_of(
    answered: Iterable[tuple[Batch, Float[Tensor, "B classes"]]],
    order: Iterable[Sequence[EpochAndIndex]],
    source: Readable,
    processes: Processes = Processes(),
) -> Answers:
    """Count answers by class, and find the surest wrong ones; in all processes, of the images of all.

    Args:
        answered: this process's batches with their logits.
        order: places of the images of these batches.
        source: the images.
        processes: processes that share them.
    """
    counts: Counter[tuple[int, int]] = Counter()
    worst: list[Wrong] = []
    for places, (batch, logits) in zip(order, answered, strict=True):
        if len(batch) == 0:
            continue
        sure, said = logits.cpu().double().softmax(1).max(1)
        indices = those_read([index for _, index in places], batch.problems, source)
        rows = list(zip(indices, batch.labels.tolist(), said.tolist(), sure.tolist(), strict=True))
        counts.update((true, answer) for _, true, answer, _ in rows)
        wrong = (Wrong(1 - share, index, true, answer) for index, true, answer, share in rows if true != answer)
        worst = sorted([*worst, *wrong])[:MOST]
    gathered = processes.from_all((counts, worst))
    total = sum((some for some, _ in gathered), Counter())
    confused = tuple(Confused(true, said, images) for (true, said), images in sorted(total.items()))
    return Answers(confused, tuple(sorted(wrong for _, some in gathered for wrong in some)[:MOST]))


def those_read(indices: Sequence[int], problems: Iterable[str], source: Readable) -> list[int]:
    """Which images of a batch could be read: all but those that its problems name."""
    left = list(indices)
    for problem in problems:
        # Images in memory do not hold what could not be read: then nobody is named.
        named = next((index for index in left if problem.startswith(f"{source.file(index)}: ")), None)
        if named is not None:
            left.remove(named)
    return left


def write_mistakes(worst: Iterable[Wrong], source: Source, run: Path) -> tuple[Mistake, ...]:
    """Write small pictures of the images that were answered worst into a run directory.

    Args:
        worst: wrong answers, the surest first.
        source: the images.
        run: run directory.

    Raises:
        UserError: an image can no longer be read, or a picture cannot be written.
    """
    found = []
    for number, wrong in enumerate(worst, start=1):
        file = source.file(wrong.index)
        try:
            image, _ = source.read(wrong.index)
        except UNREADABLE as error:
            raise UserError(f"cannot read {file} of {source.name} any more: {reason(error)}; put it back") from error
        picture = f"{FOLDER}/{number:02}.png"
        write_file(run / picture, thumbnail(image))
        names = source.classes[wrong.true], source.classes[wrong.said]
        found.append(Mistake(file=file, true=names[0], said=names[1], probability=1 - wrong.doubt, picture=picture))
    return tuple(found)


def thumbnail(image: Any) -> bytes:
    """A small PNG of a PIL image, or of an array ``channels x height x width`` from 0 to 1.

    >>> with Image.open(BytesIO(thumbnail(torch.rand(5, 300, 150)))) as small:
    ...     print(small.size, small.mode)
    (48, 96) RGB
    """
    small = (as_picture(image) if isinstance(image, Tensor) else image).copy()
    small.thumbnail((SIDE, SIDE))
    content = BytesIO()
    small.save(content, "PNG", optimize=True)
    return content.getvalue()


def as_picture(values: Float[Tensor, "channels H W"]) -> Image.Image:
    """An array in grey or colour; of channels that are no colours the first three, each with its contrast stretched."""
    channels = len(values)
    pixels = values[: 3 if channels >= 3 else 1].permute(1, 2, 0).cpu().numpy()
    if channels not in (1, 3):
        low, high = np.percentile(pixels, STRETCHED, axis=(0, 1))
        pixels = (pixels - low) / np.maximum(high - low, 1e-9)
    shades = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(shades[:, :, 0] if shades.shape[2] == 1 else shades)
